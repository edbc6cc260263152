//! `configurar-provider`: how a provider of servers is reached.

use std::borrow::Cow;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::app::access::Scope;
use crate::app::providers::ProviderSettings;
use crate::error::Error;
use crate::mcp::answer::Answer;
use crate::mcp::call::Call;
use crate::mcp::schema::{Field, Kind, gives, may_give, needs, takes};
use crate::mcp::tools::{Definition, Nature};
use crate::mcp::words::words;
use crate::model::names::ProviderKind;

/// The tool.
pub(super) const CONFIGURE: Definition = Definition {
    name: words("configurar-provider", "configure-provider"),
    title: words("Configurar provider", "Configure a provider"),
    about: words(
        "Confere o token no provider e o guarda cifrado; nunca é mostrado de novo. sandbox e \
         docker não têm token. Prefira que a pessoa use `windlass config provider`.",
        "Checks the token with the provider and keeps it encrypted, never to be shown again. \
         sandbox and docker have none. Better: the person uses `windlass config provider`.",
    ),
    nature: Nature { reads: false, destroys: true, repeats: true, reaches_out: true },
    scope: Scope::Admin,
    takes: &[
        needs(
            "name",
            Kind::OneOf(&["hetzner", "digitalocean", "docker", "sandbox"]),
            words("", ""),
        ),
        takes("token", Kind::Text, words("Token da API", "API token")),
        takes("endpoint", Kind::Text, words("Outra URL base", "Another base URL")),
        takes("default", Kind::Boolean, words("Usar como padrão", "Make it the default")),
    ],
    gives: &VERIFIED,
};

/// What is known of credentials that were kept.
pub(super) const VERIFIED: [Field; 4] = [
    gives("name", Kind::Text),
    gives("verified", Kind::Boolean),
    may_give("reason", Kind::Text),
    gives("next", Kind::Text),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configure {
    name: ProviderKind,
    token: Option<String>,
    endpoint: Option<String>,
    default: Option<bool>,
}

/// What is known of credentials that were kept.
#[derive(Serialize)]
pub(super) struct Verified {
    pub(super) name: &'static str,
    /// Whether they were taken; false when that could not be asked.
    pub(super) verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) next: Cow<'static, str>,
}

/// Checks a token and keeps it.
pub(super) async fn configure(call: &Call<'_>) -> Result<Answer, Error> {
    let Configure { name, token, endpoint, default } = call.arguments()?;
    let token = token.map(SecretString::from);
    let settings = ProviderSettings { kind: name, token, endpoint, default };
    let reason = call.admin()?.configure_provider(settings).await?;
    let next = call.say(words("Chame criar-servidor.", "Call criar-servidor."));
    Answer::of(&Verified { name: name.as_str(), verified: reason.is_none(), reason, next })
}
