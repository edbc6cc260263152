//! `/api/plugins`: the operations that this host can run, and which versions run them.

mod changes;
mod upload;

use axum::Json;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

pub(super) use changes::{
    __path_activate_plugin, __path_change_grants, __path_end_canary, __path_remove_plugin,
    __path_roll_back_plugin, __path_start_canary, activate_plugin, change_grants, end_canary,
    remove_plugin, roll_back_plugin, start_canary,
};
pub(super) use upload::{__path_add_plugin, add_plugin};

use crate::app::access::Reader;
use crate::app::plugins::{PluginDetail, PluginInfo};
use crate::http::error::Problem;
use crate::http::request::{InPath, InQuery};
use crate::model::grants::GrantsWanted;
use crate::model::names::{Digest, Origin};
use crate::model::plugin::{Activation, Canary, Cause, PluginVersion, Rejected, Source, Standing};

/// How much of a history is shown unless asked for more.
const SHOWN: usize = 100;

/// The plugins of this host.
#[derive(Serialize, ToSchema)]
pub(super) struct PluginsBody {
    /// The active ones, by name.
    plugins: Vec<ListedPlugin>,
    /// Versions that some of the new jobs try.
    canaries: Vec<CanaryBody>,
    /// Versions that wait until somebody accepts what they ask for.
    pending: Vec<PendingBody>,
    /// Files of the watched directory that are of no use.
    rejected: Vec<RejectedBody>,
}

/// An active plugin, and how it came here.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedPlugin {
    #[serde(flatten)]
    plugin: PluginBody,
    source: Source,
    /// Where in a registry it is, as whoever added it said; null of what came otherwise.
    #[schema(value_type = Option<String>,
        example = "oci://ghcr.io/team/hello@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")]
    origin: Option<Origin>,
}

/// A plugin.
#[derive(Serialize, ToSchema)]
pub(super) struct PluginBody {
    #[schema(example = "create-server")]
    name: String,
    #[schema(example = "0.1.0")]
    version: String,
    /// SHA-256 of its bytes.
    digest: String,
    /// What it can run: the `type` of its jobs.
    #[schema(example = "create_server")]
    operation: String,
    /// All that it can run; an app's recipe runs two.
    operations: Vec<String>,
    title: String,
    description: String,
    /// What it asks of the host.
    #[schema(value_type = Object)]
    grants: Value,
    /// The steps that it reports, in order.
    steps: Vec<String>,
    /// JSON Schema of its parameters.
    #[schema(value_type = Object)]
    params: Value,
}

/// A version that some of the new jobs run.
#[derive(Serialize, ToSchema)]
pub(super) struct CanaryBody {
    #[schema(example = "hello")]
    name: String,
    #[schema(value_type = String)]
    digest: Digest,
    /// How many of a hundred new jobs.
    #[schema(example = 10)]
    percent: u8,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

/// A version that waits for an answer.
#[derive(Serialize, ToSchema)]
pub(super) struct PendingBody {
    #[schema(example = "hello")]
    name: String,
    #[schema(example = "0.2.0")]
    version: String,
    #[schema(value_type = String)]
    digest: Digest,
    /// What it asks for.
    grants: GrantsWanted,
    #[schema(value_type = String, format = DateTime)]
    added_at: Timestamp,
}

/// A file that is of no use.
#[derive(Serialize, ToSchema)]
pub(super) struct RejectedBody {
    #[schema(example = "hello.wasm")]
    file: String,
    /// Why, as a sentence.
    reason: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// A plugin with its versions.
#[derive(Serialize, ToSchema)]
pub(super) struct PluginDetailBody {
    #[schema(example = "hello")]
    name: String,
    /// The active version; null when the plugin is out of use.
    active: Option<PluginBody>,
    /// What the active version may do now: what it asks for and was accepted.
    accepted: GrantsWanted,
    /// The version that some of the new jobs run.
    canary: Option<CanaryBody>,
    /// Every version that was ever there, newest first.
    versions: Vec<VersionBody>,
}

/// A version of a plugin.
#[derive(Serialize, ToSchema)]
pub(super) struct VersionBody {
    #[schema(value_type = String)]
    digest: Digest,
    #[schema(example = "0.1.0")]
    version: String,
    standing: Standing,
    source: Source,
    /// Where in a registry it is, as whoever added it said; null of what came otherwise.
    #[schema(value_type = Option<String>,
        example = "oci://ghcr.io/team/hello@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")]
    origin: Option<Origin>,
    /// Bytes.
    size: u64,
    #[schema(value_type = String, format = DateTime)]
    added_at: Timestamp,
    /// The name of the token that brought it.
    added_by: String,
    /// What it asks for.
    grants: GrantsWanted,
    /// What of that is accepted; null while it waits.
    accepted: Option<GrantsWanted>,
}

/// What was active when.
#[derive(Serialize, ToSchema)]
pub(super) struct HistoryBody {
    /// Newest first.
    history: Vec<ActivationBody>,
}

