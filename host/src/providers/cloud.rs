//! The HTTP core that the clouds share: one request with its time-out, tried again only where that
//! can do no harm, and lists walked page by page.

pub mod answer;
pub mod cloud_config;
pub mod fingerprint;
pub mod patience;
pub mod request;

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::providers::cloud::answer::{ApiError, CallError, Setback};
use crate::providers::cloud::patience::Patience;
use crate::providers::cloud::request::{Credential, Request};
use crate::vault::masks::Masks;

/// A list longer than this is not walked to its end.
const MOST_PAGES: usize = 1_000;

/// What one provider's API does differently from another's.
pub struct Dialect {
    /// The provider's name, as it stands in messages.
    pub provider: &'static str,
    /// The header that names a request in the provider's own log.
    pub correlation_header: &'static str,
    /// The most entries that a page may have.
    pub per_page: u32,
    /// Reads code, message and details out of an error's body.
    pub error: fn(&Value) -> Option<(String, String, Value)>,
    /// What an error says about the request.
    pub verdict: fn(&ApiError) -> Verdict,
    /// The page after this one, told by a list's body.
    pub next_page: fn(&Value, u64) -> Option<u64>,
}

/// What an error says about the request that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Refused: asking again changes nothing.
    Final,
    /// Not done, and worth another try.
    Later,
    /// Perhaps done; the provider promises that another try does no harm.
    Repeatable,
    /// Perhaps done.
    Unclear,
}

/// How long things may take, and how often they are tried.
#[derive(Clone, Debug)]
pub struct Options {
    /// One try, until its answer is read.
    pub request_timeout: Duration,
    /// A call with all its tries and waits.
    pub call_timeout: Duration,
    /// Reaching the other side.
    pub connect_timeout: Duration,
    /// When to try again.
    pub patience: Patience,
    /// An answer longer than this is not read.
    pub max_answer_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(120),
            connect_timeout: Duration::from_secs(10),
            patience: Patience::default(),
            max_answer_bytes: 8 * 1024 * 1024,
        }
    }
}

/// A client of one provider's API with one credential.
pub struct Cloud {
    http: reqwest::Client,
    base: String,
    credential: Credential,
    /// The credential, should an answer quote it.
    masks: Masks,
    dialect: &'static Dialect,
    options: Options,
}

impl Cloud {
    /// A client for the API at `base`; nothing is sent yet.
    pub fn new(
        base: &str,
        credential: Credential,
        dialect: &'static Dialect,
        options: Options,
    ) -> Result<Self, CallError> {
        let unusable = |why: String| CallError::Unusable { why };
        let url = Url::parse(base).map_err(|error| unusable(format!("`{base}`: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(unusable(format!("`{base}` is no http or https address")));
        }
        credential.headers().map_err(unusable)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            // Shorter than any provider's own, so that a request is seldom sent into a
            // connection that the other side is just closing.
            .pool_idle_timeout(Duration::from_secs(15));
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| unusable(reason(&error)))?;
        let base = base.trim_end_matches('/').to_owned();
        let masks = credential.masks();
        Ok(Self { http, base, credential, masks, dialect, options })
    }

    /// Makes the call, trying again where that helps and harms nobody.
    pub async fn call<T: DeserializeOwned>(&self, request: &Request) -> Result<T, CallError> {
        self.call_within(request, self.options.call_timeout).await
    }

    /// The same, within `timeout` instead of the usual time.
    pub async fn call_within<T: DeserializeOwned>(
        &self,
        request: &Request,
        timeout: Duration,
    ) -> Result<T, CallError> {
        let deadline = Instant::now() + timeout;
        let mut perhaps_done = false;
        let mut failures = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let setback = match self.attempt(request, left.min(self.options.request_timeout)).await
            {
                Ok(answer) => return Ok(answer),
                Err(setback) => setback.masked(&self.masks),
            };
            failures += 1;
            let verdict = match &setback {
                Setback::NotSent(_) => Verdict::Later,
                Setback::Lost(_) => Verdict::Unclear,
                Setback::Answered(error) => (self.dialect.verdict)(error),
            };
            perhaps_done |= matches!(verdict, Verdict::Unclear | Verdict::Repeatable);
            let again = match verdict {
                Verdict::Final => false,
                Verdict::Unclear => request.harmless,
                Verdict::Later | Verdict::Repeatable => true,
            };
            let patience = &self.options.patience;
            let wait = patience
                .wait(setback.answered(), failures, rand::random())
                .filter(|wait| again && Instant::now() + *wait < deadline);
            let Some(wait) = wait else {
                let unknown = perhaps_done && !request.harmless;
                return Err(setback.into_error(verdict, unknown));
            };
            tracing::debug!(
                provider = self.dialect.provider,
                method = %request.method,
                path = request.path,
                failures,
                wait_ms = wait.as_millis(),
                "trying again: {setback}"
            );
            tokio::time::sleep(wait).await;
        }
    }

    /// All entries under `key` of a list, over all its pages. A list whose pages do not advance is
    /// an error, never a part of the list.
    pub async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&'static str, &str)],
        key: &str,
    ) -> Result<Vec<T>, CallError> {
        let garbled = |what: &str| CallError::Unreachable {
            why: format!("the list {path} cannot be read: {what}"),
        };
        let mut entries = Vec::new();
        let mut page = 1;
        for _ in 0..MOST_PAGES {
            let request = query
                .iter()
                .fold(Request::get(path), |request, (name, value)| request.with_query(name, value))
                .with_query("page", &page)
                .with_query("per_page", &self.dialect.per_page);
            let mut body: Value = self.call(&request).await?;
            let found = body
                .get_mut(key)
                .map(Value::take)
                .ok_or_else(|| garbled(&format!("there is no `{key}` in the answer")))?;
            let found: Vec<T> =
                serde_json::from_value(found).map_err(|error| garbled(&error.to_string()))?;
            entries.extend(found);
            match (self.dialect.next_page)(&body, page) {
                None => return Ok(entries),
                Some(next) if next > page => page = next,
                Some(_) => return Err(garbled("its pages do not advance")),
            }
        }
        Err(garbled("it has too many pages"))
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        request: &Request,
        timeout: Duration,
    ) -> Result<T, Setback> {
        let headers = self.credential.headers().map_err(Setback::NotSent)?;
        let url = format!("{}{}", self.base, request.path);
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .headers(headers)
            .query(&request.query)
            .timeout(timeout);
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let response = builder.send().await.map_err(|error| {
            let why = reason(&error);
            if error.is_connect() || error.is_builder() {
                Setback::NotSent(why)
            } else {
                Setback::Lost(why)
            }
        })?;
        answer::read(response, self.dialect, self.options.max_answer_bytes, &self.masks).await
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The error and its causes in one line, without the address: that is in the message around it.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    causes.pop().unwrap_or_else(|| "the request could not be made".to_owned())
}
