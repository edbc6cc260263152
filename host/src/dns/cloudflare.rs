//! Zones at Cloudflare.

mod dialect;
mod records;
mod wire;
mod zones;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::HeaderName;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::dns::Zones;
use crate::dns::cloudflare::dialect::{DIALECT, explain, refusal_in};
use crate::dns::cloudflare::wire::Envelope;
use crate::dns::marker::{Marker, Owner};
use crate::model::dns::{DnsId, DnsName, DnsRecord, NewRecord, Zone, ZoneRef};
use crate::providers::ProviderError;
use crate::providers::cloud::answer::CallError;
use crate::providers::cloud::patience::Patience;
use crate::providers::cloud::request::{Credential, Request};
use crate::providers::cloud::{self, Cloud};

/// Where the API is unless the configuration says otherwise.
pub const ENDPOINT: &str = "https://api.cloudflare.com/client/v4";

/// A list longer than this is not walked to its end.
const MOST_PAGES: u32 = 1_000;

/// How Cloudflare knows us.
#[derive(Clone)]
pub enum Access {
    /// An API token, good for what it was made for.
    Token(SecretString),
    /// The Global API Key of a user, good for all that he may.
    Key {
        /// Whose.
        email: String,
        /// The key.
        key: SecretString,
    },
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::Key { .. } => "Key",
        })
    }
}

impl Access {
    fn credential(&self) -> Credential {
        match self {
            Self::Token(token) => Credential::Bearer(token.clone()),
            Self::Key { email, key } => Credential::Headers(vec![
                (HeaderName::from_static("x-auth-email"), SecretString::from(email.clone())),
                (HeaderName::from_static("x-auth-key"), key.clone()),
            ]),
        }
    }

    /// What to say when it is refused, and it looks like the other of the two.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Token(text) if is_like_key(text.expose_secret()) => Some(
                "this looks like a Global API Key: give it as `api_key`, together with the `email` \
                 of its user",
            ),
            Self::Key { key, .. } if is_like_token(key.expose_secret()) => {
                Some("this looks like an API token: give it as `api_token`, without an e-mail")
            }
            Self::Token(_) | Self::Key { .. } => None,
        }
    }
}

fn is_like_key(text: &str) -> bool {
    text.len() == 37 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_like_token(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// How long things may take.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of every single call.
    pub cloud: cloud::Options,
    /// Checking the credentials.
    pub verify_timeout: Duration,
    /// Before the records are looked at again that somebody else changes at the same time.
    pub settles: Duration,
}

impl Default for Options {
    fn default() -> Self {
        // Whoever is over the limit is blocked for the rest of its five minutes.
        let limit_wait = Some(Duration::from_secs(60));
        let patience = Patience { limit_wait, ..Patience::default() };
        Self {
            cloud: cloud::Options { patience, ..cloud::Options::default() },
            verify_timeout: Duration::from_secs(2),
            settles: Duration::from_millis(500),
        }
    }
}

/// The zones that one credential reaches.
pub struct Cloudflare {
    cloud: Cloud,
    owner: Owner,
    hint: Option<&'static str>,
    options: Options,
}

impl Cloudflare {
    /// The zones of `access`, at Cloudflare's own address or at `endpoint`. Records with the mark
    /// of `owner` are ours. Sends nothing yet.
    pub fn new(
        access: &Access,
        owner: Owner,
        endpoint: Option<&str>,
        options: Options,
    ) -> Result<Self, ProviderError> {
        let base = endpoint.unwrap_or(ENDPOINT);
        let hint = access.hint();
        let cloud = Cloud::new(base, access.credential(), &DIALECT, options.cloud.clone())
            .map_err(|error| explain("use Cloudflare", error, hint))?;
        Ok(Self { cloud, owner, hint, options })
    }

    /// Makes a call. The envelope says whether it went well; the status alone does not.
    async fn call<T: DeserializeOwned>(&self, request: &Request) -> Result<T, CallError> {
        opened(self.cloud.call(request).await?).map(|envelope| envelope.result)
    }

    /// All entries of a list, over all its pages.
    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&'static str, &str)],
    ) -> Result<Vec<T>, CallError> {
        let garbled = |what| CallError::Unreachable {
            why: format!("the list {path} cannot be read: {what}"),
        };
        let mut entries = Vec::new();
        for page in 1..=MOST_PAGES {
            let request = query
                .iter()
                .fold(Request::get(path), |request, (name, value)| request.with_query(name, value))
                .with_query("page", &page)
                .with_query("per_page", &DIALECT.per_page);
            let answer: Envelope<Vec<T>> = opened(self.cloud.call(&request).await?)?;
            entries.extend(answer.result);
            match answer.result_info {
                Some(told) if told.page != page => {
                    return Err(garbled("its pages do not advance"));
                }
                Some(told) if page < told.total_pages => {}
                Some(_) | None => return Ok(entries),
            }
        }
        Err(garbled("it has too many pages"))
    }

    /// The error as a person should read it. `doing` ends the sentence "could not …".
    fn explain(&self, doing: &str, error: CallError) -> ProviderError {
        explain(doing, error, self.hint)
    }
}

/// What is in an envelope, if it says that the call went well.
fn opened<T: DeserializeOwned>(body: Value) -> Result<Envelope<T>, CallError> {
    if let Some(refusal) = refusal_in(&body) {
        return Err(CallError::Refused(Box::new(refusal)));
    }
    serde_json::from_value(body).map_err(|error| CallError::Unreachable {
        why: format!("its answer cannot be read: {error}"),
    })
}

#[async_trait]
impl Zones for Cloudflare {
    async fn verify(&self) -> Result<(), ProviderError> {
        // Tokens of a user and of an account are verified at different addresses, keys at none:
        // the list of zones is there for all of them. It has at least five entries a page.
        let request = Request::get("/zones").with_query("per_page", &5);
        let checked = self.cloud.call_within(&request, self.options.verify_timeout).await;
        let checked = checked.and_then(opened::<Value>);
        checked.map(drop).map_err(|error| self.explain("check the credentials", error))
    }

    async fn zones(&self) -> Result<Vec<Zone>, ProviderError> {
        self.all_zones().await
    }

    async fn lookup(
        &self,
        zone: &ZoneRef,
        name: &DnsName,
    ) -> Result<Vec<DnsRecord>, ProviderError> {
        let zone = self.zone(zone).await?;
        self.records(&zone, name).await
    }

    async fn upsert(
        &self,
        wanted: &NewRecord,
        marker: &Marker,
    ) -> Result<DnsRecord, ProviderError> {
        self.make_so(wanted, marker).await
    }

    async fn record(&self, zone: &ZoneRef, id: &DnsId) -> Result<Option<DnsRecord>, ProviderError> {
        let zone = self.zone(zone).await?;
        self.found(&zone, id).await
    }

    async fn delete(&self, zone: &ZoneRef, id: &DnsId) -> Result<(), ProviderError> {
        self.delete_ours(zone, id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_token_are_told_apart_by_their_shapes() {
        let key = "0123456789abcdef0123456789abcdef01234";
        let token = "abcdefghijklmnopqrstuvwxyz-_ABCDEFGH0123";
        assert!(is_like_key(key) && !is_like_token(key));
        assert!(is_like_token(token) && !is_like_key(token));
        let access = Access::Token(SecretString::from(key));
        assert!(access.hint().is_some_and(|hint| hint.contains("api_key")));
        assert_eq!(format!("{access:?}"), "Token");
    }
}
