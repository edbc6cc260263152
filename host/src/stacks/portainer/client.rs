//! Portainer's API, as far as the host needs it: signing in, environments, stacks of a swarm.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::stacks::StackName;
use crate::stacks::portainer::line::{Answer, Line, NoAnswer};
use crate::stacks::portainer::refusal::Refusal;
use crate::stacks::portainer::tokens::{self, Token};
use crate::stacks::portainer::wire::{
    Environment, KnownStack, SignedIn, SwarmFacts, Words, credentials, new_stack, update,
};
use crate::stacks::swarm::Deployment;

/// Whom the host signs in as.
const USER: &str = "admin";
/// What Portainer calls the environment of its own swarm.
const ENVIRONMENT: &str = "primary";
/// How the form for a new environment is cut.
const BOUNDARY: &str = "windlass-5f0d1b7a";
const FORM: &str = "multipart/form-data; boundary=windlass-5f0d1b7a";
/// How long Portainer may think.
const THINKING: Duration = Duration::from_secs(30);
/// How long it may take to find its agent.
const STARTING: Duration = Duration::from_secs(15);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How long it may deploy: it answers only when the engine took on the stack.
pub(super) const DEPLOYING: Duration = Duration::from_secs(300);

/// A client of one server's Portainer.
pub struct Client {
    line: Line,
    password: SecretString,
    token: Arc<Token>,
}

/// The swarm that Portainer deploys to.
pub(super) struct Place {
    environment: u64,
    swarm: String,
}

/// One call. Has no `Debug`: its body may hold secrets.
struct Call {
    method: Method,
    path: String,
    content_type: &'static str,
    body: Vec<u8>,
    patience: Duration,
    is_order: bool,
}

impl Client {
    /// A client that signs in with this password, or goes on with a sign-in that there is.
    pub fn new(line: Line, password: SecretString, token: Arc<Token>) -> Self {
        Self { line, password, token }
    }

