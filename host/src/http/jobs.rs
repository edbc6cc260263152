//! `/api/jobs`: looking at jobs and stopping them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::app::access::{Operator, Reader};
use crate::app::jobs::{Cancellation, DoneEffect, JobDetail, JobQuery, LogLine};
use crate::http::error::Problem;
use crate::http::events::{self, LastEventId};
use crate::http::request::{InPath, InQuery, in_query};
use crate::model::job::{JobRecord, JobStatus, PluginPin};
use crate::model::journal::LogLevel;
use crate::model::names::{JobId, OperationName};

/// How many things a list has unless told otherwise.
const PAGE: usize = 100;
/// How many it has at most.
const MOST: usize = 1000;
/// How many log lines are shown at most.
const MOST_LINES: usize = 10_000;

/// A job that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct JobAccepted {
    /// Its id.
    #[schema(value_type = String, example = "job_20250110_150000_a1b2c3")]
    job_id: JobId,
    /// Always `queued`: it may run by the time that this is read.
    status: JobStatus,
    /// What was begun.
    #[schema(example = "Server creation started")]
    message: &'static str,
    /// Where to look.
    #[schema(example = "/api/jobs/job_20250110_150000_a1b2c3")]
    check_status: String,
}

impl JobAccepted {
    pub(super) fn new(job_id: JobId, message: &'static str) -> (StatusCode, Json<Self>) {
        let check_status = format!("/api/jobs/{job_id}");
        let status = JobStatus::Queued;
        (StatusCode::ACCEPTED, Json(Self { job_id, status, message, check_status }))
    }
}

/// A job in a list.
#[derive(Serialize, ToSchema)]
pub(super) struct JobSummary {
    #[schema(value_type = String, example = "job_20250110_150000_a1b2c3")]
    job_id: JobId,
    /// What it does.
    #[serde(rename = "type")]
    #[schema(example = "create_server")]
    operation: String,
    status: JobStatus,
    /// 0 to 100.
    #[schema(maximum = 100, example = 45)]
    progress: u8,
    /// The step that runs.
    current_step: Option<String>,
    /// The server that it works on.
    #[schema(example = "prod-01")]
    server: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Timestamp>,
    /// Why it did not complete.
    error: Option<String>,
}

/// A page of jobs, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct JobsBody {
    jobs: Vec<JobSummary>,
    /// What to send as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A job.
#[derive(Serialize, ToSchema)]
pub(super) struct JobBody {
    #[serde(flatten)]
    summary: JobSummary,
    /// Steps that ended, in order.
    steps_completed: Vec<String>,
    /// Steps to come, in order.
    steps_remaining: Vec<String>,
    /// Going by earlier jobs; null when there are none.
    #[schema(value_type = Option<String>, format = DateTime)]
    estimated_completion: Option<Timestamp>,
    /// What came of it.
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    /// Why it did not complete, for programs.
    failure: Option<FailureBody>,
    /// Its last 50 log lines, oldest first.
    logs: Vec<LogLine>,
    /// What it was given; secrets are redacted.
    #[schema(value_type = Object)]
    params: Value,
    /// How often a worker took it.
    attempt: u32,
    /// The job that it tries again.
    #[schema(value_type = Option<String>)]
    retry_of: Option<JobId>,
    /// Jobs that must have completed before.
    #[schema(value_type = Vec<String>)]
    depends_on: Vec<JobId>,
    /// What it runs, once it started.
    plugin: Option<PluginPin>,
    /// Whether somebody wants it to stop.
    cancel_requested: bool,
}

/// Why a job did not complete.
#[derive(Serialize, ToSchema)]
pub(super) struct FailureBody {
    #[schema(example = "no_capacity")]
    code: String,
    /// The step in which it happened.
    step: Option<String>,
    /// Whether the same again can do no harm.
    retry_safe: bool,
    /// What it changed outside, or may have changed.
    effects: Vec<DoneEffect>,
}

/// Log lines of a job.
#[derive(Serialize, ToSchema)]
pub(super) struct LogsBody {
    #[schema(value_type = String, example = "job_20250110_150000_a1b2c3")]
    job_id: JobId,
    /// Oldest first.
    logs: Vec<LogLine>,
    /// How many there are of that level in all.
    total: u64,
}

