//! What an admin does with the versions of a plugin.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::access::Admin;
use crate::app::plugins::{GrantsChange, PluginChanged};
use crate::http::error::{ErrorBody, Problem};
use crate::http::plugins::PluginDetailBody;
use crate::http::request::{InPath, JsonBody};
use crate::model::grants::GrantsWanted;
use crate::model::names::Digest;

/// What has changed.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct PluginChangedBody {
    success: bool,
    #[schema(example = "`hello` 0.2.0 is active; jobs that run keep the version they began with.")]
    message: String,
    /// The version that it is about.
    #[schema(value_type = Option<String>)]
    digest: Option<Digest>,
    /// How the plugin stands now; null when nothing is left of it.
    plugin: Option<PluginDetailBody>,
}

/// A version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ChosenVersion {
    #[schema(value_type = String,
        example = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")]
    digest: Digest,
}

/// A version to try.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct WantedCanary {
    #[schema(value_type = String,
        example = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")]
    digest: Digest,
    /// How many of a hundred new jobs; at 100 it is the active version.
    #[schema(example = 10, minimum = 1, maximum = 100)]
    percent: u8,
}

/// What becomes of what a plugin may do.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum WantedGrants {
    /// The waiting version of this digest gets what it asks for, and is active.
    #[schema(value_type = String)]
    Accept(Digest),
    /// The waiting version of this digest is forgotten.
    #[schema(value_type = String)]
    Deny(Digest),
    /// This is taken from every version, and from the jobs that run.
    Revoke(SomeGrants),
    /// This is given back.
    Restore(SomeGrants),
}

/// Grants, by kind.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SomeGrants {
    /// Interfaces of the contract.
    #[serde(default)]
    #[schema(example = json!(["ssh"]))]
    interfaces: Vec<String>,
    /// Hosts for HTTP requests.
    #[serde(default)]
    http_hosts: Vec<String>,
    /// Names of secrets.
    #[serde(default)]
    secrets: Vec<String>,
    /// What its stacks may do beyond the policy for all.
    #[serde(default)]
    stack: Vec<String>,
}

/// Lets new jobs run this version. Jobs that run keep theirs.
#[utoipa::path(post, path = "/api/plugins/{name}/activate", tag = "plugins",
    security(("token" = [])),
    params(("name" = String, Path, description = "The plugin's name", example = "hello")),
    request_body = ChosenVersion,
    responses((status = 200, description = "It is active", body = PluginChangedBody),
        (status = 404, description = "`no_such_version`", body = ErrorBody),
        (status = 409, description = "`grants_needed`, `version_collected`", body = ErrorBody)))]
pub(in crate::http) async fn activate_plugin(
    admin: Admin,
    InPath(name): InPath<String>,
    JsonBody { value, key: _ }: JsonBody<ChosenVersion>,
) -> Result<Json<PluginChangedBody>, Problem> {
    Ok(Json(admin.activate_plugin(&name, &value.digest).await?.into()))
}

/// Lets new jobs run the version that was active before the present one was chosen.
#[utoipa::path(post, path = "/api/plugins/{name}/rollback", tag = "plugins",
    security(("token" = [])),
    params(("name" = String, Path, description = "The plugin's name", example = "hello")),
    responses((status = 200, description = "It is active again", body = PluginChangedBody),
        (status = 409, description = "`no_earlier_version`, `version_collected`",
            body = ErrorBody)))]
pub(in crate::http) async fn roll_back_plugin(
    admin: Admin,
    InPath(name): InPath<String>,
) -> Result<Json<PluginChangedBody>, Problem> {
    Ok(Json(admin.roll_back_plugin(&name).await?.into()))
}

/// Takes a plugin out of use for new jobs; what came with the program under this name is back.
#[utoipa::path(delete, path = "/api/plugins/{name}", tag = "plugins", security(("token" = [])),
    params(("name" = String, Path, description = "The plugin's name", example = "hello")),
    responses((status = 200, description = "It is out of use", body = PluginChangedBody),
        (status = 409, description = "`built_in`", body = ErrorBody)))]
pub(in crate::http) async fn remove_plugin(
    admin: Admin,
    InPath(name): InPath<String>,
) -> Result<Json<PluginChangedBody>, Problem> {
    Ok(Json(admin.remove_plugin(&name).await?.into()))
}

/// Lets some of the new jobs run a version. It ends by itself when it does worse than the active
/// one; the history says why.
#[utoipa::path(post, path = "/api/plugins/{name}/canary", tag = "plugins",
    security(("token" = [])),
    params(("name" = String, Path, description = "The plugin's name", example = "hello")),
    request_body = WantedCanary,
    responses((status = 200, description = "It is tried", body = PluginChangedBody),
        (status = 404, description = "`no_such_version`", body = ErrorBody),
        (status = 409, description = "`already_active`, `grants_needed`, `version_collected`",
            body = ErrorBody)))]
pub(in crate::http) async fn start_canary(
    admin: Admin,
    InPath(name): InPath<String>,
    JsonBody { value, key: _ }: JsonBody<WantedCanary>,
) -> Result<Json<PluginChangedBody>, Problem> {
    Ok(Json(admin.try_plugin(&name, &value.digest, value.percent).await?.into()))
}

/// Ends a trial: all new jobs run the active version again.
#[utoipa::path(delete, path = "/api/plugins/{name}/canary", tag = "plugins",
    security(("token" = [])),
    params(("name" = String, Path, description = "The plugin's name", example = "hello")),
    responses((status = 200, description = "It is over", body = PluginChangedBody),
        (status = 409, description = "`no_canary`", body = ErrorBody)))]
pub(in crate::http) async fn end_canary(
    admin: Admin,
    InPath(name): InPath<String>,
) -> Result<Json<PluginChangedBody>, Problem> {
    Ok(Json(admin.end_plugin_trial(&name).await?.into()))
}

/// Answers a waiting version, or takes grants away and gives them back. What is revoked is refused
/// to running jobs from their next call on.
#[utoipa::path(post, path = "/api/plugins/{name}/grants", tag = "plugins",
    security(("token" = [])),
    params(("name" = String, Path, description = "The plugin's name", example = "hello")),
    request_body = WantedGrants,
    responses((status = 200, description = "It is so", body = PluginChangedBody),
        (status = 404, description = "`no_such_plugin`, `no_such_version`", body = ErrorBody),
        (status = 409, description = "`not_pending`, `version_collected`", body = ErrorBody)))]
pub(in crate::http) async fn change_grants(
    admin: Admin,
    InPath(name): InPath<String>,
    JsonBody { value, key: _ }: JsonBody<WantedGrants>,
) -> Result<Json<PluginChangedBody>, Problem> {
    let change = match value {
        WantedGrants::Accept(digest) => GrantsChange::Accept(digest),
        WantedGrants::Deny(digest) => GrantsChange::Deny(digest),
        WantedGrants::Revoke(what) => GrantsChange::Revoke(what.into()),
        WantedGrants::Restore(what) => GrantsChange::Restore(what.into()),
    };
    Ok(Json(admin.change_grants(&name, change).await?.into()))
}

impl From<SomeGrants> for GrantsWanted {
    fn from(some: SomeGrants) -> Self {
        let SomeGrants { interfaces, http_hosts, secrets, stack } = some;
        Self { interfaces, http_hosts, secrets, stack }
    }
}

impl From<PluginChanged> for PluginChangedBody {
    fn from(changed: PluginChanged) -> Self {
        let PluginChanged { message, digest, plugin } = changed;
        Self { success: true, message, digest, plugin: plugin.map(PluginDetailBody::from) }
    }
}
