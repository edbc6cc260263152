//! The store's promises: what is durable, what is in order, what is refused, what survives.

use std::path::PathBuf;
use std::sync::mpsc;

use jiff::ToSpan;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::model::app::AppRecord;
use crate::model::failure::Failure;
use crate::model::job::{JobStatus, Outcome};
use crate::model::journal::{Event, LogSource};
use crate::model::names::{Digest, ProviderKind, WorkerId};
use crate::model::server::{AppsOnIt, Protection, ServerStatus, SshAccess};
use crate::storage::apps::{AppStore, Batch};
use crate::storage::planned::{PlanStore, Planned};
use crate::storage::{IdempotencyKey, KeptLease, ServerChange};

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
        self.store.claim_next_job(&claim_of(worker)).await.unwrap()
    }

    async fn complete(&self, job: Job<Running>) {
        self.end(job, Outcome::Completed(json!({"done": true}))).await.unwrap();
    }

    async fn end(&self, job: Job<Running>, outcome: Outcome) -> Result<(), StorageError> {
        let job = job.finish(outcome, now());
        let status = job.record.status;
        let event = Event::Finished { status, failure: job.record.failure.clone() };
        self.store.finish(job, vec![NewEntry { at: now(), event }]).await
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

#[tokio::test]
async fn submissions_that_wait_together_share_one_commit() {
    let bench = Bench::new();
    let (go, stopped) = bench.stop_writer();
    let submissions = (0..100).map(|index| bench.store.submit(new_job(index, None)));
    let before = bench.store.syncs();
    let release = async { drop(go) };
    // Polled in order: the writer stops, all submissions are sent, the writer goes on.
    let (_, submitted, ()) =
        tokio::join!(biased; stopped, futures_util::future::join_all(submissions), release);
    assert!(submitted.iter().all(Result::is_ok));
    // The stopped one's commit may have taken some of them along.
    assert!(bench.store.syncs() - before <= 2, "{} commits", bench.store.syncs() - before);
}

#[tokio::test]
async fn a_job_of_five_effects_takes_seven_commits() {
    let bench = Bench::holding(Duration::from_secs(3600));
    let before = bench.store.syncs();
    bench.submit(1, None).await;
    let job = bench.claim("w1").await.unwrap();
    for effect in 0..5 {
        bench.store.append(job.lease(), vec![log("outcome of the one before")], None);
        let intent = vec![log(&format!("intent {effect}"))];
        bench.store.append_durable(job.lease(), intent).await.unwrap();
    }
    bench.store.append(job.lease(), vec![log("outcome of the last")], None);
    bench.complete(job).await;
    assert_eq!(bench.store.syncs() - before, 7);
}

#[tokio::test]
async fn deferred_entries_keep_their_place_before_the_next_durable_one() {
    let bench = Bench::holding(Duration::from_secs(3600));
    let id = bench.submit(1, None).await;
    let job = bench.claim("w1").await.unwrap();
    for index in 0..20 {
        bench.store.append(job.lease(), vec![log(&format!("line {index}"))], None);
    }
    assert_eq!(bench.kinds(&id).await, ["submitted"], "held back");
    bench.store.append_durable(job.lease(), vec![log("durable")]).await.unwrap();
    let (lines, total) = bench.store.logs(&id, 100, LogLevel::Debug).await.unwrap();
    let wanted: Vec<_> =
        (0..20).map(|index| format!("line {index}")).chain(["durable".to_owned()]).collect();
    assert_eq!(lines.into_iter().map(|line| line.message).collect::<Vec<_>>(), wanted);
    assert_eq!(total, 21);
}

#[tokio::test]
async fn deferred_entries_are_written_by_themselves_after_a_while() {
    let bench = Bench::holding(Duration::from_millis(20));
    let id = bench.submit(1, None).await;
    let job = bench.claim("w1").await.unwrap();
    let mut changes = bench.store.changes();
    let view = View { progress: 40, ..View::default() };
    bench.store.append(job.lease(), vec![log("line")], Some(view));
    assert_eq!(changes.recv().await.unwrap(), Change::Job(id.clone()));
    assert_eq!(bench.kinds(&id).await, ["submitted", "log"]);
    assert_eq!(bench.store.job(&id).await.unwrap().unwrap().view.progress, 40);
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

impl Bench {
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
}

#[tokio::test]
async fn what_a_job_changes_takes_along_what_was_deferred_and_waits_for_no_disk() {
    let bench = Bench::holding(Duration::from_secs(3600));
    let (job, name) = bench.job_with_server().await;
    let before = bench.store.syncs();
    bench.store.append(job.lease(), vec![log("what comes before")], None);
    bench.amend(job.lease(), &name).await.unwrap();
    assert_eq!(bench.kinds(&job.record.id).await, ["submitted", "log"]);
    let found = bench.store.server(&name).await.unwrap().unwrap();
    assert_eq!(found.provider_id.as_deref(), Some("7"), "whoever reads next sees it");
    assert_eq!(bench.store.syncs(), before);
    // Something durable that writes nothing itself has it synced all the same.
    bench.store.delete_secrets("nobody/").await.unwrap();
    assert_eq!(bench.store.syncs(), before + 1);
}

#[tokio::test]
async fn what_a_job_changes_reaches_the_disk_by_itself_after_a_while() {
    let bench = Bench::holding(Duration::from_millis(20));
    let (job, name) = bench.job_with_server().await;
    let before = bench.store.syncs();
    bench.amend(job.lease(), &name).await.unwrap();
    while bench.store.syncs() == before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_people_are_told_is_on_disk_and_costs_a_sync_only_when_it_was_not() {
    let bench = Bench::holding(Duration::from_secs(60));
    let (job, name) = bench.job_with_server().await;
    let told = bench.store.settled();
    told.job(&job.record.id).await.unwrap();
    let before = bench.store.syncs();
    bench.amend(job.lease(), &name).await.unwrap();
    let changed = |server: Option<Server>| server.unwrap().provider_id.as_deref() == Some("7");
    assert!(changed(bench.store.server(&name).await.unwrap()));
    assert_eq!(bench.store.syncs(), before, "whoever works on it does not wait");
    let (one, two) = tokio::join!(told.server(&name), told.servers());
    assert!(changed(one.unwrap()) && two.unwrap().len() == 1);
    let after = bench.store.syncs();
    assert!((before + 1..=before + 2).contains(&after), "{before} {after}");
    for _ in 0..20 {
        told.server(&name).await.unwrap();
    }
    assert_eq!(bench.store.syncs(), after, "there is nothing to wait for");
}

#[tokio::test]
async fn a_claim_is_on_disk_before_anybody_is_told_that_the_job_runs() {
    let bench = Bench::holding(Duration::from_secs(60));
    let id = bench.submit(1, None).await;
    let before = bench.store.syncs();
    bench.claim("a").await.unwrap();
    assert_eq!(bench.store.syncs(), before);
    let told = bench.store.settled().job(&id).await.unwrap().unwrap();
    assert_eq!((told.status, bench.store.syncs()), (JobStatus::Running, before + 1));
}

#[tokio::test]
async fn jobs_are_counted_as_they_come_go_on_and_go() {
    let bench = Bench::new();
    let counts = async || bench.store.job_counts().await.unwrap();
    for index in 0..3 {
        bench.submit(index, None).await;
    }
    assert_eq!(counts().await, JobCounts { queued: 3, running: 0 });
    let job = bench.claim("a").await.unwrap();
    assert_eq!(counts().await, JobCounts { queued: 2, running: 1 });
    bench.complete(job).await;
    assert_eq!(counts().await, JobCounts { queued: 2, running: 0 });
    let refused = bench.store.submit(new_job(0, None)).await;
    assert!(matches!(refused, Err(StorageError::Duplicate)));
    assert_eq!(counts().await, JobCounts { queued: 2, running: 0 });
    let connection = Connection::open(bench.path()).unwrap();
    let by_hand: i64 = connection
        .query_row(
            "SELECT count(*) FROM counters WHERE name <> 'commits' AND n <>
                 (SELECT count(*) FROM jobs WHERE status = name)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(by_hand, 0, "the counters say what is there");
}

#[tokio::test]
async fn an_old_lease_changes_no_record() {
    let bench = Bench::new();
    let (job, server) = bench.job_with_server().await;
    bench.complete(job).await;
    let change = ServerChange::Deploying(Box::new(shop_on(&server)));
    let deploying = NewJob { server_change: change, ..new_job(2, Some("web")) };
    bench.store.submit(deploying).await.unwrap();
    let job = bench.claim("w1").await.unwrap();
    bench.store.recover(&claim_of("w2"), true).await.unwrap();
    let newer = bench.claim("w2").await.unwrap();
    let (store, lease, shop) = (&bench.store, job.lease(), &"shop".parse().unwrap());
    store.append(lease, vec![log("too late")], Some(View { progress: 99, ..View::default() }));
    let pin = PluginPin { digest: digest_of("cd"), ..shop_on(&server).plugin };
    store.pin(lease, &pin, log("too late"));
    let change = Box::new(|app: &mut AppRecord| app.urls.push("https://late.example".to_owned()));
    let requeued = NewEntry { at: now(), event: Event::Requeued { reason: "late".to_owned() } };
    for refused in [
        bench.amend(lease, &server).await,
        store.forget_server(lease, &server, now()).await,
        store.add_secret(lease, "server/web/secret/a", b"b").await.map(|_| ()),
        store.amend_app(lease, &server, shop, change).await.map(|_| ()),
        store.forget_app(lease, &server, shop).await,
        store.append_durable(lease, vec![log("too late")]).await,
        store.append_durable(lease, Vec::new()).await,
        store.requeue(job.clone(), requeued).await,
        bench.end(job.clone(), Outcome::Completed(json!({}))).await,
    ] {
        assert!(matches!(refused, Err(StorageError::LeaseLost { .. })), "{refused:?}");
    }
    assert_eq!(store.server(&server).await.unwrap().unwrap().provider_id, None);
    assert_eq!(store.app(&server, shop).await.unwrap().unwrap().urls, Vec::<String>::new());
    assert!(store.secrets("server/web/").await.unwrap().is_empty());
    let record = store.job(&job.record.id).await.unwrap().unwrap();
    assert_eq!((record.status, record.plugin, record.view.progress), (JobStatus::Running, None, 0));
    assert_eq!(bench.kinds(&record.id).await, ["submitted", "requeued"]);
    // Who has it now may do all of that.
    let change = Box::new(|app: &mut AppRecord| app.notes.push("in time".to_owned()));
    let changed = store.amend_app(newer.lease(), &server, shop, change).await.unwrap().unwrap();
    assert_eq!(changed.notes, ["in time"]);
    store.forget_app(newer.lease(), &server, shop).await.unwrap();
    assert!(store.app(&server, shop).await.unwrap().is_none());
}

#[tokio::test]
async fn a_health_check_waits_for_the_disk_only_when_nothing_did_just_before() {
    let bench = Bench::new();
    bench.store.ping().await.unwrap();
    let before = bench.store.syncs();
    assert!(before >= 1, "the first one does");
    for _ in 0..20 {
        bench.store.ping().await.unwrap();
    }
    assert_eq!(bench.store.syncs(), before);
}

#[tokio::test]
async fn closing_writes_what_is_held() {
    let bench = Bench::holding(Duration::from_secs(3600));
    let id = bench.submit(1, None).await;
    let job = bench.claim("w1").await.unwrap();
    bench.store.append(job.lease(), vec![log("last words")], None);
    let bench = bench.reopen().await;
    assert_eq!(bench.kinds(&id).await, ["submitted", "log"]);
}

#[tokio::test]
async fn after_closing_everything_is_refused() {
    let bench = Bench::new();
    bench.store.close().await;
    let refused = bench.store.submit(new_job(1, None)).await;
    assert!(matches!(refused, Err(StorageError::Closed)), "{refused:?}");
    assert!(matches!(bench.store.ping().await, Err(StorageError::Closed)));
    assert!(matches!(bench.store.servers().await, Err(StorageError::Closed)));
}

#[tokio::test]
async fn an_old_lease_writes_nothing() {
    let bench = Bench::new();
    let id = bench.submit(1, None).await;
    let old = bench.claim("w1").await.unwrap();
    assert_eq!(bench.store.recover(&claim_of("w2"), true).await.unwrap(), 1);
    let new = bench.claim("w2").await.unwrap();
    assert_eq!((new.record.attempt, new.lease().fence), (2, 2));
    bench.store.append(old.lease(), vec![log("late")], None);
    let refused = bench.store.append_durable(old.lease(), vec![log("late")]).await;
    assert!(matches!(refused, Err(StorageError::LeaseLost { .. })), "{refused:?}");
    let refused = bench.end(old, Outcome::Completed(json!(1))).await;
    assert!(matches!(refused, Err(StorageError::LeaseLost { .. })), "{refused:?}");
    assert_eq!(bench.kinds(&id).await, ["submitted", "requeued"]);
    bench.complete(new).await;
    assert_eq!(bench.status(&id).await, JobStatus::Completed);
}

#[tokio::test]
async fn no_job_is_given_twice() {
    let bench = Bench::new();
    for index in 0..50 {
        bench.submit(index, None).await;
    }
    let claim = claim_of("w1");
    let claims = (0..80).map(|_| bench.store.claim_next_job(&claim));
    let claimed = futures_util::future::join_all(claims).await;
    let mut numbers: Vec<_> =
        claimed.into_iter().filter_map(|job| Some(job.unwrap()?.record.number)).collect();
    let given = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((given, numbers.len()), (50, 50));
}

#[tokio::test]
async fn jobs_of_one_server_run_one_after_another_and_others_beside_them() {
    let bench = Bench::new();
    let first = bench.submit(1, Some("a")).await;
    let second = bench.submit(2, Some("a")).await;
    let other = bench.submit(3, Some("b")).await;
    let running = bench.claim("w").await.unwrap();
    assert_eq!(running.record.id, first);
    assert_eq!(bench.claim("w").await.unwrap().record.id, other);
    assert!(bench.claim("w").await.is_none());
    let mut changes = bench.store.changes();
    bench.complete(running).await;
    let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
    assert_eq!(told, [Change::Job(first), Change::Claimable]);
    assert_eq!(bench.claim("w").await.unwrap().record.id, second);
}

#[tokio::test]
async fn an_uncertain_job_does_not_block_its_server() {
    let bench = Bench::new();
    bench.submit(1, Some("a")).await;
    let second = bench.submit(2, Some("a")).await;
    let running = bench.claim("w").await.unwrap();
    let unknown = Failure::unsafe_to_retry("outcome_unknown", "nobody knows");
    bench.end(running, Outcome::Uncertain(unknown)).await.unwrap();
    assert_eq!(bench.claim("w").await.unwrap().record.id, second);
}

#[tokio::test]
async fn a_job_waits_for_what_it_depends_on() {
    let bench = Bench::new();
    let needed = bench.submit(1, None).await;
    let dependant = bench.submit_after(2, None, &[&needed]).await;
    let running = bench.claim("w").await.unwrap();
    assert!(bench.claim("w").await.is_none());
    bench.complete(running).await;
    assert_eq!(bench.claim("w").await.unwrap().record.id, dependant);
}

#[tokio::test]
async fn what_depends_on_a_failed_job_fails_and_says_why() {
    let bench = Bench::new();
    let needed = bench.submit(1, None).await;
    let middle = bench.submit_after(2, Some("a"), &[&needed]).await;
    let last = bench.submit_after(3, None, &[&middle]).await;
    let behind = bench.submit(4, Some("a")).await;
    let running = bench.claim("w").await.unwrap();
    bench.end(running, Outcome::Failed(Failure::safe("x", "y"))).await.unwrap();
    for id in [&middle, &last] {
        let failure = bench.store.job(id).await.unwrap().unwrap().failure.unwrap();
        assert_eq!(failure.code, "dependency_failed");
        assert_eq!(bench.kinds(id).await, ["submitted", "finished"]);
    }
    assert_eq!(bench.claim("w").await.unwrap().record.id, behind);
    let too_late = bench.submit_after(5, None, &[&needed]).await;
    assert_eq!(bench.status(&too_late).await, JobStatus::Failed);
}

#[tokio::test]
async fn cancelling_a_queued_job_ends_it_and_lets_the_next_one_go() {
    let bench = Bench::new();
    let first = bench.submit(1, Some("a")).await;
    let second = bench.submit(2, Some("a")).await;
    let cancelled = bench.store.request_cancel(&first, "ana", now()).await.unwrap();
    assert_eq!(cancelled, CancelRequest::Cancelled);
    assert_eq!(bench.kinds(&first).await, ["submitted", "cancel_requested", "finished"]);
    let again = bench.store.request_cancel(&first, "ana", now()).await.unwrap();
    assert_eq!(again, CancelRequest::Finished(JobStatus::Cancelled));
    assert_eq!(bench.claim("w").await.unwrap().record.id, second);
    let unknown = bench.store.request_cancel(&JobId::new(now(), 77), "ana", now()).await;
    assert_eq!(unknown.unwrap(), CancelRequest::NoSuchJob);
}

#[tokio::test]
async fn cancelling_a_running_job_tells_its_worker_once_in_the_journal() {
    let bench = Bench::new();
    let id = bench.submit(1, None).await;
    bench.claim("w").await.unwrap();
    let mut changes = bench.store.changes();
    for _ in 0..2 {
        let asked = bench.store.request_cancel(&id, "ana", now()).await.unwrap();
        assert_eq!(asked, CancelRequest::Requested);
    }
    let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
    assert!(told.contains(&Change::CancelRequested(id.clone())), "{told:?}");
    assert_eq!(bench.kinds(&id).await, ["submitted", "cancel_requested"]);
    assert!(bench.store.job(&id).await.unwrap().unwrap().cancel_requested);
}

#[tokio::test]
async fn a_job_that_ran_before_is_not_cancelled_behind_its_workers_back() {
    let bench = Bench::new();
    let id = bench.submit(1, None).await;
    bench.claim("w1").await.unwrap();
    bench.store.recover(&claim_of("w2"), true).await.unwrap();
    let asked = bench.store.request_cancel(&id, "ana", now()).await.unwrap();
    assert_eq!(asked, CancelRequest::Requested);
    let job = bench.claim("w2").await.unwrap();
    assert!(job.record.cancel_requested, "its worker cleans up");
}

#[tokio::test]
async fn recovery_puts_back_what_ran_out_and_leaves_what_is_alive() {
    let bench = Bench::new();
    let id = bench.submit(1, None).await;
    bench.claim("w1").await.unwrap();
    let other = claim_of("w2");
    assert_eq!(bench.store.recover(&other, false).await.unwrap(), 0);
    let renewed = Claim { until: now() + 90.seconds(), ..claim_of("w1") };
    let kept = bench.store.renew_leases(&renewed).await.unwrap();
    assert_eq!(kept, [KeptLease { job: id.clone(), cancel_requested: false }]);
    let later = Claim { now: now() + 60.seconds(), ..other.clone() };
    assert_eq!(bench.store.recover(&later, false).await.unwrap(), 0);
    let much_later = Claim { now: now() + 91.seconds(), ..other };
    assert_eq!(bench.store.recover(&much_later, false).await.unwrap(), 1);
    assert_eq!(bench.status(&id).await, JobStatus::Queued);
    assert!(bench.store.renew_leases(&renewed).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_job_given_back_is_claimed_again_with_its_pin() {
    let bench = Bench::new();
    let id = bench.submit(1, None).await;
    let job = bench.claim("w1").await.unwrap();
    let digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
    let pin = PluginPin { name: "p".to_owned(), version: "1.0.0".to_owned(), digest };
    bench.store.pin(job.lease(), &pin, log("claimed"));
    let reason = "the host stops".to_owned();
    let entry = NewEntry { at: now(), event: Event::Requeued { reason } };
    bench.store.requeue(job, entry).await.unwrap();
    let again = bench.claim("w2").await.unwrap();
    assert_eq!(again.record.plugin, Some(pin));
    assert_eq!(again.record.attempt, 2);
    assert_eq!(bench.kinds(&id).await, ["submitted", "log", "requeued"]);
}

#[tokio::test]
async fn a_key_gives_the_same_job_again_until_it_is_forgotten() {
    let bench = Bench::new();
    let keyed = |index, request: &str, since| NewJob {
        idempotency: Some(IdempotencyKey {
            key: "t:k".to_owned(),
            request: request.to_owned(),
            since,
        }),
        ..new_job(index, None)
    };
    let yesterday = now() - 24.hours();
    let first = JobId::new(now(), 1);
    let submit = |job| bench.store.submit(job);
    assert_eq!(submit(keyed(1, "r", yesterday)).await.unwrap(), Submitted::Job(first.clone()));
    assert_eq!(submit(keyed(2, "r", yesterday)).await.unwrap(), Submitted::Before(first));
    assert_eq!(submit(keyed(3, "other", yesterday)).await.unwrap(), Submitted::KeyReused);
    let later = submit(keyed(4, "other", now() + 1.seconds())).await.unwrap();
    assert_eq!(later, Submitted::Job(JobId::new(now(), 4)));
}

#[tokio::test]
async fn a_server_is_made_once_and_marked_when_it_goes() {
    let bench = Bench::new();
    let name: ServerName = "web".parse().unwrap();
    let change = |index, server_change| NewJob { server_change, ..new_job(index, Some("web")) };
    let create = || ServerChange::Create(Box::new(server("web")));
    let delete =
        || ServerChange::Deleting { server: "web".parse().unwrap(), apps: AppsOnIt::Refuse };
    let refused = bench.store.submit(change(1, delete())).await.unwrap();
    assert_eq!(refused, Submitted::NoSuchServer);
    bench.store.submit(change(2, create())).await.unwrap();
    let refused = bench.store.submit(change(3, create())).await.unwrap();
    assert_eq!(refused, Submitted::ServerExists(Box::new(server("web"))));
    bench.store.submit(change(4, delete())).await.unwrap();
    let found = bench.store.server(&name).await.unwrap().unwrap();
    assert_eq!(found.status, ServerStatus::Deleting);
    let rename = Box::new(|server: &mut Server| server.provider_id = Some("7".to_owned()));
    let changed = bench.store.update_server(&name, rename).await.unwrap().unwrap();
    assert_eq!(changed.provider_id.as_deref(), Some("7"));
    bench.store.remove_server(&name, now()).await.unwrap();
    bench.store.remove_server(&name, now()).await.unwrap();
    assert!(bench.store.servers().await.unwrap().is_empty());
    let count = JobFilter { limit: 10, ..JobFilter::default() };
    assert_eq!(bench.store.jobs(&count).await.unwrap().items.len(), 2, "refusals leave no job");
}

#[tokio::test]
async fn an_id_that_is_taken_is_a_duplicate_and_hurts_nobody_else() {
    let bench = Bench::new();
    let id = bench.submit(1, None).await;
    let server_change = ServerChange::Create(Box::new(server("web")));
    let twice = NewJob { server_change, ..new_job(1, None) };
    let (refused, other) =
        tokio::join!(bench.store.submit(twice), bench.store.submit(new_job(2, None)));
    assert!(matches!(refused, Err(StorageError::Duplicate)), "{refused:?}");
    assert!(other.is_ok());
    assert!(bench.store.servers().await.unwrap().is_empty(), "nothing of it is written");
    assert_eq!(bench.kinds(&id).await, ["submitted"]);
}

#[tokio::test]
async fn pages_hold_every_job_once_newest_first() {
    let bench = Bench::new();
    let jobs = (0..95).map(|index| new_job(index, Some(if index % 3 == 0 { "a" } else { "b" })));
    futures_util::future::join_all(jobs.map(|job| bench.store.submit(job))).await;
    let running = bench.claim("w").await.unwrap();
    bench.complete(running).await;
    for (server, status, wanted) in [
        (None, vec![], 95),
        (None, vec![JobStatus::Queued, JobStatus::Completed], 95),
        (Some("a"), vec![], 32),
        (Some("b"), vec![JobStatus::Queued, JobStatus::Running], 63),
    ] {
        let server = server.map(|name| name.parse().unwrap());
        let mut filter = JobFilter { status, server, limit: 10, ..JobFilter::default() };
        let mut seen = Vec::new();
        loop {
            let page = bench.store.jobs(&filter).await.unwrap();
            seen.extend(page.items.iter().map(|job| job.number));
            filter.before = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
        assert_eq!(seen.len(), wanted);
    }
}

#[tokio::test]
async fn counts_and_configuration_come_back_as_they_were_written() {
    let bench = Bench::new();
    bench.submit(1, None).await;
    bench.submit(2, None).await;
    bench.claim("w").await.unwrap();
    let counts = bench.store.job_counts().await.unwrap();
    assert_eq!(counts, JobCounts { queued: 1, running: 1 });
    let provider = |kind, default| ProviderConfig { kind, token: None, endpoint: None, default };
    bench.store.put_provider(provider(ProviderKind::Sandbox, true)).await.unwrap();
    bench.store.put_provider(provider(ProviderKind::Docker, true)).await.unwrap();
    let defaults: Vec<_> =
        bench.store.providers().await.unwrap().iter().map(|p| (p.kind, p.default)).collect();
    assert_eq!(defaults, [(ProviderKind::Docker, true), (ProviderKind::Sandbox, false)]);
    assert_eq!(bench.store.ensure_secret("a/b", b"one").await.unwrap(), b"one");
    assert_eq!(bench.store.ensure_secret("a/b", b"two").await.unwrap(), b"one");
    bench.store.delete_secrets("a/").await.unwrap();
    assert_eq!(bench.store.secret("a/b").await.unwrap(), None);
    let token = |hash: &str| Token {
        name: "cli".to_owned(),
        hash: hash.to_owned(),
        scope: "admin".to_owned(),
        created_at: now(),
    };
    bench.store.put_token(token("one")).await.unwrap();
    bench.store.put_token(token("two")).await.unwrap();
    assert_eq!(bench.store.token("one").await.unwrap(), None);
    assert_eq!(bench.store.token("two").await.unwrap(), Some(token("two")));
    assert!(bench.store.delete_token("cli").await.unwrap());
    assert!(!bench.store.delete_token("cli").await.unwrap());
}

#[tokio::test]
async fn a_full_disk_is_said_and_what_was_acknowledged_stays() {
    let bench = Bench::holding(Duration::from_secs(3600));
    let id = bench.submit(1, None).await;
    let job = bench.claim("w").await.unwrap();
    bench.limit_growth(2).await;
    let large = "x".repeat(60_000);
    bench.store.append(job.lease(), vec![log(&large)], None);
    bench.store.append(job.lease(), vec![log("after it")], None);
    let refused = bench.store.append_durable(job.lease(), vec![log("durable")]).await;
    assert!(matches!(refused, Err(StorageError::DiskFull { .. })), "{refused:?}");
    assert_eq!(bench.kinds(&id).await, ["submitted"]);
    // Whoever frees space does it from outside: the limit is the connection's own.
    bench
        .store
        .writer
        .relaxed("freed space", |writing| {
            writing.connection.query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(()))?;
            Ok(())
        })
        .await
        .unwrap();
    bench.store.append_durable(job.lease(), vec![log("again")]).await.unwrap();
    let (lines, _) = bench.store.logs(&id, 10, LogLevel::Debug).await.unwrap();
    let lines: Vec<_> = lines.iter().map(|line| line.message.len()).collect();
    assert_eq!(lines, [60_000, "after it".len(), "again".len()], "in order, none lost");
}

#[tokio::test]
async fn a_verb_that_panics_hurts_nobody_else() {
    let bench = Bench::new();
    let name: ServerName = "web".parse().unwrap();
    let job =
        NewJob { server_change: ServerChange::Create(Box::new(server("web"))), ..new_job(1, None) };
    bench.store.submit(job).await.unwrap();
    let refused = bench.store.update_server(&name, Box::new(|_| panic!("a test's"))).await;
    assert!(refused.is_err());
    bench.store.ping().await.unwrap();
    assert_eq!(bench.store.server(&name).await.unwrap(), Some(server("web")));
}

fn refusal(path: &Path) -> String {
    match Sqlite::open(path, &Options::default()) {
        Ok(_) => "none".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_untouched() {
    let bench = Bench::new();
    bench.store.close().await;
    let path = bench.path();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = refusal(&path);
    assert!(refused.contains("newer windlass (schema 99, this one knows "), "{refused}");
}

#[test]
fn plugins_that_an_earlier_program_recorded_stay_as_they_are() {
    let connection = Connection::open_in_memory().unwrap();
    schema::MIGRATIONS[..9].iter().for_each(|it| connection.execute_batch(it).unwrap());
    let insert = "INSERT INTO plugin_versions VALUES
        ('sha256:1', 'echo', '1.0.0', 'upload', 7, 1, 'admin', '{}', NULL, 1),
        ('sha256:2', 'echo', '2.0.0', 'directory', 8, 2, 'directory', '{}', '{}', 0)";
    connection.execute_batch(insert).unwrap();
    schema::migrate(&connection, 9).unwrap();
    let columns = "digest || version || source || size || added_at || added_by || wanted ||
        coalesce(accepted, '-') || is_kept || coalesce(origin, '-')";
    let mut select = connection.prepare(&format!("SELECT {columns} FROM plugin_versions")).unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    let rows: Vec<String> = rows.map(Result::unwrap).collect();
    let expected = ["sha256:11.0.0upload71admin{}-1-", "sha256:22.0.0directory82directory{}{}0-"];
    assert_eq!(rows, expected);
}

#[test]
fn what_is_no_database_of_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, "not a database, but longer than a header is".repeat(100)).unwrap();
    let refused = refusal(&garbage);
    assert!(refused.contains("is damaged: file is not a database"), "{refused}");
    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    let refused = refusal(&other);
    assert!(refused.contains("it is a database of another program"), "{refused}");
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let bench = Bench::new();
    for index in 0..200 {
        bench.submit(index, None).await;
    }
    bench.store.close().await;
    let path = bench.path();
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let refused = refusal(&path);
    assert!(refused.contains("is damaged"), "{refused}");
}

#[test]
fn a_place_where_nothing_can_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = refusal(&folder.path().join("no/such/folder/jobs.db"));
    assert!(refused.contains("cannot be written"), "{refused}");
    let refused = refusal(Path::new("/proc/version"));
    assert!(refused.contains("cannot be written") || refused.contains("damaged"), "{refused}");
}

#[tokio::test]
async fn a_file_that_may_only_be_read_is_refused() {
    let bench = Bench::new();
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(bench.path(), flags).unwrap();
    let refused = schema::prepare(&connection, &bench.path(), "jobs.db").unwrap_err();
    assert!(refused.to_string().starts_with("jobs.db cannot be written"), "{refused}");
}

#[tokio::test]
async fn a_planned_job_is_written_only_while_its_plan_holds_and_runs_what_ran_in_it() {
    let bench = Bench::new();
    let web: ServerName = "web".parse().unwrap();
    let pin = PluginPin {
        name: "create-server".to_owned(),
        version: "1.0.0".to_owned(),
        digest: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
    };
    let planned = |basis| {
        let pins = vec![("create_server".parse().unwrap(), pin.clone())];
        Some(Arc::new(Planned { server: "web".parse().unwrap(), basis, pins }))
    };
    let submit = |index, planned| {
        let jobs = vec![new_job(index, Some("web"))];
        bench.store.submit_all(Batch { jobs, secrets: Vec::new(), planned })
    };
    let basis = || async { bench.store.basis(&web).await.unwrap() };
    let first = basis().await;
    // What is about others does not count, but what they are does.
    bench.submit(1, Some("other")).await;
    assert_eq!(basis().await, first);
    let id = JobId::new(now(), 2);
    assert_eq!(submit(2, planned(first.clone())).await.unwrap(), Submitted::Job(id.clone()));
    assert_eq!(bench.store.job(&id).await.unwrap().unwrap().plugin, Some(pin.clone()));
    assert_eq!(submit(3, planned(first)).await.unwrap(), Submitted::Outdated);
    assert!(bench.store.job(&JobId::new(now(), 3)).await.unwrap().is_none());
    for change in ["server", "secret", "provider", "app"] {
        let before = basis().await;
        match change {
            "server" => {
                let server_change = ServerChange::Create(Box::new(server("third")));
                bench.store.submit(NewJob { server_change, ..new_job(4, None) }).await.unwrap();
            }
            "secret" => bench.store.put_secret("server/web/secret/x", b"sealed").await.unwrap(),
            "provider" => {
                let (token, endpoint) = (None, Some("http://127.0.0.1:1".to_owned()));
                let kind = ProviderKind::Docker;
                let provider = ProviderConfig { kind, token, endpoint, default: true };
                bench.store.put_provider(provider).await.unwrap();
            }
            _ => {
                let put = |writing: &mut verb::Writing<'_>| {
                    let insert = "INSERT INTO apps (server, name, job, record) \
                                  VALUES ('web', 'n8n', 'j', '{}')";
                    Ok(writing.connection.execute_batch(insert)?)
                };
                bench.store.writer.durable("wrote an app", put).await.unwrap();
            }
        }
        assert_ne!(basis().await, before, "{change}");
        assert_eq!(submit(9, planned(before)).await.unwrap(), Submitted::Outdated, "{change}");
    }
}
