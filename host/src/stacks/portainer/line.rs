//! HTTP to Portainer: over TLS, over a connection that its server makes, one for each request.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::outbound::tls;
use crate::ssh::{Remote, SshError, Tunnel};
use crate::stacks::portainer::location::Location;

/// How long one try to connect may take.
const CONNECT: Duration = Duration::from_secs(15);
/// How long it is tried again: a Portainer that starts listens some seconds later.
const STARTING: Duration = Duration::from_secs(15);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// The largest answer that is read.
const LARGEST: usize = 8 * 1024 * 1024;

/// The way to one Portainer.
#[derive(Clone)]
pub struct Line {
    remote: Arc<dyn Remote>,
    location: Location,
    tls: TlsConnector,
}

/// What Portainer answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Why it sends everybody elsewhere, where it does.
    pub(super) redirect_reason: Option<String>,
    pub(super) is_json: bool,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nothing was sent.
    Unreachable(String),
    /// The request was sent, and may have been carried out.
    Lost(String),
}

impl Line {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// When there is no way to speak TLS.
    pub fn new(remote: Arc<dyn Remote>, location: Location) -> Result<Self, String> {
        let tls = tls::client(Some(location.certificate.clone()));
        let tls = tls.map_err(|error| format!("TLS cannot be used: {error}"))?;
        Ok(Self { remote, location, tls: TlsConnector::from(Arc::new(tls)) })
    }

    /// Sends a request and hears its answer to the end, for so long.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<Answer, NoAnswer> {
        // Whoever asks may be a plugin, on a stack that is too short for a TLS handshake. The task
        // ends with this call, also where nobody waits for it any more.
        let mut task = JoinSet::new();
        task.spawn(self.clone().exchange(request, patience));
        match task.join_next().await {
            Some(Ok(answer)) => answer,
            Some(Err(_)) | None => Err(NoAnswer::Lost("the request was cut off".to_owned())),
        }
    }

    async fn exchange(
        self,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<Answer, NoAnswer> {
        let stream = self.connected().await.map_err(NoAnswer::Unreachable)?;
        match timeout(patience, exchange(stream, self.addressed(request))).await {
            Ok(answer) => answer.map_err(NoAnswer::Lost),
            Err(_elapsed) => {
                Err(NoAnswer::Lost(format!("no answer within {} s", patience.as_secs())))
            }
        }
    }

    fn addressed(&self, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
        let headers = request.headers_mut();
        let host = format!("{}:{}", self.location.address, self.location.port);
        if let Ok(host) = HeaderValue::from_str(&host) {
            headers.insert(HOST, host);
        }
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(USER_AGENT, HeaderValue::from_static("windlass"));
        request
    }

    async fn connected(&self) -> Result<TlsStream<Tunnel>, String> {
        let tunnel = self.tunnel().await?;
        let Location { address, port, .. } = &self.location;
        let name = ServerName::from(IpAddr::V4(*address));
        let stream = timeout(CONNECT, self.tls.connect(name, tunnel)).await.map_err(too_long)?;
        stream.map_err(|error| format!("TLS with {address}:{port} failed: {error}"))
    }

    async fn tunnel(&self) -> Result<Tunnel, String> {
        let (until, address) = (Instant::now() + STARTING, self.location.address.to_string());
        loop {
            let tried = timeout(CONNECT, self.remote.tunnel(&address, self.location.port)).await;
            match tried.map_err(too_long)? {
                Ok(tunnel) => return Ok(tunnel),
                Err(SshError::Refused { .. }) if Instant::now() + PAUSE < until => {
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

fn too_long(_: Elapsed) -> String {
    format!("no connection within {} s", CONNECT.as_secs())
}

async fn exchange(
    stream: TlsStream<Tunnel>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, String> {
    let words = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    let mut asked = pin!(async {
        let answer = sender.send_request(request).await.map_err(words)?;
        let (head, body) = answer.into_parts();
        let body =
            Limited::new(body, LARGEST).collect().await.map_err(|error| error.to_string())?;
        let text = |name: &str| head.headers.get(name).and_then(|it| it.to_str().ok());
        Ok(Answer {
            status: head.status,
            redirect_reason: text("redirect-reason").map(str::to_owned),
            is_json: text(CONTENT_TYPE.as_str()).is_some_and(|it| it.contains("json")),
            body: body.to_bytes(),
        })
    });
    // The connection moves the bytes of the request that is made on it.
    tokio::select! {
        biased;
        answer = &mut asked => return answer,
        ended = connection => ended.map_err(words)?,
    }
    asked.await
}
