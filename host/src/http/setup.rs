//! `/api/servers/{name}/setup`: making a server ready for apps.

use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::plan::Plan;
use crate::app::plan::intended::Intended;
use crate::app::setup::WantedSetup;
use crate::http::error::{ErrorBody, Problem};
use crate::http::jobs::JobAccepted;
use crate::http::planning::{PlanQuery, Planner};
use crate::http::request::{InPath, InQuery, JsonBody};
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
    params(("name" = String, Path, description = "The server", example = "prod-01"), PlanQuery,
        ("Idempotency-Key" = Option<String>, Header, max_length = 255,
            description = "The same key with the same body is the same job, for 24 h")),
    request_body = SetupServer,
    responses((status = 202, description = "The job is on disk", body = JobAccepted),
        (status = 200, description = "With `plan=true`: nothing was done", body = Plan),
        (status = 409, description = "`server_busy`: it is being deleted; `name_taken`; \
            `plan_changed`", body = ErrorBody)))]
pub(super) async fn setup_server(
    planner: Planner,
    InPath(name): InPath<ServerName>,
    InQuery(query): InQuery<PlanQuery>,
    JsonBody { value, key }: JsonBody<SetupServer>,
) -> Result<Response, Problem> {
    let wanted = WantedSetup {
        ssl_email: value.ssl_email,
        zone_name: value.zone_name,
        subdomain: value.subdomain,
        timezone: value.timezone,
        network_name: value.network_name,
    };
    let intended = Intended::SetUpServer(name, wanted);
    planner.one_job(query, &intended, key, "Server setup started").await
}
