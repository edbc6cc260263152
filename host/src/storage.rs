//! Where everything is kept that must outlive the process: one trait, one file a database.
//!
//! Two kinds of writes. *Durable* ones answer when they are on disk. *Deferred* ones are queued and
//! reach the disk with the next durable one, in the order in which they were made, and within
//! 100 ms at the latest: jobs and journal are one ordered log.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::broadcast;

use crate::model::app::AppRecord;
use crate::model::job::{Finished, Job, JobRecord, JobStatus, Lease, PluginPin, Running, View};
use crate::model::journal::{Entry, LogLevel, NewEntry};
use crate::model::names::{AppName, JobId, OperationName, ServerName, WorkerId};
use crate::model::server::{AppsOnIt, Server};
use crate::storage::apps::AppStore;
use crate::storage::removal::{OldJobs, Removed};
use crate::storage::retry::{NewRetry, Retry};

pub mod apps;
mod config;
mod error;
pub mod feed;
pub mod parts;
pub mod planned;
pub mod plugins;
pub mod receipts;
pub mod removal;
pub mod retry;
pub mod sqlite;
pub mod waits;

pub use config::{AuditRecord, ConfigStore, Place, ProviderConfig, Sealed, Token};
pub use error::StorageError;

/// What the host keeps.
#[async_trait]
pub trait Store:
    AppStore
    + ConfigStore
    + feed::FeedStore
    + parts::PartStore
    + planned::PlanStore
    + plugins::PluginStore
    + receipts::ReceiptStore
    + waits::WaitStore
    + Send
    + Sync
    + 'static
{
    // Jobs.

    /// Writes a new job, with its server's record where it makes one, in one durable transaction.
    async fn submit(&self, job: NewJob) -> Result<Submitted, StorageError>;

    /// Writes a job that tries another one again, with what it takes over, in one durable
    /// transaction.
    async fn retry(&self, retry: NewRetry) -> Result<Retry, StorageError>;

    /// What would come of that, with nothing written.
    async fn would_retry(&self, retry: NewRetry) -> Result<Retry, StorageError>;

    /// Gives the oldest jobs that may run to this worker, `most` at most: queued, no older unfinished
    /// job on the same server, their dependencies completed. Not durable by itself: a claim that is
    /// lost in a crash leaves a queued job.
    async fn claim_jobs(
        &self,
        claim: &Claim,
        most: usize,
    ) -> Result<Vec<Job<Running>>, StorageError>;

    /// Prolongs this worker's leases. Answers those that it still has.
    async fn renew_leases(&self, claim: &Claim) -> Result<Vec<KeptLease>, StorageError>;

    /// Puts running jobs back in the queue whose lease ran out, or which belong to another worker
    /// when `exclusive` says that no other can be alive. Durable. Answers how many.
    async fn recover(&self, claim: &Claim, exclusive: bool) -> Result<u64, StorageError>;

    /// Looks again at some of the jobs that wait, from this number on, in case one was forgotten.
    /// Answers where to go on; none at the end.
    async fn wake_waiting(&self, after: u64) -> Result<Option<u64>, StorageError>;

    /// Records which plugin the job runs, with its `pinned` entry. Deferred.
    fn pin(&self, lease: &Lease, pin: &PluginPin, at: Timestamp);

    /// Adds entries to the job's journal and replaces its view. Deferred. Refused silently when the
    /// lease is an old one: the next durable write says so.
    fn append(&self, lease: &Lease, entries: Vec<NewEntry>, view: Option<View>);

    /// Adds entries, durably.
    async fn append_durable(
        &self,
        lease: &Lease,
        entries: Vec<NewEntry>,
    ) -> Result<(), StorageError>;

    /// Writes a job's end with its last entries, durably. A server that nobody makes or deletes any
    /// more gets a status that says so, in the same transaction.
    async fn finish(&self, job: Job<Finished>, entries: Vec<NewEntry>) -> Result<(), StorageError>;

    /// Gives a running job back, durably.
    async fn requeue(&self, job: Job<Running>, entry: NewEntry) -> Result<(), StorageError>;

    /// Notes that somebody wants the job to stop, durably. A queued job ends here and now.
    async fn request_cancel(
        &self,
        id: &JobId,
        by: &str,
        now: Timestamp,
    ) -> Result<CancelRequest, StorageError>;

    /// Removes old jobs that nobody needs, as many as take no longer than a moment. Answers how many,
    /// and where to go on.
    async fn remove_jobs(&self, old: &OldJobs) -> Result<Removed, StorageError>;

    /// A job, or none.
    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, StorageError>;

    /// Jobs, newest first.
    async fn jobs(&self, filter: &JobFilter) -> Result<Page<JobRecord>, StorageError>;

    /// The journal of a job from the entry after `after` on, in order, at most `limit`.
    async fn journal(
        &self,
        id: &JobId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StorageError>;

    /// The last log lines of a job, oldest first, and how many there are of that level in all.
    async fn logs(
        &self,
        id: &JobId,
        tail: usize,
        level: LogLevel,
    ) -> Result<(Vec<LogLine>, u64), StorageError>;

    /// How many jobs wait, and how many run.
    async fn job_counts(&self) -> Result<JobCounts, StorageError>;

    // Servers.

    /// The record of a server, or none.
    async fn server(&self, name: &ServerName) -> Result<Option<Server>, StorageError>;

    /// All servers, by name.
    async fn servers(&self) -> Result<Vec<Server>, StorageError>;

    /// Changes a record in place, durably, in one transaction: `change` gets the newest one.
    /// None when there is no such server.
    async fn update_server(
        &self,
        name: &ServerName,
        change: Box<dyn for<'s> FnOnce(&'s mut Server) + Send>,
    ) -> Result<Option<Server>, StorageError>;

    /// The same as a part of what a job does: in the order of its journal, refused when the lease is
    /// an old one, and on disk when whatever the job does next is.
    async fn amend_server(
        &self,
        lease: &Lease,
        name: &ServerName,
        change: Box<dyn for<'s> FnOnce(&'s mut Server) + Send>,
    ) -> Result<Option<Server>, StorageError>;

    /// Moves a record to the history of deleted ones and removes the server's secrets, as a part of
    /// what a job does. An absent one is success.
    async fn forget_server(
        &self,
        lease: &Lease,
        name: &ServerName,
        now: Timestamp,
    ) -> Result<(), StorageError>;

    /// Moves a record to the history of deleted ones, and forgets the server's apps and secrets.
    /// Durable. An absent one is success.
    async fn remove_server(&self, name: &ServerName, now: Timestamp) -> Result<(), StorageError>;

    /// What happens, from now on. A slow receiver loses the oldest and is told.
    fn changes(&self) -> broadcast::Receiver<Change>;

    /// Answers when the database does: at once when something reached the disk just before, else
    /// after a durable write. Answers how long the disk takes for one.
    async fn ping(&self) -> Result<Duration, StorageError>;

    /// The same store for those who tell people: what they read is on disk before it is answered,
    /// but for how many jobs there are.
    fn settled(&self) -> Arc<dyn Store>;

    /// Waits until everything deferred is on disk, and closes.
    async fn close(&self);
}

