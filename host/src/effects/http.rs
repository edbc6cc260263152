//! Effects on web servers. Whether a request may be sent again is told by its method, or by the
//! plugin; the rest is the same for all, in [`Exchange`].

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::effects::inventory::record_of;
use crate::effects::{references, ssh};
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::{Identity, ServerName};
use crate::model::secret::Reference;
use crate::outbound::{self, OutboundError, Request, Response};

/// The most headers, and the most bytes of them together.
const MOST_HEADERS: (usize, usize) = (100, 64 * 1024);

/// Headers that are the connection's, and would change who is asked or how the answer is read.
const NOT_SET: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// One request.
pub struct Exchange {
    /// What is asked for.
    pub method: Method,
    /// Of whom.
    pub url: Url,
    /// Headers, with references in the places of secrets.
    pub headers: Vec<(String, String)>,
    /// The body, likewise.
    pub body: Vec<u8>,
    /// How long all of it may take.
    pub timeout: Duration,
    /// Through which server.
    pub via: Option<ServerName>,
}

/// An answer; its body in base64, since the journal is text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// A request that changes nothing.
pub struct Ask(pub Exchange);

/// A request that may be sent twice: its plugin says so.
pub struct Repeat(pub Exchange);

/// A request of which nobody knows what it does.
pub struct Order(pub Exchange);

macro_rules! exchange {
    ($effect:ident, $class:expr, $failed:expr) => {
        impl Effect for $effect {
            type Answer = Answer;
            const FUNCTION: &'static str = "http.send";
            const CLASS: Class = $class;

            fn needs(&self) -> Grant<'_> {
                Grant { interface: "http", server: self.0.via.as_ref().map(ServerName::as_str) }
            }

            fn mentions(&self) -> Result<Vec<Reference>, Failure> {
                self.0.mentions()
            }

            fn request(&self) -> Value {
                self.0.request()
            }

            async fn act(&self, job: &JobContext, _: &Identity) -> Result<Answer, Failure> {
                self.0.act(job, $failed).await
            }
        }
    };
}
exchange!(Ask, Class::Read, repeatable);
exchange!(Repeat, Class::Put, repeatable);
exchange!(Order, Class::Opaque, once);

impl Exchange {
    fn mentions(&self) -> Result<Vec<Reference>, Failure> {
        references::refuse(self.url.as_str(), "a URL")?;
        let mut found = references::find(&self.body)?;
        for (name, value) in &self.headers {
            references::refuse(name, "the name of a header")?;
            found.extend(references::find(value.as_bytes())?);
        }
        if !found.is_empty() && self.via.is_none() && self.url.scheme() != "https" {
            let message = "a secret goes over https only: use that in the URL";
            return Err(Failure::unsafe_to_retry("secret_exposed", message));
        }
        Ok(found)
    }

    fn request(&self) -> Value {
        json!({
            "method": self.method.as_str(),
            "url": self.url.as_str(),
            "headers": self.headers,
            "body_sha256": (!self.body.is_empty()).then(|| ssh::sha256(&self.body)),
            "timeout_ms": self.timeout.as_millis(),
            "via_server": self.via,
        })
    }

    async fn act(
        &self,
        job: &JobContext,
        failed: fn(&OutboundError) -> Failure,
    ) -> Result<Answer, Failure> {
        self.permit(job)?;
        let request = self.filled(job).await?;
        job.mask_secrets().await?;
        if let Some(answer) = self.simulated(job).await? {
            return Ok(answer);
        }
        let answered = match &self.via {
            Some(server) => {
                let remote = ssh::remote(job, server).await?;
                outbound::send_through(&*remote, request).await
            }
            None => outbound::send(request).await,
        };
        let Response { status, headers, body } = answered.map_err(|error| failed(&error))?;
        let body = BASE64_STANDARD.encode(job.masks().bytes(&body));
        Ok(Answer { status, headers, body })
    }

    /// An app may ask its own names through its own server; all else is by grant.
    fn permit(&self, job: &JobContext) -> Result<(), Failure> {
        let grants = job.grants();
        let host = self.url.host_str().unwrap_or_default().trim_end_matches('.');
        let is_own = self.via.is_some()
            && grants.app().is_some_and(|app| app.names.iter().any(|name| name.as_str() == host));
        if is_own || outbound::is_granted(&grants.http_hosts(), &self.url) {
            return Ok(());
        }
        let message = format!(
            "this plugin has no grant for requests to `{host}`: add it to `grants.http_hosts` of \
             its descriptor (with `:port` where that is not the usual one) and have it accepted"
        );
        Err(Failure::unsafe_to_retry("access_denied", message))
    }

    async fn filled(&self, job: &JobContext) -> Result<Request, Failure> {
        let invalid = |message: String| Failure::unsafe_to_retry("invalid_argument", message);
        let (most, bytes) = MOST_HEADERS;
        let length: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.headers.len() > most || length > bytes {
            return Err(invalid(format!("a request has at most {most} headers of {bytes} bytes")));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let value = references::substitute_text(job, value).await?;
            let key: HeaderName = name.parse().map_err(|_not_a_name| {
                invalid(format!("`{}` is no header", name.escape_debug()))
            })?;
            if NOT_SET.contains(&key.as_str()) {
                return Err(invalid(format!("the header `{key}` is the host's own to set")));
            }
            let mut value =
                HeaderValue::from_str(value.expose_secret()).map_err(|_not_a_line| {
                    invalid(format!("the value of the header `{key}` is no line of text"))
                })?;
            value.set_sensitive(true);
            headers.append(key, value);
        }
        let body = references::substitute(job, &self.body).await?.to_vec();
        let (method, url) = (self.method.clone(), self.url.clone());
        let most = job.limits().call_bytes;
        Ok(Request { method, url, headers, body, timeout: self.timeout, most })
    }

    /// What a job about a simulated server is answered: nothing real is asked for it.
    async fn simulated(&self, job: &JobContext) -> Result<Option<Answer>, Failure> {
        let is_simulated = match &job.record.server {
            _ if job.outside.is_rehearsal => true,
            Some(server) => record_of(job, server).await?.simulated,
            None => false,
        };
        let headers = vec![("x-simulated".to_owned(), "true".to_owned())];
        Ok(is_simulated.then(|| Answer { status: 200, headers, body: String::new() }))
    }
}

/// Of a request that may be sent again.
fn repeatable(error: &OutboundError) -> Failure {
    let message = error.to_string();
    match error {
        OutboundError::Refused(_) => Failure::unsafe_to_retry("access_denied", message),
        OutboundError::TooLarge { .. } => Failure::unsafe_to_retry("too_large", message),
        OutboundError::Unreachable { .. } | OutboundError::Lost { .. } => {
            Failure::safe("unavailable", message)
        }
    }
}

/// Of a request that may have done something.
fn once(error: &OutboundError) -> Failure {
    match error {
        OutboundError::Lost { .. } => Failure::unsafe_to_retry(
            "outcome_unknown",
            format!("{error}: it may have done what it asks for; look before sending it again"),
        ),
        other => repeatable(other),
    }
}
