//! Welcome, health, initialisation, and the API's description of itself.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::access::Admin;
use crate::http::error::Problem;

/// What the root says.
#[derive(Serialize, ToSchema)]
pub(super) struct Welcome {
    #[schema(example = "Windlass: durable jobs on servers")]
    message: &'static str,
    #[schema(example = "0.1.0")]
    version: &'static str,
    #[schema(example = "/docs")]
    docs: &'static str,
    #[schema(example = "/health")]
    health: &'static str,
}

/// How the host is.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthBody {
    /// `ok`, or `failing`.
    #[schema(example = "ok")]
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// `ok`, `slow: …` when its disk takes long for each write, or why the database does not answer.
    #[schema(example = "ok")]
    storage: String,
    jobs: Counts,
}

/// How many jobs there are that are not finished.
#[derive(Serialize, ToSchema)]
pub(super) struct Counts {
    /// Waiting for a worker.
    queued: u64,
    /// With a worker.
    running: u64,
}

/// The home is there.
#[derive(Serialize, ToSchema)]
pub(super) struct Initialised {
    success: bool,
    #[schema(example = "The home is ready.")]
    message: &'static str,
    #[serde(rename = "data")]
    outcome: HomeBody,
}

/// The home.
#[derive(Serialize, ToSchema)]
pub(super) struct HomeBody {
    /// Where it is, on the host's machine.
    #[schema(example = "/root/.livchat")]
    config_dir: String,
    /// Whether it is new, and nobody asked before.
    created: bool,
}

/// Says what this is.
#[utoipa::path(get, path = "/", tag = "system",
    responses((status = 200, description = "What this is", body = Welcome)))]
pub(super) async fn welcome() -> Json<Welcome> {
    Json(Welcome {
        message: "Windlass: durable jobs on servers",
        version: env!("CARGO_PKG_VERSION"),
        docs: "/docs",
        health: "/health",
    })
}

/// Says how the host is, after a durable write of its database, unless something reached the disk
/// in the last seconds.
#[utoipa::path(get, path = "/health", tag = "system",
    responses((status = 200, description = "All is well", body = HealthBody),
        (status = 503, description = "The part that fails is named", body = HealthBody)))]
pub(super) async fn health(State(app): State<Arc<App>>) -> (StatusCode, Json<HealthBody>) {
    let health = app.health().await;
    let (code, status, storage, queued) = match health.queued {
        Ok(queued) => (StatusCode::OK, "ok", health.slow.map_or_else(ok, slow), queued),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, "failing", why, 0),
    };
    let jobs = Counts { queued, running: health.running };
    (code, Json(HealthBody { status, timestamp: health.timestamp, storage, jobs }))
}

fn ok() -> String {
    "ok".to_owned()
}

fn slow(takes: Duration) -> String {
    format!(
        "slow: the disk took {} ms for the last write; each answer that promises something waits so \
         long, and nothing is lost",
        takes.as_millis()
    )
}

/// Sees that the home directory, the database and the keys are there. Again changes nothing.
#[utoipa::path(post, path = "/api/init", tag = "system", security(("token" = [])),
    responses((status = 200, description = "They are there", body = Initialised)))]
pub(super) async fn init(admin: Admin) -> Result<Json<Initialised>, Problem> {
    let (home, created) = admin.init();
    let outcome = HomeBody { config_dir: home.display().to_string(), created };
    Ok(Json(Initialised { success: true, message: "The home is ready.", outcome }))
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "system",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
pub(super) async fn openapi_document() -> Json<&'static serde_json::Value> {
    Json(super::document())
}