/// Now, as precisely as the store keeps times: in microseconds. What is compared with a stored time,
/// or shown to a plugin that may see it again from the store, is taken with this.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// What a claim needs.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who claims.
    pub worker: WorkerId,
    /// Now.
    pub now: Timestamp,
    /// When the lease ends unless it is renewed.
    pub until: Timestamp,
}

/// A lease that its worker still has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLease {
    /// The job.
    pub job: JobId,
    /// Whether somebody wants it to stop.
    pub cancel_requested: bool,
}

/// A job to be written.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id. One that is taken already is `StorageError::Duplicate`, and nothing is written.
    pub id: JobId,
    /// What it does.
    pub operation: OperationName,
    /// What the plugin is given.
    pub params: Value,
    /// The server that it works on.
    pub server: Option<ServerName>,
    /// The job that it tries again, and the first of that chain.
    pub retry_of: Option<(JobId, JobId)>,
    /// Jobs that must have completed before.
    pub depends_on: Vec<JobId>,
    /// The name of the token that asks.
    pub by: String,
    /// Now.
    pub now: Timestamp,
    /// What happens to the server's record in the same transaction.
    pub server_change: ServerChange,
    /// The caller's `Idempotency-Key`.
    pub idempotency: Option<IdempotencyKey>,
}

