//! The way to a host: the one that was named, the one that runs on the home, or one that is part
//! of this process for as long as the command takes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::app::access::Reader;
use crate::app::home::{self, Occupant};
use crate::cli::{Exit, Refusal, is_command};
use crate::config::{Config, ConfigError, Flags, Target};
use crate::http;

/// How long is waited for a host that is just starting.
const STARTING: Duration = Duration::from_secs(10);
/// How long between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// What a host that is part of this process has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Answer.
    Looking,
    /// Run jobs as well.
    Working,
}

/// A host that can be asked.
pub(super) struct Connection {
    client: reqwest::Client,
    /// Where the host listens. One that starts again on its home may listen elsewhere.
    url: ArcSwap<String>,
    token: SecretString,
    /// The home whose host this is, unless it was named by its address or is part of this process.
    home: Option<PathBuf>,
    embedded: Option<Embedded>,
}

/// A host that is part of this process.
struct Embedded {
    app: Arc<App>,
    end: CancellationToken,
    tasks: TaskTracker,
}

impl Connection {
    /// Finds a host, or starts one.
    pub(super) async fn open(flags: &Flags, need: Need) -> Result<Self, Refusal> {
        let target = Target::read(flags);
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .build()
            .map_err(|error| Refusal::new(Exit::Unreachable, error.to_string()))?;
        let config = Config::read(flags);
        if let Some(url) = target.url {
            let home = config.as_ref().ok().map(|config| config.home.as_path());
            let token = token(target.token, home)?;
            let url = ArcSwap::from_pointee(url.trim_end_matches('/').to_owned());
            return Ok(Self { client, url, token, home: None, embedded: None });
        }
        let mut config = config.map_err(|error| usage(&error))?;
        if let Some(occupant) = home::occupant(&config.home) {
            let address = address_of(&config.home, occupant).await?;
            let token = token(target.token, Some(&config.home))?;
            let url = ArcSwap::from_pointee(format!("http://{address}"));
            return Ok(Self { client, url, token, home: Some(config.home), embedded: None });
        }
        if need == Need::Looking {
            config.workers = 0;
        }
        let (embedded, address) = Embedded::start(&config).await?;
        let token = SecretString::from(embedded.app.own_token());
        let url = ArcSwap::from_pointee(format!("http://{address}"));
        Ok(Self { client, url, token, home: None, embedded: Some(embedded) })
    }

    /// A host on a home of its own for as long as the command takes, where everything outside is
    /// simulated. It works.
    pub(super) async fn simulated(home: &Path) -> Result<Self, Refusal> {
        let flags = Flags { home: Some(home.to_owned()), ..Flags::default() };
        let config = Config::read(&flags).map_err(|error| usage(&error))?.simulated();
        let client = reqwest::Client::new();
        let (embedded, address) = Embedded::start(&config).await?;
        let token = SecretString::from(embedded.app.own_token());
        let url = ArcSwap::from_pointee(format!("http://{address}"));
        Ok(Self { client, url, token, home: None, embedded: Some(embedded) })
    }

    /// Makes a job of any operation on a host that is part of this process, and answers its id.
    pub(super) async fn rehearse(
        &self,
        operation: &str,
        params: Value,
        server: &str,
    ) -> Result<String, Refusal> {
        let Some(Embedded { app, .. }) = &self.embedded else {
            return Err(Refusal::new(Exit::Refused, "A host that serves others is no rehearsal."));
        };
        let operator = Reader::authenticate(app, self.token.expose_secret())?.operator()?;
        let (operation, server) = (operation.parse()?, server.parse()?);
        Ok(operator.rehearse(&operation, params, server).await?.to_string())
    }

    /// Looks where the host of the home listens now. Whoever waits for a host that was started
    /// again calls this before asking it anew.
    pub(super) fn find_again(&self) {
        let occupant = self.home.as_deref().and_then(home::occupant);
        if let Some(address) = occupant.and_then(|occupant| occupant.address) {
            self.url.store(Arc::new(format!("http://{address}")));
        }
    }

    /// Whether the host ends with this process.
    pub(super) const fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Asks, and answers what the host says.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Refusal> {
        body(self.send(Method::GET, path, None).await?).await
    }

    /// Sends a body, and answers what the host says.
    pub(super) async fn post(&self, path: &str, body_: &Value) -> Result<Value, Refusal> {
        body(self.send(Method::POST, path, Some(body_)).await?).await
    }

