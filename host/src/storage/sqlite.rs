//! The embedded store: one SQLite file in WAL mode, one thread that writes with group commit, a
//! few connections that read beside it.

mod apps;
pub mod backup;
mod batch;
mod config;
mod damage;
mod disk;
pub mod examination;
mod fault;
mod feed;
mod jobs;
mod journal;
mod mark;
mod order;
mod planned;
#[cfg(test)]
mod plans;
mod plugins;
mod queue;
mod readers;
mod receipts;
mod removal;
mod retry;
mod schema;
mod servers;
#[cfg(test)]
mod size;
pub mod staged;
pub mod standings;
mod submit;
#[cfg(test)]
mod tests;
mod verb;
mod waits;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::broadcast;

use crate::model::job::{Finished, Job, JobRecord, Lease, PluginPin, Running, View};
use crate::model::journal::{Entry, LogLevel, NewEntry};
use crate::model::names::{JobId, ServerName};
use crate::model::server::Server;
use crate::storage::removal::{OldJobs, Removed};
use crate::storage::retry::{NewRetry, Retry};
use crate::storage::sqlite::batch::Origin;
use crate::storage::sqlite::damage::Damage;
use crate::storage::sqlite::fault::Fault;
use crate::storage::sqlite::journal::Deferred;
use crate::storage::sqlite::mark::Mark;
use crate::storage::sqlite::readers::Readers;
use crate::storage::sqlite::standings::Differing;
use crate::storage::sqlite::verb::Writing;
use crate::storage::sqlite::writer::{Opened, Writer};
use crate::storage::{
    CancelRequest, Change, Claim, JobCounts, JobFilter, KeptLease, LogLine, NewJob, Page,
    StorageError, Store, Submitted,
};

/// The store in one SQLite file.
pub struct Sqlite {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    changes: broadcast::Sender<Change>,
    /// Whether what is read is on disk before it is answered.
    settles: bool,
}

/// How the file is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many calls read at the same time.
    pub readers: usize,
    /// How long deferred writes wait for a durable one before they are written by themselves.
    pub hold: Duration,
    /// How many changes a slow receiver may be behind.
    pub changes: usize,
    /// Files that are there only when the database was: beside one of them none is made anew.
    pub traces: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let hold = Duration::from_millis(100);
        Self { readers: 4, hold, changes: 4096, traces: Vec::new() }
    }
}

impl Sqlite {
    /// Opens the database, makes it when there is none, and brings its schema up to date.
    pub fn open(path: &Path, options: &Options) -> Result<Arc<Self>, StorageError> {
        let connection = schema::open_writer(path, &options.traces)?;
        let mark = Mark::open(path, &connection)?;
        let damage = Arc::<Damage>::default();
        let shown: Arc<str> = path.display().to_string().into();
        let (changes, _) = broadcast::channel(options.changes.max(1));
        let file = Opened { connection, mark, damage: Arc::clone(&damage) };
        let writer = Writer::start(file, Arc::clone(&shown), changes.clone(), options.hold)?;
        let readers = Readers::new(path.to_owned(), shown, options.readers, damage);
        let (writer, readers) = (Arc::new(writer), Arc::new(readers));
        Ok(Arc::new(Self { writer, readers, changes, settles: false }))
    }

    /// Makes the row of each job what its journal tells, durably, while nobody claims one. Answers
    /// which were not.
    ///
    /// # Errors
    /// When a journal cannot be read, or the rows cannot be written.
    pub async fn correct_rows(&self) -> Result<Vec<Differing>, StorageError> {
        let doing = "made rows what their journals tell";
        self.writer.durable(doing, |writing| standings::correct(writing.connection)).await
    }

    /// How many commits waited for the disk since the start: many durable writes share one.
    pub fn syncs(&self) -> u64 {
        self.writer.syncs()
    }

