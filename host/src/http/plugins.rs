//! `/api/plugins`: the operations that this host can run.

use axum::Json;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::access::Reader;
use crate::app::plugins::PluginInfo;

/// The active plugins.
#[derive(Serialize, ToSchema)]
pub(super) struct PluginsBody {
    /// By name.
    plugins: Vec<PluginBody>,
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
    title: String,
    description: String,
    /// What it may ask of the host.
    #[schema(value_type = Object)]
    grants: Value,
    /// The steps that it reports, in order.
    steps: Vec<String>,
    /// JSON Schema of its parameters.
    #[schema(value_type = Object)]
    params: Value,
}

/// Lists the active plugins.
#[utoipa::path(get, path = "/api/plugins", tag = "plugins", security(("token" = [])),
    responses((status = 200, description = "The active plugins, by name", body = PluginsBody)))]
pub(super) async fn list_plugins(reader: Reader) -> Json<PluginsBody> {
    let plugins = reader.plugins().into_iter().map(PluginBody::from).collect();
    Json(PluginsBody { plugins })
}

impl From<PluginInfo> for PluginBody {
    fn from(plugin: PluginInfo) -> Self {
        Self {
            name: plugin.name,
            version: plugin.version,
            digest: plugin.digest,
            operation: plugin.operation,
            title: plugin.title,
            description: plugin.description,
            grants: plugin.grants,
            steps: plugin.steps,
            params: plugin.params,
        }
    }
}
