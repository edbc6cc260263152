//! Providers: how they are reached, and what they offer.

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;

use crate::app::access::{Admin, Reader};
use crate::error::{Error, ErrorKind, FieldError, sentence};
use crate::model::catalogue::Catalogue;
use crate::model::failure::Failure;
use crate::model::names::ProviderKind;
use crate::providers::registry::{Access, Verified};
use crate::storage::AuditRecord;

/// How a provider is to be reached.
pub struct ProviderSettings {
    /// Which one.
    pub kind: ProviderKind,
    /// Its token; checked, sealed, never shown again.
    pub token: Option<SecretString>,
    /// Another base URL than the usual one.
    pub endpoint: Option<String>,
    /// Whether servers are made there unless said otherwise.
    pub default: Option<bool>,
}

/// What a provider offers.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Which one.
    pub provider: ProviderKind,
    /// All of it.
    pub catalogue: Catalogue,
    /// Whether it is old, because the provider does not answer.
    pub stale: bool,
}

impl Admin {
    /// Checks the credentials with the provider and keeps them unless they are refused. Answers
    /// why they could not be checked, if they could not.
    #[tracing::instrument(skip_all, fields(provider = %settings.kind))]
    pub async fn configure_provider(
        &self,
        settings: ProviderSettings,
    ) -> Result<Option<String>, Error> {
        check(&settings)?;
        let record = AuditRecord {
            at: Timestamp::now(),
            by: self.by.clone(),
            action: "config.provider".to_owned(),
            target: settings.kind.to_string(),
            detail: json!({ "endpoint": settings.endpoint, "default": settings.default }),
        };
        self.app.store.audit(record).await?;
        let ProviderSettings { kind, token, endpoint, default } = settings;
        match self.app.registry.configure(Access { kind, token, endpoint, default }).await {
            Ok(Verified::Yes) => Ok(None),
            Ok(Verified::Unknown(reason)) => Ok(Some(reason)),
            Err(failure) if failure.code == "invalid_credentials" => Err(refused(&failure)),
            Err(failure) => Err(failure.into()),
        }
    }
}

impl Reader {
    /// What a provider offers; the default one when none is named.
    pub async fn offer(&self, provider: Option<ProviderKind>) -> Result<Offer, Error> {
        self.app.offer(provider).await
    }
}

impl crate::app::App {
    pub(super) async fn offer(&self, provider: Option<ProviderKind>) -> Result<Offer, Error> {
        let provider = match provider {
            Some(provider) => provider,
            None => self.registry.default_kind().await?,
        };
        let (catalogue, stale) = self
            .registry
            .catalogue(provider)
            .await
            .map_err(|failure| unusable(failure, provider))?;
        Ok(Offer { provider, catalogue, stale })
    }
}

fn check(settings: &ProviderSettings) -> Result<(), Error> {
    let mut wrong = Vec::new();
    let mut field = |pointer: &str, message: String| {
        wrong.push(FieldError { pointer: pointer.to_owned(), message });
    };
    let kind = settings.kind;
    let needs_token = matches!(kind, ProviderKind::Hetzner | ProviderKind::DigitalOcean);
    match &settings.token {
        None if needs_token => field("/token", format!("The provider {kind} needs a token.")),
        Some(_) if !needs_token => field("/token", format!("The provider {kind} has no token.")),
        Some(token) if !is_header_text(token) => {
            field("/token", "A token is 1 to 512 visible ASCII characters.".to_owned());
        }
        None | Some(_) => {}
    }
    if let Some(endpoint) = &settings.endpoint
        && !is_http(endpoint)
        && !(settings.kind == ProviderKind::Docker && is_engine(endpoint))
    {
        field("/endpoint", "An endpoint is a http or https URL.".to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::invalid_fields(&wrong)) }
}

/// Whether a Docker engine can be there: a socket's path, or a TCP address.
fn is_engine(endpoint: &str) -> bool {
    ["/", "unix://", "tcp://"].iter().any(|start| endpoint.starts_with(start))
}

/// Whether this can be a base URL.
pub(super) fn is_http(endpoint: &str) -> bool {
    reqwest::Url::parse(endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn is_header_text(token: &SecretString) -> bool {
    use secrecy::ExposeSecret;
    let token = token.expose_secret();
    (1..=512).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

fn refused(failure: &Failure) -> Error {
    let message = sentence(&failure.message);
    Error::new(ErrorKind::Invalid, "invalid_credentials", message.clone())
        .with_detail("fields", json!([{ "pointer": "/token", "message": message }]))
}

fn unusable(failure: Failure, provider: ProviderKind) -> Error {
    let not_configured = failure.code == "provider_not_configured";
    let error = Error::from(failure).with_detail("provider", provider.as_str());
    if not_configured { error.with_next("POST /api/config/provider") } else { error }
}