    async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        verb: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        let found = self.readers.read(doing, verb).await?;
        self.settle().await?;
        Ok(found)
    }

    /// The same where a few rows are looked at.
    async fn read_short<T: Send + 'static>(
        &self,
        doing: &'static str,
        verb: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        let found = self.readers.read_short(doing, verb).await?;
        self.settle().await?;
        Ok(found)
    }

    async fn settle(&self) -> Result<(), StorageError> {
        if self.settles { self.writer.settle().await } else { Ok(()) }
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn submit(&self, job: NewJob) -> Result<Submitted, StorageError> {
        let doing = "wrote a new job";
        self.writer.durable(doing, move |writing| submit::submit(writing, &job)).await
    }

    async fn retry(&self, retry: NewRetry) -> Result<Retry, StorageError> {
        let doing = "wrote a retry";
        self.writer.durable(doing, move |writing| retry::retry(writing, &retry)).await
    }

    async fn would_retry(&self, retry: NewRetry) -> Result<Retry, StorageError> {
        let doing = "looked whether a job may be tried again";
        self.writer.relaxed(doing, move |writing| retry::would_retry(writing, &retry)).await
    }

    async fn claim_jobs(
        &self,
        claim: &Claim,
        most: usize,
    ) -> Result<Vec<Job<Running>>, StorageError> {
        let claim = claim.clone();
        self.writer
            .relaxed("claimed jobs", move |writing| queue::claim(writing, &claim, most))
            .await
    }

    async fn renew_leases(&self, claim: &Claim) -> Result<Vec<KeptLease>, StorageError> {
        let claim = claim.clone();
        self.writer.relaxed("renewed leases", move |writing| queue::renew(writing, &claim)).await
    }

    async fn recover(&self, claim: &Claim, exclusive: bool) -> Result<u64, StorageError> {
        let (claim, doing) = (claim.clone(), "put jobs back in the queue");
        self.writer.durable(doing, move |writing| queue::recover(writing, &claim, exclusive)).await
    }

    async fn wake_waiting(&self, after: u64) -> Result<Option<u64>, StorageError> {
        let doing = "looked at the jobs that wait";
        self.writer.relaxed(doing, move |writing| order::wake_some(writing, after)).await
    }

    fn pin(&self, lease: &Lease, pin: &PluginPin, at: Timestamp) {
        let (lease, pin) = (lease.clone(), pin.clone());
        self.writer.defer(Deferred::Pin { lease, pin, at });
    }

    fn append(&self, lease: &Lease, entries: Vec<NewEntry>, view: Option<View>) {
        self.writer.defer(Deferred::Append { lease: lease.clone(), entries, view });
    }

    async fn append_durable(
        &self,
        lease: &Lease,
        entries: Vec<NewEntry>,
    ) -> Result<(), StorageError> {
        let (lease, number, doing) = (lease.clone(), lease.number, "wrote to a journal");
        let verb = move |writing: &mut Writing<'_>| journal::append(writing, &lease, &entries);
        self.writer.durable_from(Origin::Run(number), doing, verb).await
    }

    async fn finish(&self, job: Job<Finished>, entries: Vec<NewEntry>) -> Result<(), StorageError> {
        let doing = "wrote a job's end";
        let from = Origin::End(job.record.number);
        let verb = move |writing: &mut Writing<'_>| queue::finish(writing, &job, &entries);
        self.writer.durable_from(from, doing, verb).await
    }

    async fn requeue(&self, job: Job<Running>, entry: NewEntry) -> Result<(), StorageError> {
        let ((_, lease), doing) = (job.requeue(), "gave a job back");
        let from = Origin::End(lease.number);
        let verb = move |writing: &mut Writing<'_>| queue::requeue(writing, &lease, entry);
        self.writer.durable_from(from, doing, verb).await
    }

    async fn request_cancel(
        &self,
        id: &JobId,
        by: &str,
        now: Timestamp,
    ) -> Result<CancelRequest, StorageError> {
        let (id, by, doing) = (id.clone(), by.to_owned(), "noted that a job should stop");
        self.writer
            .durable(doing, move |writing| queue::request_cancel(writing, &id, &by, now))
            .await
    }

    async fn remove_jobs(&self, old: &OldJobs) -> Result<Removed, StorageError> {
        let (old, doing) = (old.clone(), "removed old jobs");
        self.writer.durable(doing, move |writing| removal::remove(writing, &old)).await
    }

    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, StorageError> {
        let id = id.clone();
        self.read_short("read a job", move |reader| jobs::record_by_id(reader, &id)).await
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Page<JobRecord>, StorageError> {
        let filter = filter.clone();
        self.read("listed jobs", move |reader| jobs::page(reader, &filter)).await
    }

    async fn journal(
        &self,
        id: &JobId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        let (id, doing) = (id.clone(), "read a journal");
        self.read(doing, move |reader| journal::entries(reader, &id, after, limit)).await
    }

    async fn logs(
        &self,
        id: &JobId,
        tail: usize,
        level: LogLevel,
    ) -> Result<(Vec<LogLine>, u64), StorageError> {
        let id = id.clone();
        self.read("read a log", move |reader| journal::logs(reader, &id, tail, level)).await
    }

    async fn job_counts(&self) -> Result<JobCounts, StorageError> {
        self.readers.read("counted jobs", jobs::counts).await
    }

    async fn server(&self, name: &ServerName) -> Result<Option<Server>, StorageError> {
        let name = name.clone();
        self.read_short("read a server", move |reader| servers::server(reader, &name)).await
    }

    async fn servers(&self) -> Result<Vec<Server>, StorageError> {
        self.read("listed servers", servers::servers).await
    }

    async fn update_server(
        &self,
        name: &ServerName,
        change: Box<dyn for<'s> FnOnce(&'s mut Server) + Send>,
    ) -> Result<Option<Server>, StorageError> {
        let (name, doing) = (name.clone(), "changed a server's record");
        self.writer
            .durable(doing, move |writing| servers::change(writing.connection, &name, change))
            .await
    }

    async fn amend_server(
        &self,
        lease: &Lease,
        name: &ServerName,
        change: Box<dyn for<'s> FnOnce(&'s mut Server) + Send>,
    ) -> Result<Option<Server>, StorageError> {
        let (lease, name, doing) = (lease.clone(), name.clone(), "changed a server's record");
        self.writer
            .ordered(doing, move |writing| {
                journal::hold(writing.connection, &lease)?;
                servers::change(writing.connection, &name, change)
            })
            .await
    }

    async fn forget_server(
        &self,
        lease: &Lease,
        name: &ServerName,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let (lease, name, doing) = (lease.clone(), name.clone(), "removed a server's record");
        self.writer
            .ordered(doing, move |writing| {
                journal::hold(writing.connection, &lease)?;
                config::delete_secrets(writing.connection, &format!("server/{name}/"))?;
                servers::remove(writing.connection, &name, now)
            })
            .await
    }

    async fn remove_server(&self, name: &ServerName, now: Timestamp) -> Result<(), StorageError> {
        let (name, doing) = (name.clone(), "removed a server's record");
        self.writer
            .durable(doing, move |writing| servers::remove(writing.connection, &name, now))
            .await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn ping(&self) -> Result<Duration, StorageError> {
        let (disk, doing) = (self.writer.disk(), "answered a health check");
        if !disk.has_just_synced() {
            let beat = |writing: &mut Writing<'_>| Ok(verb::count(writing.connection).map(|_| ())?);
            self.writer.durable(doing, beat).await?;
        }
        Ok(disk.takes())
    }

    fn settled(&self) -> Arc<dyn Store> {
        let (writer, readers) = (Arc::clone(&self.writer), Arc::clone(&self.readers));
        Arc::new(Self { writer, readers, changes: self.changes.clone(), settles: true })
    }

    async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }
}
