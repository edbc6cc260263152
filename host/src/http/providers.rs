//! `/api/config/provider` and `/api/providers`: how providers are reached, and what they offer.

use axum::Json;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::access::{Admin, Reader};
use crate::app::providers::ProviderSettings;
use crate::http::error::{ErrorBody, Problem};
use crate::http::request::{InQuery, JsonBody};
use crate::model::catalogue::{Image, Location, ServerType};
use crate::model::names::ProviderKind;

/// How a provider is to be reached.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigureProvider {
    /// Which one.
    name: ProviderKind,
    /// Its API token. Kept encrypted, never shown again. `docker` and `sandbox` have none.
    #[schema(format = Password)]
    token: Option<String>,
    /// Another base URL than the usual one.
    #[schema(example = "https://api.hetzner.cloud/v1")]
    endpoint: Option<String>,
    /// Whether servers are made there unless said otherwise; when not said: if no other is.
    default: Option<bool>,
}

/// A provider was configured.
#[derive(Serialize, ToSchema)]
pub(super) struct ProviderConfigured {
    success: bool,
    #[schema(example = "The provider hetzner is ready.")]
    message: String,
    #[serde(rename = "data")]
    outcome: Verification,
}

/// What is known of the credentials.
#[derive(Serialize, ToSchema)]
pub(super) struct Verification {
    name: ProviderKind,
    /// Whether the provider took them; false when it could not be asked.
    verified: bool,
}

/// Which provider.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProviderQuery {
    /// The default one when not said.
    provider: Option<ProviderKind>,
}

/// What sizes there are.
#[derive(Serialize, ToSchema)]
pub(super) struct ServerTypesBody {
    provider: ProviderKind,
    server_types: Vec<ServerType>,
    /// Whether this is old, because the provider does not answer.
    stale: bool,
}

/// What places there are.
#[derive(Serialize, ToSchema)]
pub(super) struct LocationsBody {
    provider: ProviderKind,
    locations: Vec<Location>,
    /// Whether this is old, because the provider does not answer.
    stale: bool,
}

/// What images there are.
#[derive(Serialize, ToSchema)]
pub(super) struct ImagesBody {
    provider: ProviderKind,
    images: Vec<Image>,
    /// Whether this is old, because the provider does not answer.
    stale: bool,
}

/// Checks a provider's token with the provider and keeps it, unless it is refused.
#[utoipa::path(post, path = "/api/config/provider", tag = "configuration",
    security(("token" = [])), request_body = ConfigureProvider,
    responses((status = 200, description = "It is kept", body = ProviderConfigured),
        (status = 502, description = "The provider cannot be used from here", body = ErrorBody)))]
pub(super) async fn configure_provider(
    admin: Admin,
    JsonBody { value, key: _ }: JsonBody<ConfigureProvider>,
) -> Result<Json<ProviderConfigured>, Problem> {
    let ConfigureProvider { name, token, endpoint, default } = value;
    let token = token.map(SecretString::from);
    let settings = ProviderSettings { kind: name, token, endpoint, default };
    let unverified = admin.configure_provider(settings).await?;
    let verified = unverified.is_none();
    let message = match unverified {
        None => format!("The provider {name} is ready."),
        Some(why) => format!("The provider {name} is kept, but could not be asked: {why}."),
    };
    let outcome = Verification { name, verified };
    Ok(Json(ProviderConfigured { success: true, message, outcome }))
}

/// Lists the sizes that a provider offers.
#[utoipa::path(get, path = "/api/providers/server-types", tag = "providers",
    security(("token" = [])), params(ProviderQuery),
    responses((status = 200, description = "The sizes", body = ServerTypesBody),
        (status = 409, description = "`provider_not_configured`; `next` says how",
            body = ErrorBody),
        (status = 429, description = "The provider limits its callers", body = ErrorBody),
        (status = 502, description = "The provider does not answer", body = ErrorBody),
        (status = 504, description = "The provider takes too long", body = ErrorBody)))]
pub(super) async fn list_server_types(
    reader: Reader,
    InQuery(query): InQuery<ProviderQuery>,
) -> Result<Json<ServerTypesBody>, Problem> {
    let offer = reader.offer(query.provider).await?;
    let server_types = offer.catalogue.server_types;
    Ok(Json(ServerTypesBody { provider: offer.provider, server_types, stale: offer.stale }))
}

/// Lists the places that a provider offers.
#[utoipa::path(get, path = "/api/providers/locations", tag = "providers",
    security(("token" = [])), params(ProviderQuery),
    responses((status = 200, description = "The places", body = LocationsBody),
        (status = 409, description = "`provider_not_configured`; `next` says how",
            body = ErrorBody),
        (status = 429, description = "The provider limits its callers", body = ErrorBody),
        (status = 502, description = "The provider does not answer", body = ErrorBody),
        (status = 504, description = "The provider takes too long", body = ErrorBody)))]
pub(super) async fn list_locations(
    reader: Reader,
    InQuery(query): InQuery<ProviderQuery>,
) -> Result<Json<LocationsBody>, Problem> {
    let offer = reader.offer(query.provider).await?;
    let locations = offer.catalogue.locations;
    Ok(Json(LocationsBody { provider: offer.provider, locations, stale: offer.stale }))
}

/// Lists the system images that a provider offers.
#[utoipa::path(get, path = "/api/providers/images", tag = "providers",
    security(("token" = [])), params(ProviderQuery),
    responses((status = 200, description = "The images", body = ImagesBody),
        (status = 409, description = "`provider_not_configured`; `next` says how",
            body = ErrorBody),
        (status = 429, description = "The provider limits its callers", body = ErrorBody),
        (status = 502, description = "The provider does not answer", body = ErrorBody),
        (status = 504, description = "The provider takes too long", body = ErrorBody)))]
pub(super) async fn list_images(
    reader: Reader,
    InQuery(query): InQuery<ProviderQuery>,
) -> Result<Json<ImagesBody>, Problem> {
    let offer = reader.offer(query.provider).await?;
    let images = offer.catalogue.images;
    Ok(Json(ImagesBody { provider: offer.provider, images, stale: offer.stale }))
}
