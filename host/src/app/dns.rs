//! DNS: how Cloudflare is reached.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::app::access::Admin;
use crate::app::providers::is_http;
use crate::dns::cloudflare::Access;
use crate::error::{Error, ErrorKind, FieldError, sentence};
use crate::providers::registry::Verified;
use crate::storage::AuditRecord;

/// How Cloudflare is to be reached: by a token, or by an e-mail address and a key.
pub struct CloudflareSettings {
    /// An API token.
    pub api_token: Option<SecretString>,
    /// Whose key it is.
    pub email: Option<String>,
    /// A Global API Key.
    pub api_key: Option<SecretString>,
    /// Another base URL than the usual one.
    pub endpoint: Option<String>,
}

impl Admin {
    /// Checks the credentials with Cloudflare and keeps them unless they are refused. Answers why
    /// they could not be checked, if they could not.
    #[tracing::instrument(skip_all)]
    pub async fn configure_cloudflare(
        &self,
        settings: CloudflareSettings,
    ) -> Result<Option<String>, Error> {
        let endpoint = settings.endpoint.clone();
        let access = access(settings)?;
        let (way, pointer) = match access {
            Access::Token(_) => ("api_token", "/api_token"),
            Access::Key { .. } => ("api_key", "/api_key"),
        };
        let record = AuditRecord {
            at: Timestamp::now(),
            by: self.by.clone(),
            action: "config.cloudflare".to_owned(),
            target: "cloudflare".to_owned(),
            detail: json!({ "endpoint": endpoint, "by": way }),
        };
        self.app.store.audit(record).await?;
        match self.app.domains.configure(access, endpoint).await {
            Ok(Verified::Yes) => Ok(None),
            Ok(Verified::Unknown(reason)) => Ok(Some(reason)),
            Err(failure) if failure.code == "invalid_credentials" => {
                let message = sentence(&failure.message);
                let fields = json!([{ "pointer": pointer, "message": message }]);
                let error = Error::new(ErrorKind::Invalid, "invalid_credentials", message);
                Err(error.with_detail("fields", fields))
            }
            Err(failure) => Err(failure.into()),
        }
    }
}

/// One of the two ways, whole.
fn access(settings: CloudflareSettings) -> Result<Access, Error> {
    let mut wrong = Vec::new();
    let mut field = |pointer: &str, message: &str| {
        wrong.push(FieldError { pointer: pointer.to_owned(), message: message.to_owned() });
    };
    let CloudflareSettings { api_token, email, api_key, endpoint } = settings;
    if !endpoint.as_deref().is_none_or(is_http) {
        field("/endpoint", "An endpoint is a http or https URL.");
    }
    let is_text = |secret: &SecretString| is_header_text(secret.expose_secret());
    let access = match (api_token, email, api_key) {
        (Some(token), None, None) => {
            if !is_text(&token) {
                field("/api_token", "A token is 1 to 512 visible ASCII characters.");
            }
            Some(Access::Token(token))
        }
        (None, Some(email), Some(key)) => {
            if !is_header_text(&email) || !email.contains('@') {
                field("/email", "This is no e-mail address.");
            }
            if !is_text(&key) {
                field("/api_key", "A key is 1 to 512 visible ASCII characters.");
            }
            Some(Access::Key { email, key })
        }
        (None, None, Some(_)) => {
            field("/email", "A Global API Key needs the e-mail address of its user.");
            None
        }
        (None, Some(_), None) => {
            field("/api_key", "An e-mail address needs the Global API Key of that user.");
            None
        }
        (None, None, None) => {
            field("/api_token", "Give an `api_token`, or an `email` with its `api_key`.");
            None
        }
        (Some(_), _, _) => {
            field("/api_token", "Give either an `api_token`, or an `email` with its `api_key`.");
            None
        }
    };
    match access {
        Some(access) if wrong.is_empty() => Ok(access),
        _ => Err(Error::invalid_fields(&wrong)),
    }
}

fn is_header_text(text: &str) -> bool {
    (1..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
