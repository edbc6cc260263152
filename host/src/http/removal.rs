//! `DELETE /api/jobs`: removing old jobs.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::access::Operator;
use crate::app::removal::Age;
use crate::http::error::Problem;
use crate::http::jobs::statuses;
use crate::http::request::{InQuery, in_query};

/// Which jobs to remove.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RemovalQuery {
    /// How long ago they ended at least: `30m`, `12h`, `7d`, `4w`. It must be said.
    #[param(required = true, example = "7d")]
    older_than: Option<String>,
    /// One or more, separated by commas: completed, failed, cancelled (these unless said otherwise)
    /// and uncertain.
    #[param(example = "completed")]
    status: Option<String>,
}

/// Old jobs were removed.
#[derive(Serialize, ToSchema)]
pub(super) struct RemovedBody {
    success: bool,
    /// How many.
    #[schema(example = 42)]
    deleted: u64,
}

/// Removes jobs that ended long ago, with their journals and logs. Those that another job needs
/// stay: one that goes on, or that can still be tried again.
#[utoipa::path(delete, path = "/api/jobs", tag = "jobs", params(RemovalQuery),
    security(("token" = [])),
    responses((status = 200, description = "They are gone", body = RemovedBody)))]
pub(super) async fn remove_jobs(
    operator: Operator,
    InQuery(query): InQuery<RemovalQuery>,
) -> Result<Json<RemovedBody>, Problem> {
    let age = query.older_than.as_deref().unwrap_or_default();
    let age: Age = age.parse().map_err(|why: String| in_query("older_than", &why))?;
    let status = statuses(query.status.as_deref())?;
    let deleted = operator.remove_jobs(age, status).await?;
    Ok(Json(RemovedBody { success: true, deleted }))
}
