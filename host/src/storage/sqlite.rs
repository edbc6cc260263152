//! The embedded store: one SQLite file in WAL mode, one thread that writes with group commit, a
//! few connections that read beside it.

mod config;
mod fault;
mod jobs;
mod journal;
mod order;
mod queue;
mod readers;
mod schema;
mod servers;
mod submit;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::model::job::{Finished, Job, JobRecord, Lease, PluginPin, Running, View};
use crate::model::journal::{Entry, LogLevel, NewEntry};
use crate::model::names::{JobId, ServerName};
use crate::model::server::Server;
use crate::storage::sqlite::journal::Deferred;
use crate::storage::sqlite::readers::Readers;
use crate::storage::sqlite::writer::Writer;
use crate::storage::{
    AuditRecord, CancelRequest, Change, Claim, JobCounts, JobFilter, LogLine, NewJob, Page,
    ProviderConfig, Sealed, StorageError, Store, Submitted, Token,
};

/// The store in one SQLite file.
pub struct Sqlite {
    writer: Writer,
    readers: Readers,
    changes: broadcast::Sender<Change>,
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
}

impl Default for Options {
    fn default() -> Self {
        Self { readers: 4, hold: Duration::from_millis(100), changes: 4096 }
    }
}

impl Sqlite {
    /// Opens the database, makes it when there is none, and brings its schema up to date.
    pub fn open(path: &Path, options: &Options) -> Result<Arc<Self>, StorageError> {
        let connection = schema::open_writer(path)?;
        let shown: Arc<str> = path.display().to_string().into();
        let (changes, _) = broadcast::channel(options.changes.max(1));
        let writer = Writer::start(connection, Arc::clone(&shown), changes.clone(), options.hold)?;
        let readers = Readers::new(path.to_owned(), shown, options.readers);
        Ok(Arc::new(Self { writer, readers, changes }))
    }

