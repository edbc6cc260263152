//! `verificar-job` and `listar-jobs`: looking at jobs.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::access::Scope;
use crate::app::jobs::{JobDetail, JobQuery};
use crate::error::Error;
use crate::mcp::answer::Answer;
use crate::mcp::call::Call;
use crate::mcp::logs;
use crate::mcp::page::{self, CURSOR, LIMIT};
use crate::mcp::schema::{Field, Kind, gives, may_give, needs, takes};
use crate::mcp::tools::{Definition, Nature};
use crate::mcp::wait;
use crate::mcp::words::{Voice, words};
use crate::model::job::{JobRecord, JobStatus};
use crate::model::names::{InvalidName, JobId};

/// Looking at one.
pub(super) const SHOW: Definition = Definition {
    name: words("verificar-job", "check-job"),
    title: words("Verificar job", "Check a job"),
    about: words(
        "Mostra como está um job: status, progresso, passo atual, últimas linhas do log, \
         resultado ou erro. Para esperar o fim, use aguardar-job-completo.",
        "Shows how a job stands: status, progress, current step, last log lines, result or \
         error. To wait for its end, use aguardar-job-completo.",
    ),
    nature: Nature::LOOKS,
    scope: Scope::Read,
    takes: &[
        needs(
            "job_id",
            Kind::Text,
            words("O que a ferramenta respondeu", "What the tool answered"),
        ),
        takes(
            "tail",
            Kind::Within(0, 50),
            words("Linhas de log; padrão 10", "Log lines; default 10"),
        ),
    ],
    gives: &JOB,
};

/// Looking at all.
pub(super) const LIST: Definition = Definition {
    name: words("listar-jobs", "list-jobs"),
    title: words("Listar jobs", "List jobs"),
    about: words(
        "Lista jobs, do mais novo ao mais antigo, em resumo.",
        "Lists jobs, newest first, in short.",
    ),
    nature: Nature::LOOKS,
    scope: Scope::Read,
    takes: &[
        takes(
            "status",
            Kind::Text,
            words(
                "queued, running, completed, failed, cancelled, uncertain; vários com vírgula",
                "queued, running, completed, failed, cancelled, uncertain; several with commas",
            ),
        ),
        takes("server", Kind::Text, words("Só deste servidor", "Only this server's")),
        LIMIT,
        CURSOR,
    ],
    gives: &[
        gives("jobs", Kind::Objects),
        may_give("next_cursor", Kind::Text),
        may_give("truncated", Kind::Boolean),
    ],
};

