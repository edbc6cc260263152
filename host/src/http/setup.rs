//! `/api/servers/{name}/setup`: making a server ready for apps.

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::access::Operator;
use crate::app::setup::WantedSetup;
use crate::http::error::{ErrorBody, Problem};
use crate::http::jobs::JobAccepted;
use crate::http::request::{InPath, JsonBody};
use crate::model::names::ServerName;

/// How a server is set up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetupServer {
    /// Whom the certificates' maker writes to.
    #[schema(example = "admin@example.com")]
    ssl_email: String,
    /// The zone of its names; without one it gets none.
    #[schema(example = "example.com")]
    zone_name: Option<String>,
    /// What stands between its names and the zone: `ptn.lab.example.com`.
    #[schema(example = "lab")]
    subdomain: Option<String>,
    /// Its timezone.
    #[serde(default = "utc")]
    #[schema(default = "Etc/UTC")]
    timezone: String,
    /// The network that its apps share.
    #[serde(default = "livchat_network")]
    #[schema(default = "livchat_network")]
    network_name: String,
}

fn utc() -> String {
    "Etc/UTC".to_owned()
}

fn livchat_network() -> String {
    "livchat_network".to_owned()
}

/// Makes a job that sets a server up: Docker, Swarm, Traefik, Portainer, names.
#[utoipa::path(post, path = "/api/servers/{name}/setup", tag = "servers",
    security(("token" = [])),
    params(("name" = String, Path, description = "The server", example = "prod-01"),
        ("Idempotency-Key" = Option<String>, Header, max_length = 255,
            description = "The same key with the same body is the same job, for 24 h")),
    request_body = SetupServer,
    responses((status = 202, description = "The job is on disk", body = JobAccepted),
        (status = 409, description = "`server_busy`: it is being deleted", body = ErrorBody)))]
pub(super) async fn setup_server(
    operator: Operator,
    InPath(name): InPath<ServerName>,
    JsonBody { value, key }: JsonBody<SetupServer>,
) -> Result<(StatusCode, Json<JobAccepted>), Problem> {
    let wanted = WantedSetup {
        ssl_email: value.ssl_email,
        zone_name: value.zone_name,
        subdomain: value.subdomain,
        timezone: value.timezone,
        network_name: value.network_name,
    };
    let job = operator.setup_server(name, wanted, key).await?;
    Ok(JobAccepted::new(job, "Server setup started"))
}
