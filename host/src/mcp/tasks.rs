//! Tasks, for clients that poll them: waits for jobs, and jobs themselves where the host is told so.
//! A task's id says itself which job it is about and who may ask, sealed so that nobody can guess
//! or forge one: it is good as long as the job's record is there, whatever becomes of the host in
//! between. All that is kept of tasks is which waits were cancelled.

use jiff::Timestamp;
use rmcp::model::{
    CallToolResponse, CreateTaskResult, DetailedTask, ErrorData, GetTaskResult, JsonObject,
    RequestStateCodec, SealOptions, Task, TaskPayload, TaskStatus,
};
use serde::{Deserialize, Serialize};

use crate::app::agents::AgentCall;
use crate::app::jobs::JobDetail;
use crate::error::{Error, ErrorKind};
use crate::mcp::answer::{Answer, plain};
use crate::mcp::cancel::{self, CANCEL};
use crate::mcp::jobs::JobView;
use crate::mcp::words::words;
use crate::mcp::{Server, call};
use crate::model::job::{JobRecord, JobStatus};
use crate::model::names::JobId;

/// What binds a seal to its use.
const USE: &[u8] = b"task";
/// What a cancellation is called in the audit log.
const METHOD: &str = "tasks/cancel";
/// How often clients should ask, in milliseconds.
const POLL_MS: u64 = 5_000;

/// What makes tasks and knows them again.
pub(super) struct Tasks {
    codec: RequestStateCodec,
}

/// What a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Purpose {
    /// Waiting for a job, which goes on when the task is cancelled.
    #[default]
    Wait,
    /// The job itself, which is cancelled with it.
    Job,
}

/// What the id of a task says.
#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(default)]
    purpose: Purpose,
    job: JobId,
    caller: String,
    since: Timestamp,
    nonce: u128,
}

/// Gives a client a task to poll.
pub(super) async fn begin(
    server: &Server,
    job: &JobId,
    purpose: Purpose,
) -> Result<CreateTaskResult, Error> {
    let record = server.reader.job(job).await?.record;
    let sealed = Sealed {
        purpose,
        job: job.clone(),
        caller: server.reader.caller().name.clone(),
        since: Timestamp::now(),
        nonce: rand::random(),
    };
    let id = server.gateway.tasks.id(&sealed)?;
    Ok(CreateTaskResult::new(task(id, &sealed, &record)))
}

/// How a task stands.
pub(super) async fn show(server: &Server, id: &str) -> Result<GetTaskResult, ErrorData> {
    let sealed = server.gateway.tasks.open(server, id)?;
    let problem = |error: Error| match error.kind() {
        ErrorKind::NotFound => unknown(server),
        _ => server.problem(&error),
    };
    let detail = server.reader.job(&sealed.job).await.map_err(problem)?;
    let task = task(id.to_owned(), &sealed, &detail.record);
    let status = detail.record.status;
    let is_cancelled = match sealed.purpose {
        Purpose::Wait => {
            server.reader.has_ended_wait(&sealed.job, &sealed.wait()).await.map_err(problem)?
        }
        Purpose::Job => status == JobStatus::Cancelled,
    };
    let payload = if is_cancelled {
        TaskPayload::Cancelled
    } else if status.is_finished() {
        let result = result(server, detail).map_err(problem)?;
        TaskPayload::Completed { result }
    } else {
        TaskPayload::Working
    };
    Ok(GetTaskResult::new(DetailedTask::new(task, payload)))
}

/// Cancels a task: a wait is over, a job is told to stop. What has ended already stays as it is.
pub(super) async fn cancel(server: &Server, id: &str) -> Result<(), ErrorData> {
    let sealed = server.gateway.tasks.open(server, id)?;
    let allowed = match sealed.purpose {
        Purpose::Wait => Ok(()),
        Purpose::Job => server.permit(&CANCEL),
    };
    let (target, arguments) = (sealed.job.as_str(), call::digest(id.as_bytes()));
    let decision = if allowed.is_ok() { "allowed" } else { "denied" };
    let call = AgentCall { tool: METHOD, target, arguments: &arguments, decision };
    let noted = server.reader.audit_call(call).await;
    noted.and(allowed).map_err(|error| server.problem(&error))?;
    if show(server, id).await?.task.status().is_terminal() {
        return Ok(());
    }
    let ended = match sealed.purpose {
        Purpose::Wait => server.reader.end_wait(&sealed.job, &sealed.wait()).await,
        Purpose::Job => cancel::stop(server, &sealed.job).await,
    };
    ended.map_err(|error| server.problem(&error))
}

/// What the tool would have answered. A job that failed is an error here, as its task has no
/// other way to say so.
fn result(server: &Server, detail: JobDetail) -> Result<JsonObject, Error> {
    let failed = detail.record.status != JobStatus::Completed;
    let view = JobView::of(detail, server.voice());
    let CallToolResponse::Complete(mut result) = Answer::of(&view)?.response() else {
        return Err(Error::internal("a task's end is no result"));
    };
    result.is_error = Some(failed);
    match serde_json::to_value(result).map_err(Error::internal)? {
        serde_json::Value::Object(result) => Ok(result),
        _ => Err(Error::internal("a tool's result is no object")),
    }
}

fn task(id: String, sealed: &Sealed, job: &JobRecord) -> Task {
    let changed = job.completed_at.or(job.started_at).unwrap_or(job.created_at).max(sealed.since);
    let step = job.view.current_step.as_deref().unwrap_or(job.status.as_str());
    Task::new(id, TaskStatus::Working, sealed.since.to_string(), changed.to_string())
        .with_poll_interval_ms(POLL_MS)
        .with_status_message(format!("{}: {}% - {}", job.id, job.view.progress, plain(step)))
}

fn unknown(server: &Server) -> ErrorData {
    let message = words(
        "Não existe essa tarefa; chame aguardar-job-completo com o job_id.",
        "There is no such task; call aguardar-job-completo with the job_id.",
    );
    ErrorData::invalid_params(server.voice().say(message), None)
}

impl Sealed {
    /// By what a wait is known among those of its job.
    fn wait(&self) -> String {
        format!("{:032x}", self.nonce)
    }
}

impl Purpose {
    /// What the ids of such tasks begin with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Wait => "wait_",
            Self::Job => "task_",
        }
    }
}

impl Tasks {
    /// Seals with this key.
    pub(super) fn new(key: &[u8]) -> Result<Self, Error> {
        let codec = RequestStateCodec::try_new(key).map_err(Error::internal)?;
        Ok(Self { codec })
    }

    fn id(&self, task: &Sealed) -> Result<String, Error> {
        let options = SealOptions::new().associated_data(USE);
        let sealed = self.codec.seal_json_with(task, &options).map_err(Error::internal)?;
        Ok(format!("{}{sealed}", task.purpose.prefix()))
    }

    /// What an id says to whoever may ask.
    fn open(&self, server: &Server, id: &str) -> Result<Sealed, ErrorData> {
        let sealed = id.split_once('_').map_or(id, |(_, sealed)| sealed);
        let opened = self.codec.open_json_with::<Sealed>(sealed, USE).ok();
        let is_own = |task: &Sealed| {
            task.caller == server.reader.caller().name && id.starts_with(task.purpose.prefix())
        };
        opened.filter(is_own).ok_or_else(|| unknown(server))
    }
}
