//! Requests to what a server itself serves at its web ports, over its SSH connection. That is
//! authenticated, so the certificate within is not asked for: it may not have been issued yet.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{OutboundError, Request, Response, host_of, shown, tls};
use crate::ssh::Remote;

/// Where the server's own doors are, seen from there.
const OWN: &str = "127.0.0.1";

/// Sends a request to port 80 or 443 of the server itself, with the URL's host as the name that is
/// asked for.
///
/// # Errors
/// When the URL has another port, or there is no answer.
pub async fn send_through(
    remote: &dyn Remote,
    request: Request,
) -> Result<Response, OutboundError> {
    let host = host_of(&request.url);
    let port = match (request.url.scheme(), request.url.port()) {
        ("http", None) => 80,
        ("https", None) => 443,
        _ => {
            let message = "through a server only its ports 80 and 443 are asked: leave the port \
                           out of the URL";
            return Err(OutboundError::Refused(message.to_owned()));
        }
    };
    let too_long =
        |_| OutboundError::Lost { host: host.clone(), reason: "it took too long".into() };
    tokio::time::timeout(request.timeout, async {
        let unreachable =
            |reason: String| OutboundError::Unreachable { host: host.clone(), reason };
        let tunnel = remote.tunnel(OWN, port).await;
        let tunnel = tunnel.map_err(|error| unreachable(error.to_string()))?;
        if port == 80 {
            return exchange(tunnel, request).await;
        }
        let name = ServerName::try_from(host.clone());
        let name = name.map_err(|error| unreachable(error.to_string()))?;
        let tls = tls::client(None).map_err(|error| unreachable(error.to_string()))?;
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, tunnel).await;
        exchange(stream.map_err(|error| unreachable(format!("TLS failed: {error}")))?, request)
            .await
    })
    .await
    .map_err(too_long)?
}

async fn exchange<S>(stream: S, request: Request) -> Result<Response, OutboundError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (host, most) = (host_of(&request.url), request.most);
    let lost = |reason: String| OutboundError::Lost { host: host.clone(), reason };
    let asked = asked(request, &host).map_err(|error| lost(error.to_string()))?;
    let words = |error: hyper::Error| lost(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    let mut answered = pin!(async {
        let (head, body) = sender.send_request(asked).await.map_err(words)?.into_parts();
        let body = Limited::new(body, most).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return OutboundError::TooLarge { host: host.clone(), most };
            }
            lost(error.to_string())
        })?;
        let (status, headers) = (head.status.as_u16(), shown(&head.headers));
        Ok(Response { status, headers, body: body.to_bytes().to_vec() })
    });
    // The connection moves the bytes of the request that is made on it.
    tokio::select! {
        biased;
        answer = &mut answered => return answer,
        ended = connection => ended.map_err(words)?,
    }
    answered.await
}

fn asked(request: Request, host: &str) -> Result<hyper::Request<Full<Bytes>>, hyper::http::Error> {
    let Request { method, url, headers, body, .. } = request;
    let path = url
        .query()
        .map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let mut asked = hyper::Request::builder().method(method).uri(path).header(HOST, host);
    if let Some(map) = asked.headers_mut() {
        map.extend(headers);
        map.insert(CONNECTION, HeaderValue::from_static("close"));
        map.entry(USER_AGENT).or_insert(HeaderValue::from_static("windlass"));
    }
    asked.body(Full::new(Bytes::from(body)))
}