/// What a submission does to its server's record, or to the record of an app on it.
#[derive(Clone, Debug)]
pub enum ServerChange {
    /// Nothing.
    None,
    /// Writes this one; refused when there is one of that name.
    Create(Box<Server>),
    /// Marks it as being deleted; refused when there is none.
    Deleting {
        /// Which.
        server: ServerName,
        /// What becomes of the apps on it.
        apps: AppsOnIt,
    },
    /// Gives its apps names under this domain, if under any; refused when another server has it.
    SettingUp {
        /// Which.
        server: ServerName,
        /// The domain.
        domain: Option<String>,
    },
    /// Writes this app's record; refused when there is no such server, a job changes the app
    /// already, or an app that it needs is not there and not in the same batch.
    Deploying(Box<AppRecord>),
    /// Marks an app as being removed; refused when there is none, a job changes it already, or
    /// another app needs it.
    Removing {
        /// Where.
        server: ServerName,
        /// Which.
        app: AppName,
        /// Whether its secrets go with it.
        forgets: bool,
    },
}

/// A caller's key: the same request twice is one job.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// The token that asks, and its key.
    pub key: String,
    /// SHA-256 of method, path and body, hex.
    pub request: String,
    /// Before when a remembered one no longer counts.
    pub since: Timestamp,
}

/// What came of a submission.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// It is on disk.
    Job(JobId),
    /// The same request came before: its job.
    Before(JobId),
    /// The same key came before with another request.
    KeyReused,
    /// There is a server of that name.
    ServerExists(Box<Server>),
    /// There is no server of that name.
    NoSuchServer,
    /// These apps are on the server.
    ServerHasApps(Vec<String>),
    /// The server is protected against being deleted; these apps are on it.
    ServerProtected(Vec<String>),
    /// This server has that domain, or a job is about to give it that.
    DomainTaken(ServerName),
    /// There is no such app on the server.
    NoSuchApp,
    /// A job changes the app already.
    AppBusy(Box<AppRecord>),
    /// Other apps of the server need the app.
    AppRequired(Vec<AppName>),
    /// An app that this one needs is not there any more.
    AppMissing(AppName),
    /// What it was planned from is not so any more.
    Outdated,
}

/// What came of the wish to cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelRequest {
    /// It had not begun, and is cancelled.
    Cancelled,
    /// It runs: its worker was told.
    Requested,
    /// It had ended, so.
    Finished(JobStatus),
    /// There is no such job.
    NoSuchJob,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Any of these; empty means all.
    pub status: Vec<JobStatus>,
    /// Only this operation.
    pub operation: Option<OperationName>,
    /// Only this server's.
    pub server: Option<ServerName>,
    /// At most so many.
    pub limit: usize,
    /// Only jobs with a smaller number.
    pub before: Option<u64>,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins, if there is one.
    pub next: Option<u64>,
}

/// A line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its number in the journal.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub level: LogLevel,
    /// The line.
    pub message: String,
}

/// How many jobs wait, and how many run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Waiting for a worker.
    pub queued: u64,
    /// With a worker.
    pub running: u64,
}

/// Something happened that others may wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A job may be claimed: submitted, given back, or unblocked by another's end.
    Claimable,
    /// A job's record or journal changed.
    Job(JobId),
    /// A running job should stop.
    CancelRequested(JobId),
}