    /// How many commits waited for the disk since the start: many durable writes share one.
    pub fn syncs(&self) -> u64 {
        self.writer.syncs()
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn submit(&self, job: NewJob) -> Result<Submitted, StorageError> {
        let doing = "wrote a new job";
        self.writer.durable(doing, move |writing| submit::submit(writing, &job)).await
    }

    async fn claim_next_job(&self, claim: &Claim) -> Result<Option<Job<Running>>, StorageError> {
        let claim = claim.clone();
        self.writer.relaxed("claimed a job", move |writing| queue::claim(writing, &claim)).await
    }

    async fn renew_leases(&self, claim: &Claim) -> Result<Vec<JobId>, StorageError> {
        let claim = claim.clone();
        self.writer.relaxed("renewed leases", move |writing| queue::renew(writing, &claim)).await
    }

    async fn recover(&self, claim: &Claim, exclusive: bool) -> Result<u64, StorageError> {
        let (claim, doing) = (claim.clone(), "put jobs back in the queue");
        self.writer.durable(doing, move |writing| queue::recover(writing, &claim, exclusive)).await
    }

    fn pin(&self, lease: &Lease, pin: &PluginPin, entry: NewEntry) {
        let (lease, pin) = (lease.clone(), pin.clone());
        self.writer.defer(Deferred::Pin { lease, pin, entry });
    }

    fn append(&self, lease: &Lease, entries: Vec<NewEntry>, view: Option<View>) {
        self.writer.defer(Deferred::Append { lease: lease.clone(), entries, view });
    }

    async fn append_durable(
        &self,
        lease: &Lease,
        entries: Vec<NewEntry>,
    ) -> Result<(), StorageError> {
        let (lease, doing) = (lease.clone(), "wrote to a journal");
        self.writer.durable(doing, move |writing| journal::append(writing, &lease, &entries)).await
    }

    async fn finish(&self, job: Job<Finished>, entries: Vec<NewEntry>) -> Result<(), StorageError> {
        let doing = "wrote a job's end";
        self.writer.durable(doing, move |writing| queue::finish(writing, &job, &entries)).await
    }

    async fn requeue(&self, job: Job<Running>, entry: NewEntry) -> Result<(), StorageError> {
        let ((_, lease), doing) = (job.requeue(), "gave a job back");
        self.writer.durable(doing, move |writing| queue::requeue(writing, &lease, entry)).await
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

    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, StorageError> {
        let id = id.clone();
        self.readers.read("read a job", move |reader| jobs::record_by_id(reader, &id)).await
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Page<JobRecord>, StorageError> {
        let filter = filter.clone();
        self.readers.read("listed jobs", move |reader| jobs::page(reader, &filter)).await
    }

    async fn journal(
        &self,
        id: &JobId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        let (id, doing) = (id.clone(), "read a journal");
        self.readers.read(doing, move |reader| journal::entries(reader, &id, after, limit)).await
    }

    async fn logs(
        &self,
        id: &JobId,
        tail: usize,
        level: LogLevel,
    ) -> Result<(Vec<LogLine>, u64), StorageError> {
        let id = id.clone();
        self.readers.read("read a log", move |reader| journal::logs(reader, &id, tail, level)).await
    }

    async fn job_counts(&self) -> Result<JobCounts, StorageError> {
        self.readers.read("counted jobs", jobs::counts).await
    }

    async fn server(&self, name: &ServerName) -> Result<Option<Server>, StorageError> {
        let name = name.clone();
        self.readers.read("read a server", move |reader| servers::server(reader, &name)).await
    }

    async fn servers(&self) -> Result<Vec<Server>, StorageError> {
        self.readers.read("listed servers", servers::servers).await
    }

    async fn update_server(
        &self,
        name: &ServerName,
        change: Box<dyn for<'s> FnOnce(&'s mut Server) + Send>,
    ) -> Result<Option<Server>, StorageError> {
        let name = name.clone();
        self.writer
            .durable("changed a server's record", move |writing| {
                let Some(mut server) = servers::server(writing.connection, &name)? else {
                    return Ok(None);
                };
                change(&mut server);
                servers::put(writing.connection, &server)?;
                Ok(Some(server))
            })
            .await
    }

    async fn remove_server(&self, name: &ServerName, now: Timestamp) -> Result<(), StorageError> {
        let (name, doing) = (name.clone(), "removed a server's record");
        self.writer
            .durable(doing, move |writing| servers::remove(writing.connection, &name, now))
            .await
    }

    async fn put_provider(&self, provider: ProviderConfig) -> Result<(), StorageError> {
        let doing = "wrote a provider";
        self.writer
            .durable(doing, move |writing| config::put_provider(writing.connection, &provider))
            .await
    }

    async fn providers(&self) -> Result<Vec<ProviderConfig>, StorageError> {
        self.readers.read("listed providers", config::providers).await
    }

    async fn put_token(&self, token: Token) -> Result<(), StorageError> {
        let doing = "wrote a token";
        self.writer
            .durable(doing, move |writing| config::put_token(writing.connection, &token))
            .await
    }

    async fn token(&self, hash: &str) -> Result<Option<Token>, StorageError> {
        let hash = hash.to_owned();
        self.readers.read("looked for a token", move |reader| config::token(reader, &hash)).await
    }

    async fn tokens(&self) -> Result<Vec<Token>, StorageError> {
        self.readers.read("listed tokens", config::tokens).await
    }

    async fn delete_token(&self, name: &str) -> Result<bool, StorageError> {
        let (name, doing) = (name.to_owned(), "removed a token");
        self.writer
            .durable(doing, move |writing| config::delete_token(writing.connection, &name))
            .await
    }

    async fn ensure_secret(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, StorageError> {
        let (name, sealed, doing) = (name.to_owned(), sealed.to_vec(), "wrote a secret");
        self.writer
            .durable(doing, move |writing| {
                config::ensure_secret(writing.connection, &name, &sealed)
            })
            .await
    }

    async fn put_secret(&self, name: &str, sealed: &[u8]) -> Result<(), StorageError> {
        let (name, sealed, doing) = (name.to_owned(), sealed.to_vec(), "wrote a secret");
        self.writer
            .durable(doing, move |writing| config::put_secret(writing.connection, &name, &sealed))
            .await
    }

    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let name = name.to_owned();
        self.readers.read("read a secret", move |reader| config::secret(reader, &name)).await
    }

    async fn secrets(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let prefix = prefix.to_owned();
        self.readers.read("read secrets", move |reader| config::secrets(reader, &prefix)).await
    }

    async fn sealed(&self) -> Result<Vec<Sealed>, StorageError> {
        self.readers.read("read what is sealed", config::sealed).await
    }

    async fn reseal(&self, values: Vec<Sealed>) -> Result<(), StorageError> {
        let doing = "sealed its secrets anew";
        self.writer.durable(doing, move |writing| config::reseal(writing.connection, &values)).await
    }

    async fn delete_secrets(&self, prefix: &str) -> Result<(), StorageError> {
        let (prefix, doing) = (prefix.to_owned(), "removed secrets");
        self.writer
            .durable(doing, move |writing| config::delete_secrets(writing.connection, &prefix))
            .await
    }

    async fn audit(&self, record: AuditRecord) -> Result<(), StorageError> {
        let doing = "wrote to the audit log";
        self.writer.durable(doing, move |writing| config::audit(writing.connection, &record)).await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.writer
            .durable("answered a health check", |writing| {
                writing
                    .connection
                    .prepare_cached("UPDATE pulse SET beats = beats + 1 WHERE id = 1")?
                    .execute([])?;
                Ok(())
            })
            .await
    }

    async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }
}
