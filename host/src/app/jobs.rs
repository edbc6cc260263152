//! Jobs: looking at them, watching them, stopping them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::access::{Operator, Reader};
use crate::effects::remains::{self, Trace};
use crate::error::{Error, ErrorKind};
use crate::model::job::{JobRecord, JobStatus};
use crate::model::journal::{Class, Entry, Event, LogLevel};
use crate::model::names::{JobId, OperationName, ServerName};
use crate::storage::{self, CancelRequest, Change, JobFilter, Store};

/// How many log lines a job shows of itself.
const SHOWN_LINES: usize = 50;
/// How long a caller waits for the end of a job that he stops.
const CANCEL_PATIENCE: Duration = Duration::from_secs(2);
/// A watcher looks after so long even when nothing woke it.
pub(super) const SAFETY_POLL: Duration = Duration::from_secs(15);
/// How much of a journal is read at a time.
pub(super) const CHUNK: usize = 500;

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobQuery {
    /// Any of these; empty means all.
    pub status: Vec<JobStatus>,
    /// Only this operation.
    pub operation: Option<OperationName>,
    /// Only this server's.
    pub server: Option<ServerName>,
    /// At most so many.
    pub limit: usize,
    /// Where an earlier page ended.
    pub cursor: Option<u64>,
}

/// One page of jobs, newest first.
#[derive(Clone, Debug)]
pub struct JobPage {
    /// What is on it.
    pub jobs: Vec<JobRecord>,
    /// Where the next one begins, if there is one.
    pub next_cursor: Option<u64>,
}

/// All that there is to say about a job.
#[derive(Clone, Debug)]
pub struct JobDetail {
    /// What is recorded of it, secrets redacted.
    pub record: JobRecord,
    /// Its last log lines, oldest first.
    pub logs: Vec<LogLine>,
    /// When it should be done, going by earlier jobs.
    pub estimated_completion: Option<Timestamp>,
    /// What it changed outside, when it did not complete.
    pub effects: Vec<DoneEffect>,
}

/// A line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct LogLine {
    /// Its number in the journal.
    #[serde(skip)]
    pub seq: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// How much it matters.
    pub level: LogLevel,
    /// The line.
    #[schema(example = "Setting up docker-ce (5:29.1.3-1~debian.12~bookworm) ...")]
    pub message: String,
}

/// Something that a job changed outside, and that is still so.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct DoneEffect {
    /// Its number in the job, from 0.
    pub ordinal: u32,
    /// `interface.function`.
    #[schema(example = "servers.create")]
    pub function: String,
    /// What may be done when its outcome is not known.
    pub class: Class,
    /// `done`, or `unknown` when it was sent and nobody knows what came of it.
    #[schema(example = "done")]
    pub outcome: String,
}

/// How far a cancellation got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// The work is known to have stopped.
    Stopped,
    /// It was told to stop, and has not yet.
    Requested,
}

impl Reader {
    /// Jobs, newest first.
    pub async fn jobs(&self, query: JobQuery) -> Result<JobPage, Error> {
        let JobQuery { status, operation, server, limit, cursor: before } = query;
        let filter = JobFilter { status, operation, server, limit, before };
        let page = self.app.store.jobs(&filter).await?;
        Ok(JobPage { jobs: page.items, next_cursor: page.next })
    }

    /// All that there is to say about a job.
    pub async fn job(&self, id: &JobId) -> Result<JobDetail, Error> {
        let mut record = self.app.known_job(id).await?;
        redact(&mut record.params);
        let (logs, _) = self.logs(id, SHOWN_LINES, LogLevel::Debug).await?;
        let estimated_completion = self.app.estimate(&record).await?;
        let unfinished = matches!(
            record.status,
            JobStatus::Failed | JobStatus::Cancelled | JobStatus::Uncertain
        );
        let effects = if unfinished { self.app.effects(id).await? } else { Vec::new() };
        Ok(JobDetail { record, logs, estimated_completion, effects })
    }

    /// The last lines of a job's log from this level on, oldest first, and how many there are.
    pub async fn logs(
        &self,
        id: &JobId,
        tail: usize,
        level: LogLevel,
    ) -> Result<(Vec<LogLine>, u64), Error> {
        self.app.known_job(id).await?;
        let (lines, total) = self.app.store.logs(id, tail, level).await?;
        Ok((lines.into_iter().map(LogLine::from).collect(), total))
    }

    /// What happens to a job after this entry of its journal, until it ends.
    pub async fn watch(&self, id: &JobId, after: u64) -> Result<Watch, Error> {
        let changes = self.app.store.changes();
        self.app.known_job(id).await?;
        Ok(Watch {
            store: self.app.store.clone(),
            changes,
            job: id.clone(),
            after,
            ended: false,
            stopping: self.app.stopping.clone(),
        })
    }
}