    /// The swarm that stacks go to.
    pub(super) async fn place(&self) -> Result<Place, Refusal> {
        let environment = self.environment().await?;
        let path = format!("/api/endpoints/{environment}/docker/swarm");
        let facts: SwarmFacts = self.read_when_started(&Call::get(path)).await?;
        // It becomes a part of a path.
        if facts.id.is_empty() || !facts.id.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(Refusal::nonsense("the swarm's id"));
        }
        Ok(Place { environment, swarm: facts.id })
    }

    /// The id of the stack of this name.
    pub(super) async fn stack(
        &self,
        place: &Place,
        name: &StackName,
    ) -> Result<Option<u64>, Refusal> {
        let filter = format!("%7B%22SwarmID%22%3A%22{}%22%7D", place.swarm);
        let call = Call::get(format!("/api/stacks?filters={filter}"));
        let answer = self.call(&call).await?;
        if answer.status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let known: Vec<KnownStack> = parsed(&answer)?;
        let mut same = known
            .iter()
            .filter(|it| it.name == name.as_str() && it.endpoint_id == place.environment);
        Ok(same.next().map(|it| it.id))
    }

    /// Makes a stack; a second one of the name is refused.
    pub(super) async fn create(
        &self,
        place: &Place,
        name: &StackName,
        wanted: &Deployment,
    ) -> Result<(), Refusal> {
        let path = format!("/api/stacks/create/swarm/string?endpointId={}", place.environment);
        let body = new_stack(name, &place.swarm, wanted);
        let call = Call::with(Method::POST, path, &body).ordering();
        self.call(&call).await.map(drop)
    }

    /// Makes a stack be what is wanted.
    pub(super) async fn update(
        &self,
        place: &Place,
        id: u64,
        wanted: &Deployment,
    ) -> Result<(), Refusal> {
        let path = format!("/api/stacks/{id}?endpointId={}", place.environment);
        let call = Call::with(Method::PUT, path, &update(wanted)).ordering();
        self.call(&call).await.map(drop)
    }

    /// Removes a stack; one that is gone is fine.
    pub(super) async fn delete(&self, place: &Place, id: u64) -> Result<(), Refusal> {
        let path = format!("/api/stacks/{id}?endpointId={}", place.environment);
        let call = Call { method: Method::DELETE, ..Call::get(path) }.ordering();
        match self.call(&call).await {
            Err(Refusal::Answer { status: StatusCode::NOT_FOUND, .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    async fn environment(&self) -> Result<u64, Refusal> {
        if let Some(id) = self.known_environment().await? {
            return Ok(id);
        }
        let call = Call {
            method: Method::POST,
            content_type: FORM,
            body: new_environment(),
            ..Call::get("/api/endpoints".to_owned())
        };
        match self.call(&call).await {
            Ok(answer) => Ok(parsed::<Environment>(&answer)?.id),
            // Somebody else was faster.
            Err(taken @ Refusal::Answer { status: StatusCode::CONFLICT, .. }) => {
                self.known_environment().await?.ok_or(taken)
            }
            Err(other) => Err(other),
        }
    }

    async fn known_environment(&self) -> Result<Option<u64>, Refusal> {
        let call = Call::get("/api/endpoints?excludeSnapshots=true".to_owned());
        let known: Vec<Environment> = self.read(&call).await?;
        let primary = known.iter().find(|it| it.name == ENVIRONMENT);
        match (primary, known.as_slice()) {
            (Some(one), _) => Ok(Some(one.id)),
            (None, [one]) => Ok(Some(one.id)),
            (None, []) => Ok(None),
            (None, _) => Err(Refusal::sentence(
                "portainer_ambiguous",
                "Portainer has several environments and none of them is called `primary`: give \
                 that name to the one of this server's swarm",
            )),
        }
    }

    /// A Portainer that just started may not reach its agent yet.
    async fn read_when_started<A: DeserializeOwned>(&self, call: &Call) -> Result<A, Refusal> {
        let until = Instant::now() + STARTING;
        loop {
            match self.read(call).await {
                Err(Refusal::Answer { status, .. })
                    if status.is_server_error() && Instant::now() + PAUSE < until =>
                {
                    sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    async fn read<A: DeserializeOwned>(&self, call: &Call) -> Result<A, Refusal> {
        parsed(&self.call(call).await?)
    }

    /// Makes a call, signed in. A sign-in that does not count any more is renewed once: nothing is
    /// carried out without one.
    async fn call(&self, call: &Call) -> Result<Answer, Refusal> {
        let token = self.signed_in(None).await?;
        match self.send(call, Some(&token)).await {
            Err(Refusal::Answer { status: StatusCode::UNAUTHORIZED, .. }) => {
                let token = self.signed_in(Some(&token)).await?;
                self.send(call, Some(&token)).await
            }
            other => other,
        }
    }

    async fn signed_in(&self, stale: Option<&SecretString>) -> Result<SecretString, Refusal> {
        let mut kept = self.token.lock().await;
        let fresh = |it: &&SecretString| !stale.is_some_and(|stale| tokens::is_same(stale, it));
        if let Some(token) = kept.as_ref().filter(fresh) {
            return Ok(token.clone());
        }
        *kept = None;
        let token = self.sign_in().await?;
        *kept = Some(token.clone());
        Ok(token)
    }

    async fn sign_in(&self) -> Result<SecretString, Refusal> {
        let call =
            Call::with(Method::POST, "/api/auth".to_owned(), &credentials(USER, &self.password));
        let answer = match self.send(&call, None).await {
            Err(refused) if refused.is_wrong_password() && self.has_no_administrator().await? => {
                self.make_administrator().await?;
                self.send(&call, None).await
            }
            answer => answer,
        };
        let signed_in: SignedIn = parsed(&answer.map_err(Refusal::at_the_door)?)?;
        Ok(SecretString::from(signed_in.jwt))
    }

    /// Whether nobody can sign in yet: a Portainer that was started without a password.
    async fn has_no_administrator(&self) -> Result<bool, Refusal> {
        match self.send(&Call::get("/api/users/admin/check".to_owned()), None).await {
            Ok(_) => Ok(false),
            Err(Refusal::Answer { status: StatusCode::NOT_FOUND, is_gap: false, .. }) => Ok(true),
            Err(other) => Err(other),
        }
    }

    async fn make_administrator(&self) -> Result<(), Refusal> {
        let path = "/api/users/admin/init".to_owned();
        let call = Call::with(Method::POST, path, &credentials(USER, &self.password));
        match self.send(&call, None).await {
            Ok(_) | Err(Refusal::Answer { status: StatusCode::CONFLICT, .. }) => Ok(()),
            Err(other) => Err(other.at_first_start()),
        }
    }

    async fn send(&self, call: &Call, token: Option<&SecretString>) -> Result<Answer, Refusal> {
        let request = call.request(token).map_err(|error| Refusal::internal(&error))?;
        match self.line.send(request, call.patience).await {
            Ok(answer) if answer.status.is_success() => Ok(answer),
            Ok(answer) => Err(refusal(&answer)),
            Err(NoAnswer::Unreachable(why)) => Err(Refusal::Unreachable(why)),
            Err(NoAnswer::Lost(why)) if call.is_order => Err(Refusal::Lost(why)),
            Err(NoAnswer::Lost(why)) => Err(Refusal::Unreachable(why)),
        }
    }
}

impl Call {
    fn get(path: String) -> Self {
        let (content_type, body) = ("application/json", Vec::new());
        let (method, patience) = (Method::GET, THINKING);
        Self { method, path, content_type, body, patience, is_order: false }
    }

    fn with(method: Method, path: String, body: &Value) -> Self {
        Self { method, body: body.to_string().into_bytes(), ..Self::get(path) }
    }

    /// The same as an order, whose answer takes long and is worth a look when it is lost.
    fn ordering(self) -> Self {
        Self { patience: DEPLOYING, is_order: true, ..self }
    }

    fn request(
        &self,
        token: Option<&SecretString>,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut request = Request::builder().method(&self.method).uri(&self.path);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
        }
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, self.content_type);
        }
        request.body(Full::new(Bytes::from(self.body.clone())))
    }
}

/// The form for the environment of the agents that are deployed beside Portainer.
fn new_environment() -> Vec<u8> {
    let fields = [
        ("Name", ENVIRONMENT),
        ("EndpointCreationType", "2"),
        ("ContainerEngine", "docker"),
        ("URL", "tcp://tasks.agent:9001"),
        ("TLS", "true"),
        ("TLSSkipVerify", "true"),
        ("TLSSkipClientVerify", "true"),
    ];
    let part = |(name, value): (&str, &str)| {
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
    };
    let parts: String = fields.into_iter().map(part).collect();
    format!("{parts}--{BOUNDARY}--\r\n").into_bytes()
}

fn parsed<A: DeserializeOwned>(answer: &Answer) -> Result<A, Refusal> {
    serde_json::from_slice(&answer.body).map_err(|_unread| Refusal::nonsense("its answer"))
}

fn refusal(answer: &Answer) -> Refusal {
    if answer.redirect_reason.as_deref() == Some("AdminInitTimeout") {
        return Refusal::locked();
    }
    let words = serde_json::from_slice::<Words>(&answer.body).map(|it| it.joined());
    let words = words.unwrap_or_else(|_| String::from_utf8_lossy(&answer.body).into_owned());
    let is_gap = answer.status == StatusCode::NOT_FOUND && !answer.is_json;
    Refusal::answer(answer.status, &words, is_gap)
}