/// An activation.
#[derive(Serialize, ToSchema)]
pub(super) struct ActivationBody {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What new jobs ran from then on; null when the plugin was taken out of use.
    #[schema(value_type = Option<String>)]
    digest: Option<Digest>,
    /// What they had run before; of the end of a canary, the canary.
    #[schema(value_type = Option<String>)]
    previous: Option<Digest>,
    cause: Cause,
    /// The name of the token that asked.
    by: String,
    /// Why, for people.
    reason: String,
}

/// How much of a history.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// At most so many, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<usize>,
}

/// Lists the plugins: active, tried, waiting for an answer, of no use.
#[utoipa::path(get, path = "/api/plugins", tag = "plugins", security(("token" = [])),
    responses((status = 200, description = "All plugins", body = PluginsBody)))]
pub(super) async fn list_plugins(reader: Reader) -> Result<Json<PluginsBody>, Problem> {
    let overview = reader.plugin_overview().await?;
    let listed = |(plugin, source, origin)| {
        let plugin = PluginBody::from(plugin);
        ListedPlugin { plugin, source, origin }
    };
    Ok(Json(PluginsBody {
        plugins: overview.active.into_iter().map(listed).collect(),
        canaries: overview.canaries.into_iter().map(CanaryBody::from).collect(),
        pending: overview.pending.into_iter().map(PendingBody::from).collect(),
        rejected: overview.rejected.into_iter().map(RejectedBody::from).collect(),
    }))
}

/// Shows a plugin and its versions, by its name or by the digest of one of them.
#[utoipa::path(get, path = "/api/plugins/{name}", tag = "plugins", security(("token" = [])),
    params(("name" = String, Path, description = "The plugin's name, or a digest",
        example = "create-server")),
    responses((status = 200, description = "The plugin", body = PluginDetailBody)))]
pub(super) async fn show_plugin(
    reader: Reader,
    InPath(name): InPath<String>,
) -> Result<Json<PluginDetailBody>, Problem> {
    Ok(Json(reader.plugin(&name).await?.into()))
}

/// Shows what was active when, newest first.
#[utoipa::path(get, path = "/api/plugins/{name}/history", tag = "plugins",
    security(("token" = [])),
    params(("name" = String, Path, description = "The plugin's name", example = "create-server"),
        HistoryQuery),
    responses((status = 200, description = "Its activations", body = HistoryBody)))]
pub(super) async fn plugin_history(
    reader: Reader,
    InPath(name): InPath<String>,
    InQuery(query): InQuery<HistoryQuery>,
) -> Result<Json<HistoryBody>, Problem> {
    let limit = query.limit.unwrap_or(SHOWN).clamp(1, 1000);
    let history = reader.plugin_history(&name, limit).await?;
    Ok(Json(HistoryBody { history: history.into_iter().map(ActivationBody::from).collect() }))
}

impl From<PluginInfo> for PluginBody {
    fn from(plugin: PluginInfo) -> Self {
        Self {
            name: plugin.name,
            version: plugin.version,
            digest: plugin.digest,
            operation: plugin.operation,
            operations: plugin.operations,
            title: plugin.title,
            description: plugin.description,
            grants: plugin.grants,
            steps: plugin.steps,
            params: plugin.params,
        }
    }
}

impl From<Canary> for CanaryBody {
    fn from(canary: Canary) -> Self {
        let Canary { name, digest, percent, since } = canary;
        Self { name, digest, percent, since }
    }
}

impl From<PluginVersion> for PendingBody {
    fn from(version: PluginVersion) -> Self {
        let PluginVersion { name, version, digest, wanted: grants, added_at, .. } = version;
        Self { name, version, digest, grants, added_at }
    }
}

impl From<Rejected> for RejectedBody {
    fn from(rejected: Rejected) -> Self {
        let Rejected { file, reason, at } = rejected;
        Self { file, reason, at }
    }
}

impl From<PluginDetail> for PluginDetailBody {
    fn from(plugin: PluginDetail) -> Self {
        let version = |(version, standing): (PluginVersion, Standing)| VersionBody {
            digest: version.digest,
            version: version.version,
            standing,
            source: version.source,
            origin: version.origin,
            size: version.size,
            added_at: version.added_at,
            added_by: version.added_by,
            grants: version.wanted,
            accepted: version.accepted,
        };
        Self {
            name: plugin.name,
            active: plugin.active.map(PluginBody::from),
            accepted: plugin.accepted,
            canary: plugin.canary.map(CanaryBody::from),
            versions: plugin.versions.into_iter().map(version).collect(),
        }
    }
}

impl From<Activation> for ActivationBody {
    fn from(activation: Activation) -> Self {
        let entry = activation.entry;
        Self {
            at: entry.at,
            digest: entry.digest,
            previous: entry.previous,
            cause: entry.cause,
            by: entry.by,
            reason: entry.reason,
        }
    }
}
