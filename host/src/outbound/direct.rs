//! Requests to the public internet.

use std::net::SocketAddr;

use reqwest::redirect::Policy;

use super::addresses::public_addresses;
use super::{OutboundError, Request, Response, host_of, shown};

/// Sends a request to an address that was looked at, and to no other. Redirects are not followed,
/// and no proxy is asked.
///
/// # Errors
/// When the host has an address that is not public, or gives no answer.
pub async fn send(request: Request) -> Result<Response, OutboundError> {
    let addresses = public_addresses(&request.url).await?;
    send_to(request, &addresses).await
}

async fn send_to(request: Request, addresses: &[SocketAddr]) -> Result<Response, OutboundError> {
    let host = host_of(&request.url);
    let unreachable = |error: &reqwest::Error| OutboundError::Unreachable {
        host: host.clone(),
        reason: words(error),
    };
    let client = reqwest::Client::builder()
        .resolve_to_addrs(&host, addresses)
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .user_agent("windlass")
        .timeout(request.timeout)
        .build()
        .map_err(|error| unreachable(&error))?;
    let Request { method, url, headers, body, most, .. } = request;
    let sent = client.request(method, url).headers(headers).body(body).send().await;
    let mut answer = sent.map_err(|error| match error.is_connect() || error.is_builder() {
        true => unreachable(&error),
        false => OutboundError::Lost { host: host.clone(), reason: words(&error) },
    })?;
    let (status, headers) = (answer.status().as_u16(), shown(answer.headers()));
    let mut body = Vec::new();
    while let Some(piece) = answer
        .chunk()
        .await
        .map_err(|error| OutboundError::Lost { host: host.clone(), reason: words(&error) })?
    {
        if body.len() + piece.len() > most {
            return Err(OutboundError::TooLarge { host, most });
        }
        body.extend_from_slice(&piece);
    }
    Ok(Response { status, headers, body })
}

/// The last cause, without the URL.
fn words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if error.is_timeout() { "it took too long".to_owned() } else { cause.to_string() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::HeaderMap;
    use reqwest::{Method, Url};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request so, and tells what it was.
    async fn answering(answer: &'static str) -> (SocketAddr, impl Future<Output = String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.windows(4).any(|part| part == b"\r\n\r\n") {
                assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(heard).unwrap()
        };
        (address, heard)
    }

    fn request(url: &str) -> Request {
        Request {
            method: Method::GET,
            url: url.parse::<Url>().unwrap(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            timeout: Duration::from_secs(10),
            most: 1024,
        }
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_the_looked_at_address_is_asked() {
        let answer = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\
                      Content-Length: 2\r\nConnection: close\r\n\r\nno";
        let (address, heard) = answering(answer).await;
        let url = format!("http://api.example.org:{}/x", address.port());
        let addresses = [address];
        let (answered, heard) = tokio::join!(send_to(request(&url), &addresses), heard);
        let answered = answered.unwrap();
        assert_eq!((answered.status, answered.body.as_slice()), (302, &b"no"[..]));
        assert!(answered.headers.contains(&("location".into(), "http://169.254.169.254/".into())));
        assert!(heard.starts_with("GET /x HTTP/1.1\r\n"), "{heard}");
        assert!(
            heard.to_lowercase().contains(&format!("host: api.example.org:{}", address.port()))
        );
    }

    #[tokio::test]
    async fn what_is_at_no_public_address_hears_nothing() {
        let (address, heard) = answering("").await;
        for name in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let url = format!("http://{name}:{}/", address.port());
            let refused = send(request(&url)).await.unwrap_err();
            assert!(matches!(refused, OutboundError::Refused(_)), "{refused}");
        }
        let nobody = tokio::time::timeout(Duration::from_millis(50), heard).await;
        assert!(nobody.is_err(), "somebody connected");
    }
}