/// A part of a job's journal.
#[derive(Serialize, ToSchema)]
pub(super) struct JournalBody {
    #[schema(value_type = String, example = "job_20250110_150000_a1b2c3")]
    job_id: JobId,
    /// In order, each with `seq`, `at` and `kind`; effects with class, digest, outcome, duration.
    /// A command on a server has `remote` too: its receipt there, its first line and SHA-256, and
    /// its exit code.
    #[schema(value_type = Vec<Object>)]
    entries: Vec<Value>,
    /// What to send as `after` for what follows; null when nothing does yet.
    next_after: Option<u64>,
}

/// A job was cancelled, or will be.
#[derive(Serialize, ToSchema)]
pub(super) struct CancelBody {
    success: bool,
    #[schema(example = "Job cancelled")]
    message: &'static str,
}

/// Which jobs to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// One or more, separated by commas: queued, running, completed, failed, cancelled, uncertain.
    #[param(example = "queued,running")]
    status: Option<String>,
    /// Only this operation.
    #[serde(rename = "type")]
    #[param(rename = "type", example = "create_server")]
    operation: Option<String>,
    /// Only this server's.
    server: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next_cursor` of an earlier page.
    cursor: Option<String>,
}

/// Which log lines to show.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogsQuery {
    /// The last so many.
    #[param(minimum = 1, maximum = 10_000, default = 100)]
    tail: Option<usize>,
    /// From this level on: debug, info, warn, error.
    level: Option<LogLevel>,
    /// Go on as a stream of `log` events until the job ends.
    follow: Option<bool>,
}

/// Which part of the journal to show.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JournalQuery {
    /// Only what follows this entry.
    after: Option<u64>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

/// Lists jobs, newest first.
#[utoipa::path(get, path = "/api/jobs", tag = "jobs", params(ListQuery), security(("token" = [])),
    responses((status = 200, description = "A page of jobs", body = JobsBody)))]
pub(super) async fn list_jobs(
    reader: Reader,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Json<JobsBody>, Problem> {
    let page = reader.jobs(parsed(query)?).await?;
    let next_cursor = page.next_cursor.map(|cursor| cursor.to_string());
    Ok(Json(JobsBody { jobs: page.jobs.iter().map(JobSummary::of).collect(), next_cursor }))
}

/// Shows a job.
#[utoipa::path(get, path = "/api/jobs/{job_id}", tag = "jobs", security(("token" = [])),
    params(("job_id" = String, Path, description = "The job",
            example = "job_20250110_150000_a1b2c3")),
    responses((status = 200, description = "The job", body = JobBody)))]
pub(super) async fn show_job(
    reader: Reader,
    InPath(id): InPath<JobId>,
) -> Result<Json<JobBody>, Problem> {
    Ok(Json(JobBody::of(reader.job(&id).await?)))
}

/// Stops a job. 200 when the work is known to have stopped, 202 when that takes over 2 s.
#[utoipa::path(delete, path = "/api/jobs/{job_id}", tag = "jobs", security(("token" = [])),
    params(("job_id" = String, Path, description = "The job",
            example = "job_20250110_150000_a1b2c3")),
    responses((status = 200, description = "It stopped", body = CancelBody),
        (status = 202, description = "It was told to stop", body = CancelBody),
        (status = 409, description = "It had ended: `job_finished`",
            body = crate::http::error::ErrorBody)))]
pub(super) async fn cancel_job(
    operator: Operator,
    InPath(id): InPath<JobId>,
) -> Result<(StatusCode, Json<CancelBody>), Problem> {
    let (status, message) = match operator.cancel(&id).await? {
        Cancellation::Stopped => (StatusCode::OK, "Job cancelled"),
        Cancellation::Requested => (StatusCode::ACCEPTED, "Cancellation requested"),
    };
    Ok((status, Json(CancelBody { success: true, message })))
}

/// Shows a job's log, or follows it: its last lines, and what comes then. `Last-Event-ID` goes on
/// after that line instead.
#[utoipa::path(get, path = "/api/jobs/{job_id}/logs", tag = "jobs", security(("token" = [])),
    params(("job_id" = String, Path, description = "The job",
            example = "job_20250110_150000_a1b2c3"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The last line that came"),
        LogsQuery),
    responses((status = 200, description = "The lines; with `follow=true` a stream of server-sent \
        `log` events", content((LogsBody = "application/json"), (String = "text/event-stream")))))]
pub(super) async fn job_logs(
    reader: Reader,
    InPath(id): InPath<JobId>,
    InQuery(query): InQuery<LogsQuery>,
    LastEventId(last): LastEventId,
) -> Result<Response, Problem> {
    let tail = within(query.tail, 100, MOST_LINES).ok_or_else(|| in_query("tail", "1 to 10000"))?;
    let level = query.level.unwrap_or(LogLevel::Info);
    let (logs, total) = reader.logs(&id, tail, level).await?;
    if query.follow == Some(true) {
        let first = logs.first().map_or(0, |line| line.seq.saturating_sub(1));
        let after = last.unwrap_or(first);
        return Ok(events::follow_log(reader.watch(&id, after).await?, level).into_response());
    }
    Ok(Json(LogsBody { job_id: id, logs, total }).into_response())
}

/// Shows what happened to a job: every effect, with its outcome.
#[utoipa::path(get, path = "/api/jobs/{job_id}/journal", tag = "jobs", security(("token" = [])),
    params(("job_id" = String, Path, description = "The job",
            example = "job_20250110_150000_a1b2c3"),
        JournalQuery),
    responses((status = 200, description = "A part of the journal", body = JournalBody)))]
pub(super) async fn job_journal(
    reader: Reader,
    InPath(id): InPath<JobId>,
    InQuery(query): InQuery<JournalQuery>,
) -> Result<Json<JournalBody>, Problem> {
    let limit = within(query.limit, PAGE, MOST).ok_or_else(|| in_query("limit", "1 to 1000"))?;
    let entries = reader.journal(&id, query.after.unwrap_or(0), limit).await?;
    let next_after = entries.last().filter(|_| entries.len() == limit).map(|it| it.entry.seq);
    let entries = entries.iter().map(|entry| serde_json::to_value(entry).unwrap_or_default());
    Ok(Json(JournalBody { job_id: id, entries: entries.collect(), next_after }))
}

impl JobSummary {
    fn of(job: &JobRecord) -> Self {
        Self {
            job_id: job.id.clone(),
            operation: job.operation.to_string(),
            status: job.status,
            progress: job.view.progress,
            current_step: job.view.current_step.clone(),
            server: job.server.as_ref().map(ToString::to_string),
            created_at: job.created_at,
            started_at: job.started_at,
            completed_at: job.completed_at,
            error: job.failure.as_ref().map(|failure| failure.message.clone()),
        }
    }
}

impl JobBody {
    fn of(detail: JobDetail) -> Self {
        let JobDetail { record: job, logs, estimated_completion, effects } = detail;
        let summary = JobSummary::of(&job);
        let failure = job.failure.map(|failure| FailureBody {
            code: failure.code,
            step: job.view.current_step,
            retry_safe: failure.retry_safe,
            effects,
        });
        Self {
            summary,
            steps_completed: job.view.steps_completed,
            steps_remaining: job.view.steps_remaining,
            estimated_completion,
            result: job.result,
            failure,
            logs,
            params: job.params,
            attempt: job.attempt,
            retry_of: job.retry_of,
            depends_on: job.depends_on,
            plugin: job.plugin,
            cancel_requested: job.cancel_requested,
        }
    }
}

fn parsed(query: ListQuery) -> Result<JobQuery, Problem> {
    let limit = within(query.limit, PAGE, MOST).ok_or_else(|| in_query("limit", "1 to 1000"))?;
    let status = statuses(query.status.as_deref())?;
    let operation = query.operation.map(|text| text.parse::<OperationName>()).transpose();
    let operation = operation.map_err(|why| in_query("type", &why.to_string()))?;
    let server = query.server.map(|text| text.parse()).transpose();
    let server = server
        .map_err(|why: crate::model::names::InvalidName| in_query("server", &why.to_string()))?;
    let cursor = query.cursor.map(|text| text.parse()).transpose();
    let cursor = cursor.map_err(|_nonsense: std::num::ParseIntError| {
        in_query("cursor", "send `next_cursor` of an earlier page")
    })?;
    Ok(JobQuery { status, operation, server, limit, cursor })
}

/// The statuses of a query.
pub(super) fn statuses(text: Option<&str>) -> Result<Vec<JobStatus>, Problem> {
    let names = text.unwrap_or_default().split(',').map(str::trim);
    let status = names.filter(|text| !text.is_empty()).map(str::parse).collect::<Result<_, _>>();
    status.map_err(|why: String| in_query("status", &why))
}

/// The number, or the usual one; none when it is 0 or too large.
fn within(number: Option<usize>, usual: usize, most: usize) -> Option<usize> {
    Some(number.unwrap_or(usual)).filter(|number| (1..=most).contains(number))
}
