//! `/api/config/cloudflare`: how Cloudflare is reached.

use axum::Json;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::access::Admin;
use crate::app::dns::CloudflareSettings;
use crate::http::error::{ErrorBody, Problem};
use crate::http::request::JsonBody;

/// How Cloudflare is to be reached: `api_token` alone, or `email` and `api_key`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigureCloudflare {
    /// An API token with Zone:Read and DNS:Edit. Kept encrypted, never shown again.
    #[schema(format = Password)]
    api_token: Option<String>,
    /// The user whose key it is.
    #[schema(example = "ops@example.com")]
    email: Option<String>,
    /// The user's Global API Key. Kept encrypted, never shown again.
    #[schema(format = Password)]
    api_key: Option<String>,
    /// Another base URL than the usual one.
    #[schema(example = "https://api.cloudflare.com/client/v4")]
    endpoint: Option<String>,
}

/// Cloudflare was configured.
#[derive(Serialize, ToSchema)]
pub(super) struct CloudflareConfigured {
    success: bool,
    #[schema(example = "Cloudflare is ready.")]
    message: String,
    #[serde(rename = "data")]
    outcome: CloudflareVerification,
}

/// What is known of the credentials.
#[derive(Serialize, ToSchema)]
pub(super) struct CloudflareVerification {
    #[schema(example = "cloudflare")]
    name: &'static str,
    /// Whether Cloudflare took them; false when it could not be asked.
    verified: bool,
}

/// Checks Cloudflare's credentials with Cloudflare and keeps them, unless they are refused.
#[utoipa::path(post, path = "/api/config/cloudflare", tag = "configuration",
    security(("token" = [])), request_body = ConfigureCloudflare,
    responses((status = 200, description = "They are kept", body = CloudflareConfigured),
        (status = 502, description = "Cloudflare cannot be used from here", body = ErrorBody)))]
pub(super) async fn configure_cloudflare(
    admin: Admin,
    JsonBody { value, key: _ }: JsonBody<ConfigureCloudflare>,
) -> Result<Json<CloudflareConfigured>, Problem> {
    let ConfigureCloudflare { api_token, email, api_key, endpoint } = value;
    let (api_token, api_key) = (api_token.map(SecretString::from), api_key.map(SecretString::from));
    let settings = CloudflareSettings { api_token, email, api_key, endpoint };
    let unverified = admin.configure_cloudflare(settings).await?;
    let verified = unverified.is_none();
    let message = match unverified {
        None => "Cloudflare is ready.".to_owned(),
        Some(why) => format!("The credentials are kept, but could not be checked: {why}."),
    };
    let outcome = CloudflareVerification { name: "cloudflare", verified };
    Ok(Json(CloudflareConfigured { success: true, message, outcome }))
}
