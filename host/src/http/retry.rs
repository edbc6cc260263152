//! `/api/jobs/{job_id}/retry`: trying a job again.

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::retry::{PlannedRetry, WantedRetry};
use crate::http::error::Problem;
use crate::http::planning::{PlanQuery, Planner};
use crate::http::request::{InPath, InQuery, JsonBody};
use crate::model::job::JobStatus;
use crate::model::names::JobId;
use crate::model::retry::{Resolve, RetriedEffect, RetryFrom};

/// How a job is to be tried again; all of it may be left out.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryBody {
    /// `failed_step` (the usual one) goes on at the beginning of the step that failed, with the
    /// same version of the plugin; `start` takes the newest version.
    from: Option<RetryFrom>,
    /// Of an `uncertain` job: what became of the effect that nobody knows of. Left out, the host
    /// looks once more.
    resolve: Option<Resolve>,
}

/// A job that tries another one again.
#[derive(Serialize, ToSchema)]
pub(super) struct RetriedBody {
    /// Its id.
    #[schema(value_type = String, example = "job_20250110_150500_d4e5f6")]
    job_id: JobId,
    /// Always `queued`: it may run by the time that this is read.
    status: JobStatus,
    #[schema(example = "Retry started")]
    message: &'static str,
    /// Where to look.
    #[schema(example = "/api/jobs/job_20250110_150500_d4e5f6")]
    check_status: String,
    /// The job that it tries again.
    #[schema(value_type = String, example = "job_20250110_150000_a1b2c3")]
    retry_of: JobId,
    /// Where it begins.
    from: RetryFrom,
    /// What becomes of the effects of that job: reused, looked up, or done anew.
    effects: Vec<RetriedEffect>,
}

/// Makes a new job that tries a failed, cancelled or uncertain one again.
#[utoipa::path(post, path = "/api/jobs/{job_id}/retry", tag = "jobs", security(("token" = [])),
    params(("job_id" = String, Path, description = "The job",
            example = "job_20250110_150000_a1b2c3"),
        ("plan" = Option<bool>, Query, description = "Whether to tell only where it would begin, \
            and what would become of each effect: nothing happens")),
    request_body(content = Option<RetryBody>, example = json!({ "from": "failed_step" })),
    responses((status = 202, description = "A new job goes on with it", body = RetriedBody),
        (status = 200, description = "With `plan=true`: nothing was done", body = PlannedRetry),
        (status = 409, description = "It cannot be tried again, or not now: `job_finished`, \
            `job_not_finished`, `already_retried`, `server_busy`, `server_deleted`, \
            `server_replaced`, `plugin_missing`, `dependency_failed`, `nothing_to_resolve`, \
            `outcome_unknown`", body = crate::http::error::ErrorBody)))]
pub(super) async fn retry_job(
    planner: Planner,
    InPath(id): InPath<JobId>,
    InQuery(query): InQuery<PlanQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let tells = planner.tells_retry(&query)?;
    let body: JsonBody<RetryBody> = JsonBody::or_none(request).await?;
    let RetryBody { from, resolve } = body.value;
    let (operator, wanted) = (&planner.operator, WantedRetry { from, resolve });
    if tells {
        return Ok(Json(operator.plan_retry(&id, wanted).await?).into_response());
    }
    let retried = operator.retry(&id, wanted, body.key).await?;
    let body = RetriedBody {
        check_status: format!("/api/jobs/{}", retried.id),
        job_id: retried.id,
        status: JobStatus::Queued,
        message: "Retry started",
        retry_of: id,
        from: retried.from,
        effects: retried.effects,
    };
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}
