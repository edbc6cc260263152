//! What is asked of a provider, and by whom.

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::vault::masks::Masks;

/// One call to be made. Has no `Debug`: its body may hold secrets.
pub struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    pub(super) harmless: bool,
}

impl Request {
    /// Reads.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into(), true)
    }

    /// Removes; doing that twice does no harm.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path.into(), true)
    }

    /// Makes something, so a second one may make a second.
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, path.into(), false) }
    }

    /// Replaces; doing that twice does no harm.
    pub fn put(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PUT, path.into(), true) }
    }

    /// Adds a parameter.
    pub fn with_query(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Declares that a second one of these does no harm, whatever came of the first.
    pub fn harmless_to_repeat(mut self) -> Self {
        self.harmless = true;
        self
    }

    fn new(method: Method, path: String, harmless: bool) -> Self {
        Self { method, path, query: Vec::new(), body: None, harmless }
    }
}

/// How the client proves who it is.
pub enum Credential {
    /// `Authorization: Bearer …`.
    Bearer(SecretString),
    /// Headers of the provider's own.
    Headers(Vec<(HeaderName, SecretString)>),
}

impl Credential {
    /// What may be seen in no answer.
    pub(super) fn masks(&self) -> Masks {
        let masks = Masks::default();
        match self {
            Self::Bearer(token) => masks.add(token),
            Self::Headers(all) => all.iter().for_each(|(_, value)| masks.add(value)),
        }
        masks
    }

    /// What goes with every request; the reason if that cannot be a header.
    pub(super) fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        let mut put = |name: HeaderName, value: &str| {
            let mut value = HeaderValue::from_str(value)
                .map_err(|error| format!("the token cannot be one: {error}"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
            Ok::<(), String>(())
        };
        match self {
            Self::Bearer(token) => {
                put(AUTHORIZATION, &format!("Bearer {}", token.expose_secret().trim()))?;
            }
            Self::Headers(all) => {
                for (name, value) in all {
                    put(name.clone(), value.expose_secret().trim())?;
                }
            }
        }
        Ok(headers)
    }
}
