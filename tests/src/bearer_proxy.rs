//! A proxy that adds a token to what passes, for clients that cannot. It keeps `Host` and `Origin`,
//! but for its own name, which it replaces by the host's.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::host_process::TestHost;

/// A running proxy; it ends with this value.
pub struct BearerProxy {
    address: String,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Way {
    own: String,
    host: String,
    token: String,
    client: reqwest::Client,
}

impl BearerProxy {
    /// One before this host.
    pub async fn start(host: &TestHost) -> Self {
        Self::before(host.url(), host.token()).await
    }

    /// One before the host at this address, with this token.
    pub async fn before(url: &str, token: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let way = Way {
            own: address.clone(),
            host: url.trim_start_matches("http://").to_owned(),
            token,
            client: reqwest::Client::new(),
        };
        let router = Router::new().fallback(pass).with_state(way);
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the proxy serves");
        });
        Self { address, task }
    }

    /// Where the host's door for agents is.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
}

impl Drop for BearerProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(way): State<Way>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let url = format!("http://{}{}", way.host, parts.uri);
    let headers = renamed(&parts.headers, &way);
    let body = reqwest::Body::wrap_stream(body.into_data_stream());
    let sent = way.client.request(parts.method, url).headers(headers).bearer_auth(&way.token);
    match sent.body(body).send().await {
        Ok(answer) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            response.headers_mut().remove(header::TRANSFER_ENCODING);
            *response.body_mut() = Body::from_stream(answer.bytes_stream());
            response
        }
        Err(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

/// The headers, with the host's name for the proxy's own.
fn renamed(headers: &HeaderMap, way: &Way) -> HeaderMap {
    let port = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
    let (own, host) = (port(&way.own), port(&way.host));
    let mut headers = headers.clone();
    headers.remove(header::TRANSFER_ENCODING);
    for name in [header::HOST, header::ORIGIN] {
        let text = headers.get(&name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let renamed = text
            .and_then(|text| Some(format!("{}:{host}", text.strip_suffix(&format!(":{own}"))?)));
        if let Some(value) = renamed.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}