impl Operator {
    /// Stops a job. Waits a moment for the proof that it did.
    #[tracing::instrument(skip_all, fields(job.id = %id))]
    pub async fn cancel(&self, id: &JobId) -> Result<Cancellation, Error> {
        // Register for wake-ups before asking: an end in between would be missed.
        let mut changes = self.app.store.changes();
        match self.app.store.request_cancel(id, &self.by, Timestamp::now()).await? {
            CancelRequest::Cancelled => Ok(Cancellation::Stopped),
            CancelRequest::Finished(status) => Err(finished(id, status)),
            CancelRequest::NoSuchJob => Err(no_such_job(id)),
            CancelRequest::Requested => {
                let end = self.app.end_of(id, &mut changes);
                match tokio::time::timeout(CANCEL_PATIENCE, end).await {
                    Ok(Ok(JobStatus::Cancelled)) => Ok(Cancellation::Stopped),
                    Ok(Ok(status)) => Err(finished(id, status)),
                    Ok(Err(error)) => Err(error),
                    Err(_elapsed) => Ok(Cancellation::Requested),
                }
            }
        }
    }
}

impl App {
    pub(super) async fn known_job(&self, id: &JobId) -> Result<JobRecord, Error> {
        self.store.job(id).await?.ok_or_else(|| no_such_job(id))
    }

    /// Waits until a job ends.
    async fn end_of(&self, id: &JobId, changes: &mut Receiver<Change>) -> Result<JobStatus, Error> {
        loop {
            let status = self.known_job(id).await?.status;
            if status.is_finished() {
                return Ok(status);
            }
            if !woken(changes, id).await {
                return Err(Error::shutting_down());
            }
        }
    }

    /// What a job changed outside, or may have changed, and did not take back.
    async fn effects(&self, id: &JobId) -> Result<Vec<DoneEffect>, Error> {
        let traces = remains::traces(&self.whole_journal(id).await?);
        Ok(remains::remains(&traces).into_iter().map(DoneEffect::of).collect())
    }

    /// A job's journal from its first entry to its last.
    pub(super) async fn whole_journal(&self, id: &JobId) -> Result<Vec<Entry>, Error> {
        let mut journal: Vec<Entry> = Vec::new();
        loop {
            let after = journal.last().map_or(0, |entry| entry.seq);
            let entries = self.store.journal(id, after, CHUNK).await?;
            if entries.is_empty() {
                return Ok(journal);
            }
            journal.extend(entries);
        }
    }
}

impl DoneEffect {
    fn of(trace: &Trace) -> Self {
        let outcome = if trace.is_unknown() { "unknown" } else { "done" };
        Self {
            ordinal: trace.ordinal,
            function: trace.function.clone(),
            class: trace.class,
            outcome: outcome.to_owned(),
        }
    }
}

/// A job's journal as it grows.
pub struct Watch {
    store: Arc<dyn Store>,
    changes: Receiver<Change>,
    job: JobId,
    after: u64,
    ended: bool,
    stopping: CancellationToken,
}

impl Watch {
    /// The next entries; none when the job ended and all of them were given, or the host ends.
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>, Error> {
        while !self.ended {
            // Read the status first: what is written before an end is then in the journal.
            let job = self.store.job(&self.job).await?;
            let entries = self.store.journal(&self.job, self.after, CHUNK).await?;
            if let Some(last) = entries.last() {
                self.after = last.seq;
                self.ended = matches!(last.event, Event::Finished { .. });
                return Ok(Some(entries));
            }
            if job.is_none_or(|job| job.status.is_finished()) {
                break;
            }
            tokio::select! {
                on = woken(&mut self.changes, &self.job) => self.ended = !on,
                () = tokio::time::sleep(SAFETY_POLL) => {}
                () = self.stopping.cancelled() => self.ended = true,
            }
        }
        Ok(None)
    }
}

impl From<storage::LogLine> for LogLine {
    fn from(line: storage::LogLine) -> Self {
        Self { seq: line.seq, timestamp: line.at, level: line.level, message: line.message }
    }
}

/// Waits until something happened to the job, or may have. False when nothing will any more.
pub(super) async fn woken(changes: &mut Receiver<Change>, id: &JobId) -> bool {
    loop {
        match changes.recv().await {
            Ok(Change::Job(job)) if job == *id => return true,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return true,
            Err(RecvError::Closed) => return false,
        }
    }
}

/// Parameters hold references to secrets, not secrets; what looks like one all the same is masked.
fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if is_secret(name) && !text.starts_with("${secret:") => {
                        *field = Value::String("[redacted]".to_owned());
                    }
                    other => redact(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "passwd", "secret", "token", "api_key", "apikey", "private_key"]
        .iter()
        .any(|word| name.ends_with(word))
}

pub(super) fn no_such_job(id: &JobId) -> Error {
    Error::new(ErrorKind::NotFound, "no_such_job", format!("There is no job `{id}`."))
        .with_next("GET /api/jobs")
        .with_next("windlass job list")
}

fn finished(id: &JobId, status: JobStatus) -> Error {
    let message = format!("The job `{id}` is {} already.", status.as_str());
    Error::new(ErrorKind::Conflict, "job_finished", message)
        .with_detail("status", status.as_str())
        .with_next(format!("GET /api/jobs/{id}"))
}
