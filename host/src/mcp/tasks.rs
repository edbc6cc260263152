//! Waits as tasks, for clients that poll them. A task's id says itself which job it waits for and
//! who may ask, sealed so that nobody can guess or forge one: nothing about it has to be kept, and
//! it is good as long as the job's record is there, whatever becomes of the host in between.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rmcp::model::{
    CallToolResponse, CreateTaskResult, DetailedTask, ErrorData, GetTaskResult, JsonObject,
    RequestStateCodec, SealOptions, Task, TaskPayload, TaskStatus,
};
use serde::{Deserialize, Serialize};

use crate::app::jobs::JobDetail;
use crate::error::{Error, ErrorKind};
use crate::mcp::Server;
use crate::mcp::answer::{Answer, plain};
use crate::mcp::call::Call;
use crate::mcp::jobs::JobView;
use crate::mcp::words::pick;
use crate::model::job::{JobRecord, JobStatus};
use crate::model::names::JobId;

/// What the id of a wait begins with.
const PREFIX: &str = "wait_";
/// What binds a seal to its purpose.
const PURPOSE: &[u8] = b"task";
/// How often clients should ask, in milliseconds.
const POLL_MS: u64 = 5_000;
/// The most cancelled waits that are remembered.
const REMEMBERED: usize = 10_000;

/// The waits that are tasks.
pub(super) struct Waits {
    codec: RequestStateCodec,
    /// Those that somebody cancelled in this run of the host.
    cancelled: Mutex<HashSet<String>>,
}

/// What the id of a wait says.
#[derive(Serialize, Deserialize)]
struct Wait {
    job: JobId,
    caller: String,
    since: Timestamp,
    nonce: u128,
}

/// Gives a client a wait to poll.
pub(super) async fn begin(call: &Call<'_>, job: &JobId) -> Result<CreateTaskResult, Error> {
    let record = call.server.reader.job(job).await?.record;
    let wait = Wait {
        job: job.clone(),
        caller: call.server.reader.caller().name.clone(),
        since: Timestamp::now(),
        nonce: rand::random(),
    };
    let waits = &call.server.gateway.waits;
    let task = task(waits.id(&wait)?, &wait, &record);
    Ok(CreateTaskResult::new(task))
}

/// How a wait stands.
pub(super) async fn show(server: &Server, id: &str) -> Result<GetTaskResult, ErrorData> {
    let wait = server.gateway.waits.open(server, id)?;
    let detail = server.reader.job(&wait.job).await;
    let detail = detail.map_err(|error| match error.kind() {
        ErrorKind::NotFound => unknown(server),
        _ => server.problem(&error),
    })?;
    let task = task(id.to_owned(), &wait, &detail.record);
    let payload = if server.gateway.waits.is_cancelled(id) {
        TaskPayload::Cancelled
    } else if detail.record.status.is_finished() {
        let result = result(server, detail).map_err(|error| server.problem(&error))?;
        TaskPayload::Completed { result }
    } else {
        TaskPayload::Working
    };
    Ok(GetTaskResult::new(DetailedTask::new(task, payload)))
}

/// Ends a wait. The job goes on.
pub(super) async fn cancel(server: &Server, id: &str) -> Result<(), ErrorData> {
    let shown = show(server, id).await?;
    if !shown.task.status().is_terminal() {
        server.gateway.waits.cancel(id);
    }
    Ok(())
}

/// What the tool would have answered. A job that failed is an error here, as its wait has no
/// other way to say so.
fn result(server: &Server, detail: JobDetail) -> Result<JsonObject, Error> {
    let failed = detail.record.status != JobStatus::Completed;
    let view = JobView::of(detail, server.gateway.settings.language);
    let CallToolResponse::Complete(mut result) = Answer::of(&view)?.response() else {
        return Err(Error::internal("a wait's end is no result"));
    };
    result.is_error = Some(failed);
    match serde_json::to_value(result).map_err(Error::internal)? {
        serde_json::Value::Object(result) => Ok(result),
        _ => Err(Error::internal("a tool's result is no object")),
    }
}

fn task(id: String, wait: &Wait, job: &JobRecord) -> Task {
    let changed = job.completed_at.or(job.started_at).unwrap_or(job.created_at).max(wait.since);
    let step = job.view.current_step.as_deref().unwrap_or(job.status.as_str());
    Task::new(id, TaskStatus::Working, wait.since.to_string(), changed.to_string())
        .with_poll_interval_ms(POLL_MS)
        .with_status_message(format!("{}% - {}", job.view.progress, plain(step)))
}

fn unknown(server: &Server) -> ErrorData {
    let message = pick(
        server.gateway.settings.language,
        "Não existe essa espera; chame aguardar-job-completo com o job_id.",
        "There is no such wait; call aguardar-job-completo with the job_id.",
    );
    ErrorData::invalid_params(message, None)
}

impl Waits {
    /// Seals with this key.
    pub(super) fn new(key: &[u8]) -> Result<Self, Error> {
        let codec = RequestStateCodec::try_new(key).map_err(Error::internal)?;
        Ok(Self { codec, cancelled: Mutex::default() })
    }

    fn id(&self, wait: &Wait) -> Result<String, Error> {
        let options = SealOptions::new().associated_data(PURPOSE);
        let sealed = self.codec.seal_json_with(wait, &options).map_err(Error::internal)?;
        Ok(format!("{PREFIX}{sealed}"))
    }

    /// What an id says to whoever may ask.
    fn open(&self, server: &Server, id: &str) -> Result<Wait, ErrorData> {
        let sealed = id.strip_prefix(PREFIX);
        let opened = sealed.and_then(|it| self.codec.open_json_with::<Wait>(it, PURPOSE).ok());
        let own = |wait: &Wait| wait.caller == server.reader.caller().name;
        opened.filter(own).ok_or_else(|| unknown(server))
    }

    fn is_cancelled(&self, id: &str) -> bool {
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    fn cancel(&self, id: &str) {
        let mut cancelled = self.cancelled.lock().unwrap_or_else(PoisonError::into_inner);
        if cancelled.len() >= REMEMBERED {
            cancelled.clear();
        }
        cancelled.insert(id.to_owned());
    }
}
