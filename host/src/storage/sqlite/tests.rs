//! The store's promises: what is durable, what is in order, what is refused, what survives.

mod commits;
mod opening;
mod queue;
mod records;

use std::path::PathBuf;
use std::sync::mpsc;

use jiff::ToSpan;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::model::app::AppRecord;
use crate::model::job::{JobStatus, Outcome};
use crate::model::journal::{Event, LogSource};
use crate::model::names::{Digest, ProviderKind, WorkerId};
use crate::model::server::{Protection, ServerStatus, SshAccess};
use crate::storage::ServerChange;

/// Whether tests that take long are run.
pub(super) fn are_slow_ones_wanted() -> bool {
    std::env::var_os("SLOW_TESTS").is_some()
}

struct Bench {
    folder: TempDir,
    store: Arc<Sqlite>,
}

impl Bench {
    fn new() -> Self {
        Self::holding(Duration::from_millis(100))
    }

    fn holding(hold: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { hold, ..Options::default() };
        let store = Sqlite::open(&folder.path().join("jobs.db"), &options).unwrap();
        Self { folder, store }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("jobs.db")
    }

    async fn reopen(self) -> Self {
        self.store.close().await;
        let store = Sqlite::open(&self.path(), &Options::default()).unwrap();
        Self { folder: self.folder, store }
    }

    async fn submit(&self, index: u32, server: Option<&str>) -> JobId {
        self.submit_after(index, server, &[]).await
    }

    async fn submit_after(&self, index: u32, server: Option<&str>, needs: &[&JobId]) -> JobId {
        let depends_on = needs.iter().copied().cloned().collect();
        let job = NewJob { depends_on, ..new_job(index, server) };
        let id = job.id.clone();
        assert_eq!(self.store.submit(job).await.unwrap(), Submitted::Job(id.clone()));
        id
    }

    async fn claim(&self, worker: &str) -> Option<Job<Running>> {
        self.store.claim_jobs(&claim_of(worker), 1).await.unwrap().pop()
    }

    async fn complete(&self, job: Job<Running>) {
        self.end(job, Outcome::Completed(json!({"done": true}))).await.unwrap();
    }

    async fn end(&self, job: Job<Running>, outcome: Outcome) -> Result<(), StorageError> {
        let job = job.finish(outcome, now());
        let event = Event::end_of(&job.record);
        self.store.finish(job, vec![NewEntry { at: now(), event }]).await
    }

    /// A claimed job with a server of its own.
    async fn job_with_server(&self) -> (Job<Running>, ServerName) {
        let server_change = ServerChange::Create(Box::new(server("web")));
        let job = NewJob { server_change, ..new_job(1, Some("web")) };
        self.store.submit(job).await.unwrap();
        (self.claim("w1").await.unwrap(), "web".parse().unwrap())
    }

    async fn amend(&self, lease: &Lease, name: &ServerName) -> Result<(), StorageError> {
        let change = Box::new(|server: &mut Server| server.provider_id = Some("7".to_owned()));
        self.store.amend_server(lease, name, change).await.map(|_| ())
    }

    async fn status(&self, id: &JobId) -> JobStatus {
        self.store.job(id).await.unwrap().unwrap().status
    }

    async fn kinds(&self, id: &JobId) -> Vec<&'static str> {
        let entries = self.store.journal(id, 0, 1000).await.unwrap();
        for (place, entry) in (1..).zip(&entries) {
            assert_eq!(entry.seq, place, "the numbers have no gaps");
        }
        entries.iter().map(|entry| entry.event.kind()).collect()
    }

    /// Stops the writer until what is answered is dropped.
    fn stop_writer(&self) -> (mpsc::Sender<()>, impl Future<Output = ()> + use<>) {
        let (go, wait) = mpsc::channel::<()>();
        let store = Arc::clone(&self.store);
        let stopped = async move {
            let verb = move |_: &mut verb::Writing<'_>| {
                wait.recv().ok();
                Ok(())
            };
            store.writer.durable("waited", verb).await.unwrap();
        };
        (go, stopped)
    }

    /// Lets the database grow by so many pages from now on: a disk that is about to be full.
    async fn limit_growth(&self, pages: i64) {
        let verb = move |writing: &mut verb::Writing<'_>| {
            let count: i64 =
                writing.connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            let limit = count.saturating_add(pages);
            let sql = format!("PRAGMA max_page_count = {limit}");
            writing.connection.query_row(&sql, [], |_| Ok(()))?;
            Ok(())
        };
        self.store.writer.durable("limited its size", verb).await.unwrap();
    }
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn new_job(index: u32, server: Option<&str>) -> NewJob {
    NewJob {
        id: JobId::new(now(), index),
        operation: "create_server".parse().unwrap(),
        params: json!({"index": index}),
        server: server.map(|name| name.parse().unwrap()),
        retry_of: None,
        depends_on: Vec::new(),
        by: "tests".to_owned(),
        now: now(),
        server_change: ServerChange::None,
        idempotency: None,
    }
}

fn claim_of(worker: &str) -> Claim {
    let worker: WorkerId = worker.parse().unwrap();
    Claim { worker, now: now(), until: now() + 30.seconds() }
}

fn log(message: &str) -> NewEntry {
    let event =
        Event::Log { level: LogLevel::Info, message: message.to_owned(), source: LogSource::Host };
    NewEntry { at: now(), event }
}

fn server(name: &str) -> Server {
    Server {
        name: name.parse().unwrap(),
        provider: ProviderKind::Sandbox,
        provider_id: None,
        server_type: "cx23".to_owned(),
        region: "nbg1".to_owned(),
        image: "debian-12".to_owned(),
        ipv4: None,
        ipv6: None,
        status: ServerStatus::Creating,
        created_at: now(),
        ssh: SshAccess::default(),
        setup: std::collections::BTreeMap::default(),
        dns: std::collections::BTreeMap::default(),
        apps: Vec::new(),
        deletion_protection: Protection::default(),
        protected: false,
        simulated: true,
    }
}

fn digest_of(byte: &str) -> Digest {
    format!("sha256:{}", byte.repeat(32)).parse().unwrap()
}

/// An app that a job deploys on this server.
fn shop_on(server: &ServerName) -> AppRecord {
    let record = json!({
        "app_name": "shop", "server": server, "title": "Shop", "version": "1.0.0",
        "category": "test", "status": "deploying", "job_id": JobId::new(now(), 0),
        "plugin": { "name": "shop", "version": "1.0.0", "digest": digest_of("ab") },
        "config": {}, "dependencies": [], "provides": {}, "created_at": now(), "deployed_at": null,
    });
    serde_json::from_value(record).unwrap()
}
