//! `/api/tokens`: who may talk to the host.

use axum::Json;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::access::{Admin, Scope};
use crate::http::error::{ErrorBody, Problem};
use crate::http::request::{InPath, JsonBody};

/// A token that somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateToken {
    /// 1 to 64 of a-z, 0-9, -, _ and dots.
    #[schema(example = "ci", min_length = 1, max_length = 64)]
    name: String,
    scope: Scope,
}

/// A new token.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenCreated {
    name: String,
    scope: Scope,
    /// It is told now and never again.
    #[schema(example = "wl_5Jm1…")]
    token: String,
}

/// A token as it may be shown.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenBody {
    name: String,
    scope: Scope,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// All tokens.
#[derive(Serialize, ToSchema)]
pub(super) struct TokensBody {
    /// By name.
    tokens: Vec<TokenBody>,
}

/// A token was revoked.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenRevoked {
    success: bool,
    #[schema(example = "Token revoked")]
    message: &'static str,
}

/// Makes a token. It is told once.
#[utoipa::path(post, path = "/api/tokens", tag = "tokens", security(("token" = [])),
    request_body = CreateToken,
    responses((status = 201, description = "The token, once", body = TokenCreated),
        (status = 409, description = "`token_exists`", body = ErrorBody)))]
pub(super) async fn create_token(
    admin: Admin,
    JsonBody { value, key: _ }: JsonBody<CreateToken>,
) -> Result<(StatusCode, Json<TokenCreated>), Problem> {
    let CreateToken { name, scope } = value;
    let token = admin.create_token(&name, scope).await?;
    Ok((StatusCode::CREATED, Json(TokenCreated { name, scope, token })))
}

/// Lists all tokens, without what is secret in them.
#[utoipa::path(get, path = "/api/tokens", tag = "tokens", security(("token" = [])),
    responses((status = 200, description = "All tokens, by name", body = TokensBody)))]
pub(super) async fn list_tokens(admin: Admin) -> Result<Json<TokensBody>, Problem> {
    let tokens = admin.tokens().await?.into_iter().map(|token| TokenBody {
        name: token.name,
        scope: token.scope,
        created_at: token.created_at,
    });
    Ok(Json(TokensBody { tokens: tokens.collect() }))
}

/// Makes a token worthless, from now on.
#[utoipa::path(delete, path = "/api/tokens/{name}", tag = "tokens", security(("token" = [])),
    params(("name" = String, Path, description = "The token's name", example = "ci")),
    responses((status = 200, description = "It is worthless", body = TokenRevoked),
        (status = 409, description = "`last_admin_token`", body = ErrorBody)))]
pub(super) async fn revoke_token(
    admin: Admin,
    InPath(name): InPath<String>,
) -> Result<Json<TokenRevoked>, Problem> {
    admin.revoke_token(&name).await?;
    Ok(Json(TokenRevoked { success: true, message: "Token revoked" }))
}