/// What is said of a job.
pub(super) const JOB: [Field; 21] = [
    gives("job_id", Kind::Text),
    gives("type", Kind::Text),
    gives("status", Kind::Text),
    gives("done", Kind::Boolean),
    gives("progress", Kind::Integer),
    may_give("current_step", Kind::Text),
    may_give("server", Kind::Text),
    gives("created_at", Kind::Text),
    may_give("started_at", Kind::Text),
    may_give("completed_at", Kind::Text),
    gives("steps_completed", Kind::Texts),
    gives("steps_remaining", Kind::Texts),
    may_give("result", Kind::Object),
    may_give("error", Kind::Object),
    may_give("log", Kind::Texts),
    gives("log_uri", Kind::Text),
    gives("next", Kind::Text),
    may_give("waited_s", Kind::Integer),
    may_give("eta_s", Kind::Integer),
    may_give("cancel_requested", Kind::Boolean),
    may_give("truncated", Kind::Boolean),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Show {
    job_id: String,
    tail: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    status: Option<String>,
    server: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// What is said of a job.
#[derive(Serialize)]
pub(super) struct JobView {
    #[serde(flatten)]
    summary: JobSummary,
    done: bool,
    steps_completed: Vec<String>,
    steps_remaining: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log: Vec<String>,
    log_uri: String,
    next: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    waited_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_s: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancel_requested: bool,
}

/// Why a job did not complete.
#[derive(Serialize)]
struct ErrorView {
    code: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    retry_safe: bool,
    /// Its last log lines.
    log_tail: Vec<String>,
}

#[derive(Serialize)]
struct JobSummary {
    job_id: JobId,
    #[serde(rename = "type")]
    operation: String,
    status: JobStatus,
    progress: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Page {
    jobs: Vec<JobSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Shows a job.
pub(super) async fn show(call: &Call<'_>) -> Result<Answer, Error> {
    let Show { job_id, tail } = call.arguments()?;
    let tail = tail.unwrap_or(10);
    if tail > 50 {
        return Err(Error::invalid_field("/tail", "`tail` is 0 to 50."));
    }
    let detail = call.server.reader.job(&parsed(&job_id)?).await?;
    let first = detail.logs.len().saturating_sub(tail);
    let log = logs::last(detail.logs.get(first..).unwrap_or_default());
    Answer::of(&JobView { log, ..JobView::of(detail, call.voice()) })
}

/// Lists jobs.
pub(super) async fn list(call: &Call<'_>) -> Result<Answer, Error> {
    let List { status, server, limit, cursor } = call.arguments()?;
    let limit = page::limit(limit)?;
    let status = status.as_deref().unwrap_or_default().split(',').map(str::trim);
    let status = status.filter(|text| !text.is_empty()).map(str::parse).collect::<Result<_, _>>();
    let status = status.map_err(|why: String| Error::invalid_field("/status", why))?;
    let server = server.map(|name| name.parse()).transpose();
    let server = server.map_err(|why: InvalidName| Error::invalid_name("/server", &why))?;
    let cursor = cursor.map(|text| text.parse()).transpose();
    let cursor = cursor.map_err(|_nonsense: std::num::ParseIntError| {
        Error::invalid_field("/cursor", "Send `next_cursor` of an earlier page.")
    })?;
    let query = JobQuery { status, operation: None, server, limit, cursor };
    let page = call.server.reader.jobs(query).await?;
    Answer::of(&Page::of(&page.jobs, page.next_cursor))
}

/// The id in an argument.
pub(super) fn parsed(job_id: &str) -> Result<JobId, Error> {
    job_id.parse().map_err(|why| Error::invalid_name("/job_id", &why))
}

impl JobView {
    /// All of it but its log.
    pub(super) fn of(detail: JobDetail, voice: Voice) -> Self {
        let JobDetail { record: job, logs, estimated_completion, effects: _ } = detail;
        let summary = JobSummary::of(&job);
        let eta =
            estimated_completion.map(|at| at.duration_since(Timestamp::now()).as_secs().max(0));
        let error = job.failure.map(|failure| ErrorView {
            code: failure.code,
            message: failure.message,
            step: job.view.current_step,
            retry_safe: failure.retry_safe,
            log_tail: logs::last(&logs),
        });
        Self {
            done: job.status.is_finished(),
            steps_completed: job.view.steps_completed,
            steps_remaining: job.view.steps_remaining,
            // Agents are told of objects only; whatever else a plugin gives is put into one.
            result: job.result.map(|value| match value {
                Value::Object(_) => value,
                other => serde_json::json!({ "value": other }),
            }),
            error,
            log: Vec::new(),
            log_uri: format!("job://{}/log", job.id),
            next: next(job.status, &job.id, voice),
            waited_s: None,
            eta_s: eta,
            cancel_requested: job.cancel_requested,
            summary,
        }
    }

    /// The same, after having waited so long.
    pub(super) fn after(self, waited: Duration) -> Self {
        Self { waited_s: Some(waited.as_secs()), ..self }
    }
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
        }
    }
}

impl Page {
    /// As many as an answer has room for; the next page begins with the others.
    fn of(jobs: &[JobRecord], next: Option<u64>) -> Self {
        let shown = page::fitting(jobs.iter().map(JobSummary::of));
        let last = shown.len().checked_sub(1).and_then(|last| jobs.get(last));
        let next = if shown.len() < jobs.len() { last.map(|job| job.number) } else { next };
        Self { jobs: shown, next_cursor: next.map(|cursor| cursor.to_string()) }
    }
}

fn next(status: JobStatus, id: &JobId, voice: Voice) -> String {
    match status {
        JobStatus::Queued | JobStatus::Running => {
            let wait = voice.name(&wait::WAIT);
            voice.pick(
                format!("Chame {wait} de novo com o mesmo job_id ({id})."),
                format!("Call {wait} again with the same job_id ({id})."),
            )
        }
        JobStatus::Completed => voice.pick("Pronto: veja result.", "Done: see result.").to_owned(),
        JobStatus::Failed | JobStatus::Cancelled => voice
            .pick(
                "Leia error; corrija a causa e inicie o trabalho de novo.",
                "Read error; correct the cause and start the work anew.",
            )
            .to_owned(),
        JobStatus::Uncertain => voice
            .pick(
                "Não repita: uma pessoa precisa verificar se o último passo aconteceu.",
                "Do not repeat: a person has to look whether the last step happened.",
            )
            .to_owned(),
    }
}
