//! `configurar-cloudflare`: how the keeper of names is reached.

use secrecy::SecretString;
use serde::Deserialize;

use crate::app::access::Scope;
use crate::app::dns::CloudflareSettings;
use crate::error::Error;
use crate::mcp::answer::Answer;
use crate::mcp::call::Call;
use crate::mcp::providers::{VERIFIED, Verified};
use crate::mcp::schema::{Kind, takes};
use crate::mcp::tools::{Definition, Nature};
use crate::mcp::words::words;

/// The tool.
pub(super) const CONFIGURE: Definition = Definition {
    name: words("configurar-cloudflare", "configure-cloudflare"),
    title: words("Configurar Cloudflare", "Configure Cloudflare"),
    about: words(
        "Confere as credenciais do Cloudflare e as guarda cifradas: api_token, ou email com \
         api_key. Nunca são mostradas de novo.",
        "Checks Cloudflare's credentials and keeps them encrypted: api_token, or email with \
         api_key. They are never shown again.",
    ),
    nature: Nature { reads: false, destroys: true, repeats: true, reaches_out: true },
    scope: Scope::Admin,
    takes: &[
        takes("api_token", Kind::Text, words("Token da API", "API token")),
        takes("email", Kind::Text, words("E-mail da conta", "The account's e-mail")),
        takes("api_key", Kind::Text, words("Global API Key", "Global API Key")),
    ],
    gives: &VERIFIED,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configure {
    api_token: Option<String>,
    email: Option<String>,
    api_key: Option<String>,
}

/// Checks credentials and keeps them.
pub(super) async fn configure(call: &Call<'_>) -> Result<Answer, Error> {
    let Configure { api_token, email, api_key } = call.arguments()?;
    let settings = CloudflareSettings {
        api_token: api_token.map(SecretString::from),
        email,
        api_key: api_key.map(SecretString::from),
        endpoint: None,
    };
    let reason = call.admin()?.configure_cloudflare(settings).await?;
    let next = call.say(words(
        "Chame configurar-servidor-completo com zone_name.",
        "Call configurar-servidor-completo with zone_name.",
    ));
    Answer::of(&Verified { name: "cloudflare", verified: reason.is_none(), reason, next })
}
