//! The way of a request to the host and of its answers back, which lasts when the host does not.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use reqwest::Response;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::cli::Refusal;
use crate::cli::connection::{Connection, Need};
use crate::cli::mcp::message::{Request, refused};
use crate::config::Flags;

/// How long is waited for a host that is gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long between two looks.
const BETWEEN: Duration = Duration::from_millis(250);

/// What the agent is told when the host went away in the middle of an answer.
const CUT_OFF: &str = "A conexão com o host caiu antes da resposta. Os jobs continuam: liste \
     os jobs ou aguarde pelo job_id; não repita um comando SSH sem verificar. (The host went away \
     before it answered. Jobs go on: list them, or wait by job_id; look before you repeat a command.)";
/// And when it stays away.
const AWAY: &str = "O host não responde. Inicie `windlass serve` e tente de novo: nada foi feito. \
     (The host does not answer: start it and try again; nothing was done.)";

/// The way to the host.
pub(super) struct Passage {
    flags: Flags,
    read_only: bool,
    connection: Mutex<Arc<Connection>>,
    /// The revision that an agent of the older kind agreed on.
    agreed: RwLock<Option<String>>,
}

/// Why an answer did not come.
enum Lost {
    /// The request did not arrive.
    Before(String),
    /// It did.
    Within(String),
}

impl Passage {
    /// Finds the host, or starts one.
    pub(super) async fn open(flags: Flags, read_only: bool) -> Result<Self, Refusal> {
        let connection = Connection::open(&flags, Need::Working).await?;
        let connection = Mutex::new(Arc::new(connection));
        Ok(Self { flags, read_only, connection, agreed: RwLock::default() })
    }

    /// Ends the host, if it is part of this process.
    pub(super) async fn close(&self) {
        self.connection.lock().await.end().await;
    }

    /// Passes a request on, and its answers back.
    pub(super) async fn pass(&self, request: Request, agent: &mpsc::Sender<Value>) {
        let until = Instant::now() + PATIENCE;
        loop {
            let connection = self.connection.lock().await.clone();
            match self.attempt(&connection, &request, agent).await {
                Ok(()) => return,
                Err(Lost::Within(why)) => {
                    warn!(why, method = request.method(), "an answer was cut off");
                    return tell(agent, request.unanswered(CUT_OFF)).await;
                }
                Err(Lost::Before(why)) if Instant::now() < until => {
                    debug!(why, "the host is looked for again");
                    tokio::time::sleep(BETWEEN).await;
                    self.reopen(&connection).await;
                }
                Err(Lost::Before(why)) => {
                    warn!(why, "the host stays away");
                    return tell(agent, request.unanswered(AWAY)).await;
                }
            }
        }
    }

    async fn attempt(
        &self,
        connection: &Connection,
        request: &Request,
        agent: &mpsc::Sender<Value>,
    ) -> Result<(), Lost> {
        let response = connection.agent_request(self.headers(request), request.body()).await;
        let response = response.map_err(|error| {
            let why = error.to_string();
            if error.is_connect() { Lost::Before(why) } else { Lost::Within(why) }
        })?;
        if response.status() == reqwest::StatusCode::SERVICE_UNAVAILABLE {
            return Err(Lost::Before("it is about to end".to_owned()));
        }
        let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
        let is_stream = kind
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|it| it.starts_with("text/event-stream"));
        if is_stream {
            return self.stream(response, request, agent).await;
        }
        let status = response.status();
        let body = response.text().await.map_err(|error| Lost::Within(error.to_string()))?;
        let message = match serde_json::from_str::<Value>(&body) {
            Ok(message) if message.get("jsonrpc").is_some() => message,
            Ok(other) => {
                let why = other.get("error").and_then(Value::as_str).unwrap_or_default();
                refused(request.id(), -32_603, why)
            }
            Err(_) => refused(request.id(), -32_603, &format!("The host says {status}: {body}")),
        };
        self.deliver(message, request, agent).await;
        Ok(())
    }

    /// Passes the messages of a stream on; the last one is the answer.
    async fn stream(
        &self,
        mut response: Response,
        request: &Request,
        agent: &mpsc::Sender<Value>,
    ) -> Result<(), Lost> {
        let mut text: Vec<u8> = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|error| Lost::Within(error.to_string()))?;
            let Some(chunk) = chunk else {
                return Err(Lost::Within("the stream ended".to_owned()));
            };
            text.extend_from_slice(&chunk);
            while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                let rest = text.split_off(end + 2);
                let event = String::from_utf8_lossy(&text).into_owned();
                text = rest;
                let Some(message) = message(&event) else { continue };
                let last = request.is_answered_by(&message);
                self.deliver(message, request, agent).await;
                if last {
                    return Ok(());
                }
            }
        }
    }

    async fn deliver(&self, message: Value, request: &Request, agent: &mpsc::Sender<Value>) {
        if request.method() == "initialize"
            && let Some(version) = message.pointer("/result/protocolVersion")
            && let (Some(version), Ok(mut agreed)) = (version.as_str(), self.agreed.write())
        {
            *agreed = Some(version.to_owned());
        }
        tell(agent, message).await;
    }

    fn headers(&self, request: &Request) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        let agreed = || self.agreed.read().ok().and_then(|agreed| agreed.clone());
        let version = request.version().map(str::to_owned);
        let version = version.or_else(|| agreed().filter(|_| request.method() != "initialize"));
        headers.extend(version.map(|version| ("mcp-protocol-version", version)));
        headers.push(("mcp-method", request.method().to_owned()));
        headers.extend(request.name().map(|name| ("mcp-name", name)));
        if self.read_only {
            headers.push(("x-mcp-readonly", "1".to_owned()));
        }
        headers
    }

    /// Looks for the host again, unless another request did already.
    async fn reopen(&self, lost: &Arc<Connection>) {
        let mut connection = self.connection.lock().await;
        if !Arc::ptr_eq(&connection, lost) || connection.is_embedded() {
            return;
        }
        match Connection::open(&self.flags, Need::Working).await {
            Ok(found) => *connection = Arc::new(found),
            Err(refusal) => debug!(?refusal, "the host is not there yet"),
        }
    }
}

async fn tell(agent: &mpsc::Sender<Value>, message: Value) {
    if agent.send(message).await.is_err() {
        warn!("nobody reads the answers any more");
    }
}

/// The message of an event; none in comments.
fn message(event: &str) -> Option<Value> {
    let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
    let lines: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    serde_json::from_str(&lines.join("\n")).ok()
}