    /// Sends a component, and answers what the host says.
    pub(super) async fn post_component(
        &self,
        path: &str,
        component: Vec<u8>,
    ) -> Result<Value, Refusal> {
        let request = self.client.post(self.address(path)).bearer_auth(self.token.expose_secret());
        let request = request.header("Content-Type", "application/wasm").body(component);
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            body(response).await
        } else {
            Err(refused(response).await)
        }
    }

    /// Changes something, and answers what the host says.
    pub(super) async fn patch(&self, path: &str, body_: &Value) -> Result<Value, Refusal> {
        body(self.send(Method::PATCH, path, Some(body_)).await?).await
    }

    /// Deletes, and answers what the host says.
    pub(super) async fn delete(&self, path: &str) -> Result<Value, Refusal> {
        body(self.send(Method::DELETE, path, None).await?).await
    }

    /// Opens a stream of events after this one.
    pub(super) async fn events(&self, path: &str, after: u64) -> Result<Response, Refusal> {
        let request = self.client.get(self.address(path)).bearer_auth(self.token.expose_secret());
        let request = request.header("Last-Event-ID", after);
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    /// Sends an agent's message.
    pub(super) async fn agent_request(
        &self,
        headers: Vec<(&'static str, String)>,
        body: String,
    ) -> reqwest::Result<Response> {
        let request =
            self.client.post(self.address("/mcp")).bearer_auth(self.token.expose_secret());
        let request = request
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, "application/json");
        headers
            .into_iter()
            .fold(request, |it, (name, value)| it.header(name, value))
            .body(body)
            .send()
            .await
    }

    /// Ends the host, if it is part of this process: what runs goes on with the next one.
    pub(super) async fn close(self) {
        self.end().await;
    }

    /// The same, when others may still hold it.
    pub(super) async fn end(&self) {
        if let Some(embedded) = &self.embedded {
            embedded.stop().await;
        }
    }

    /// The token in the home, for the one command that makes a new one.
    pub(super) fn keep_token(&self, token: &str) -> Result<bool, Refusal> {
        let Some(embedded) = &self.embedded else { return Ok(false) };
        Ok(embedded.app.replace_lost_token(token)?)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, Refusal> {
        let request = self.client.request(method, self.address(path));
        let request = request.bearer_auth(self.token.expose_secret());
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url.load())
    }

    fn unreachable(&self, error: &reqwest::Error) -> Refusal {
        let (reason, url) = (root_cause(error), self.url.load());
        if error.is_builder() {
            let message = format!("`{url}` is no address of a host: {reason}.");
            return Refusal::new(Exit::Usage, message)
                .with_next("windlass --url http://127.0.0.1:8000 server list");
        }
        let message = format!("The host at {url} cannot be reached: {reason}.");
        Refusal::new(Exit::Unreachable, message).with_next("windlass serve")
    }
}

impl Embedded {
    async fn start(config: &Config) -> Result<(Self, SocketAddr), Refusal> {
        let cannot = |error: std::io::Error| {
            Refusal::new(Exit::Refused, format!("This process cannot listen: {error}."))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let app = App::start(config).await?;
        app.announce(address)?;
        let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(http::serve(app.clone(), listener, end.clone()));
        tasks.close();
        Ok((Self { app, end, tasks }, address))
    }

    async fn stop(&self) {
        self.end.cancel();
        self.tasks.wait().await;
        self.app.stop().await;
    }
}

/// A wrong setting is a mistake of whoever calls.
pub(super) fn usage(error: &ConfigError) -> Refusal {
    Refusal::new(Exit::Usage, crate::error::sentence(&error.to_string()))
}

/// A host that starts says where it listens as soon as it does.
async fn address_of(home: &Path, mut occupant: Occupant) -> Result<SocketAddr, Refusal> {
    let pid = occupant.pid;
    let found = tokio::time::timeout(STARTING, async {
        loop {
            if let Some(address) = occupant.address {
                return address;
            }
            tokio::time::sleep(LOOK).await;
            occupant = home::occupant(home).unwrap_or(occupant);
        }
    });
    found.await.map_err(|_elapsed| {
        let message = format!("The host with process id {pid} uses this home and does not answer.");
        Refusal::new(Exit::Unreachable, message)
    })
}

fn token(given: Option<String>, home: Option<&Path>) -> Result<SecretString, Refusal> {
    if let Some(token) = given {
        return Ok(SecretString::from(token));
    }
    let path = home.map(|home| home.join("token"));
    let found = path.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
    found.map(|text| SecretString::from(text.trim().to_owned())).ok_or_else(|| {
        let message = "There is no token: set WINDLASS_TOKEN, or stop the host and make a new one.";
        Refusal::new(Exit::Refused, message).with_next("windlass token create NAME --scope admin")
    })
}

async fn body(response: Response) -> Result<Value, Refusal> {
    response.json().await.map_err(|error| {
        let message = format!("The host's answer was cut off: {}.", root_cause(&error));
        Refusal::new(Exit::Unreachable, message)
    })
}

async fn refused(response: Response) -> Refusal {
    let status = response.status();
    let body: Value = response.json().await.unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let mut message =
        text("error").map_or_else(|| format!("The host says {status}."), str::to_owned);
    let fields = body.pointer("/details/fields").and_then(Value::as_array);
    for field in fields.into_iter().flatten().skip(1) {
        let more = field.get("message").and_then(Value::as_str).unwrap_or_default();
        message = format!("{message}\n       {more}");
    }
    let next = body.get("next").and_then(Value::as_array).into_iter().flatten();
    let next =
        next.filter_map(Value::as_str).filter(|it| is_command(it)).map(str::to_owned).collect();
    let exit = match status {
        // What stands before a host says so while the host is started again.
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            Exit::Unreachable
        }
        _ => Exit::Refused,
    };
    let code = text("code").unwrap_or("refused").to_owned();
    Refusal { exit, code, message, next }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
