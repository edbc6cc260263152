//! A million stored jobs cost what a thousand do: counted in steps of SQLite's machine, which are
//! the same on every computer, and not in time.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::ToSpan;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::model::job::{JobStatus, Outcome};
use crate::model::journal::Event;
use crate::storage::plugins::CollectRules;
use crate::storage::retry::RetriedServer;
use crate::storage::sqlite::verb::Writing;
use crate::storage::{IdempotencyKey, ServerChange};

/// A job has its row and this many entries in its journal.
const ENTRIES: i64 = 2;

/// How much more the large store may cost, in steps: rows are found one level deeper, and no row
/// more is visited.
const ALLOWANCE: u64 = 50;

#[test]
fn ten_thousand_jobs_cost_what_a_thousand_do() {
    compare(1_000, 10_000);
}

#[test]
fn a_million_jobs_cost_what_a_thousand_do() {
    if !tests::are_slow_ones_wanted() {
        println!("SKIPPED: writes a million jobs, set SLOW_TESTS");
        return;
    }
    compare(1_000, 1_000_000);
}

fn compare(few: i64, many: i64) {
    let (few, many) = (Filled::with(few), Filled::with(many));
    let (few, many) = (few.costs(), many.costs());
    println!("{:<34} {:>8} {:>8} steps", "", "few", "many");
    let mut walks = Vec::new();
    for ((what, few), (_, many)) in few.into_iter().zip(many) {
        println!("{what:<34} {few:>8} {many:>8}");
        if many > few + few / 4 + ALLOWANCE {
            walks.push(format!("{what}: {few} steps, then {many}"));
        }
    }
    assert_eq!(walks, Vec::<String>::new(), "more jobs cost more");
}

/// A database with so many jobs, of which a part waits, and a few run.
struct Filled {
    _folder: TempDir,
    connection: Connection,
    jobs: i64,
    steps: Arc<AtomicU64>,
}

impl Filled {
    fn with(jobs: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("jobs.db");
        let connection = schema::open_writer(&path, &[]).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF; BEGIN").unwrap();
        connection.execute(JOBS, [jobs]).unwrap();
        connection.execute(JOURNALS, [jobs, ENTRIES]).unwrap();
        connection
            .execute_batch(
                "UPDATE jobs SET operation = 'rare' WHERE number IN (2, 12, 22);
                 INSERT INTO idempotency SELECT 'old-' || number, 'r', id, 1 FROM jobs;
                 INSERT INTO audit (at, caller, action, target, detail)
                     SELECT created_at, 'a', 'b', 'c', '{}' FROM jobs;
                 INSERT INTO plugin_versions
                     (digest, name, version, source, size, added_at, added_by, wanted, accepted,
                      is_kept)
                     SELECT DISTINCT plugin_digest, 'p', '1.0.0', 'upload', 1, 1, 'a', '{}', '{}', 1
                     FROM jobs WHERE plugin_digest IS NOT NULL;
                 COMMIT",
            )
            .unwrap();
        let steps = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&steps);
        let count = move || {
            counter.fetch_add(1, Ordering::Relaxed);
            false
        };
        connection.progress_handler(1, Some(count)).unwrap();
        Self { _folder: folder, connection, jobs, steps }
    }

    fn costs(&self) -> Vec<(&'static str, u64)> {
        let mut costs = self.reading();
        costs.extend(self.writing());
        costs.extend(self.looking_after());
        costs
    }

    /// Runs it twice, and counts the second time: the first prepares its statements.
    fn cost<T>(
        &self,
        what: &'static str,
        verb: impl Fn() -> Result<T, Fault>,
    ) -> (&'static str, u64) {
        verb().unwrap();
        let before = self.steps.load(Ordering::Relaxed);
        verb().unwrap();
        (what, self.steps.load(Ordering::Relaxed) - before)
    }

    /// The same for one that writes.
    fn cost_of_writing<T>(
        &self,
        what: &'static str,
        verb: impl Fn(&mut Writing<'_>) -> Result<T, Fault>,
    ) -> (&'static str, u64) {
        self.cost(what, || {
            self.connection.execute_batch("BEGIN")?;
            let answer = verb(&mut Writing { connection: &self.connection, changes: Vec::new() });
            self.connection.execute_batch("COMMIT")?;
            answer
        })
    }

    fn reading(&self) -> Vec<(&'static str, u64)> {
        let all = JobFilter { limit: 20, ..JobFilter::default() };
        let server = Some("web-2".parse().unwrap());
        let page = |what, filter: JobFilter| {
            self.cost(what, || {
                let found = jobs::page(&self.connection, &filter)?;
                assert!(!found.items.is_empty(), "{what}");
                Ok(())
            })
        };
        let id: JobId = self.id(self.jobs / 2);
        vec![
            page("list, first page", all.clone()),
            page("list, last page", JobFilter { before: Some(10), ..all.clone() }),
            page(
                "list, completed",
                JobFilter { status: vec![JobStatus::Completed], ..all.clone() },
            ),
            page("list, two states", {
                let status = vec![JobStatus::Failed, JobStatus::Queued];
                JobFilter { status, ..all.clone() }
            }),
            page("list, a server", JobFilter { server: server.clone(), ..all.clone() }),
            page("list, an operation", {
                JobFilter { operation: Some("setup_server".parse().unwrap()), ..all.clone() }
            }),
            page("list, a rare operation", {
                JobFilter { operation: Some("rare".parse().unwrap()), ..all.clone() }
            }),
            page("list, a rare operation of a server", {
                JobFilter { operation: Some("rare".parse().unwrap()), server, ..all }
            }),
            self.cost("a job", || jobs::record_by_id(&self.connection, &id)),
            self.cost("a journal", || journal::entries(&self.connection, &id, 0, 1_000)),
            self.cost("a log", || journal::logs(&self.connection, &id, 50, LogLevel::Debug)),
            self.cost("counts", || jobs::counts(&self.connection)),
            self.cost("recover", || {
                let writing = &mut Writing { connection: &self.connection, changes: Vec::new() };
                queue::recover(writing, &claim(), false)
            }),
        ]
    }

    fn writing(&self) -> Vec<(&'static str, u64)> {
        let leases = std::cell::RefCell::new(Vec::new());
        let entry = || NewEntry { at: now(), event: Event::Requeued { reason: "test".to_owned() } };
        let submit = |what, server: &'static str| {
            self.cost_of_writing(what, move |writing| submit::submit(writing, &new_job(server)))
        };
        vec![
            submit("submit", ""),
            submit("submit, on a busy server", "web-2"),
            self.cost_of_writing("claim", |writing| {
                leases.borrow_mut().extend(queue::claim(writing, &claim(), 1)?);
                Ok(())
            }),
            self.cost_of_writing("renew leases", |writing| queue::renew(writing, &claim())),
            self.cost_of_writing("append to a journal", |writing| {
                let leases = leases.borrow();
                journal::append(writing, leases.last().unwrap().lease(), &[entry()])
            }),
            self.cost_of_writing("finish", |writing| {
                let job = leases.borrow_mut().pop().unwrap();
                queue::finish(
                    writing,
                    &job.finish(Outcome::Completed(json!({})), now()),
                    &[entry()],
                )
            }),
            self.cost_of_writing("cancel", |writing| {
                let job = new_job("web-2");
                submit::submit(writing, &job)?;
                queue::request_cancel(writing, &job.id, "test", now())
            }),
            self.cost_of_writing("look at those who wait", |writing| {
                // A thousand at a time, from wherever the last look ended.
                order::wake_some(writing, u64::try_from(self.jobs).unwrap())
            }),
            self.cost_of_writing("retry", |writing| {
                let of = self.failed(writing.connection)?;
                let job = NewJob { retry_of: Some((of.clone(), of)), ..new_job("") };
                let (server, view) = (RetriedServer::Used, View::default());
                let made = retry::retry(
                    writing,
                    &NewRetry { job, server, pin: None, entries: Vec::new(), view },
                )?;
                assert!(matches!(made, Retry::Job(_)), "{made:?}");
                Ok(())
            }),
        ]
    }

    fn looking_after(&self) -> Vec<(&'static str, u64)> {
        let removal = |what, before: i64| {
            self.cost_of_writing(what, move |writing| {
                let status = vec![JobStatus::Completed, JobStatus::Failed];
                let before = Timestamp::from_microsecond(before).unwrap();
                removal::remove(writing, &OldJobs { status, before, after: None })
            })
        };
        vec![
            // Those that ended at the first instants: a few, of however many.
            removal("removal of a few old jobs", 12),
            self.cost_of_writing("collection of plugins", |writing| {
                let rules = CollectRules { in_use: Vec::new(), recent: 0, fresh_since: now() };
                plugins::collect(writing.connection, &rules)
            }),
            self.cost_of_writing("forget a server's secrets", |writing| {
                config::delete_secrets(writing.connection, "server/web-2/")
            }),
        ]
    }

    fn id(&self, place: i64) -> JobId {
        jobs::record(&self.connection, place).unwrap().unwrap().id
    }

    /// A failed job that nobody tried again, without a server.
    fn failed(&self, connection: &Connection) -> Result<JobId, Fault> {
        let job = NewJob { server: None, ..new_job("") };
        let writing = &mut Writing { connection, changes: Vec::new() };
        submit::submit(writing, &job)?;
        connection.execute(
            "UPDATE jobs SET status = 'failed', ready = 0 WHERE id = ?1",
            [job.id.as_str()],
        )?;
        Ok(job.id)
    }
}

/// Ten servers, four operations, one plugin. Of a hundred jobs ten wait for nothing, five wait for
/// others, and the rest have ended: sixty well. Only the first three run.
const JOBS: &str = "
    WITH RECURSIVE places (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM places WHERE i < ?1)
    INSERT INTO jobs (number, id, operation, params, server, root, depends_on, status, ready,
                      attempt, worker, lease_until, plugin_name, plugin_version, plugin_digest,
                      created_at, started_at, completed_at)
    SELECT i, id, 'setup_server', '{}', CASE WHEN i % 100 < 10 AND i % 100 > 3 THEN NULL ELSE 'web-' || (i % 10) END,
           id, '[]', status, i % 100 BETWEEN 4 AND 9, 1,
           CASE status WHEN 'running' THEN 'worker' END,
           CASE status WHEN 'running' THEN 4000000000000000 END,
           CASE WHEN ended THEN 'p' END, CASE WHEN ended THEN '1.0.0' END,
           CASE WHEN ended THEN 'sha256:' || printf('%064x', 1) END,
           i, CASE WHEN status <> 'queued' THEN i END, CASE WHEN ended THEN i END
    FROM (SELECT i, printf('job_20250110_150000_%06x', i) AS id,
                 CASE WHEN i <= 3 THEN 'running' WHEN i % 100 < 15 THEN 'queued'
                      WHEN i % 100 < 75 THEN 'completed' WHEN i % 100 < 95 THEN 'failed'
                      ELSE 'cancelled' END AS status,
                 i > 3 AND i % 100 >= 15 AS ended
          FROM places)";

const JOURNALS: &str = "
    WITH RECURSIVE seqs (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM seqs WHERE seq < ?2)
    INSERT INTO journal (job, seq, at, kind, level, body)
    SELECT number, seq, created_at, 'requeued', NULL, '{\"kind\":\"requeued\",\"reason\":\"test\"}'
    FROM jobs CROSS JOIN seqs WHERE number <= ?1";

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn claim() -> Claim {
    let until = now().checked_add(30.seconds()).unwrap();
    Claim { worker: "tester".parse().unwrap(), now: now(), until }
}

fn new_job(server: &str) -> NewJob {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let index = u32::try_from(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap();
    let key = IdempotencyKey {
        key: format!("key-{index}"),
        request: "r".to_owned(),
        since: Timestamp::from_microsecond(2).unwrap(),
    };
    NewJob {
        id: JobId::new(now(), index),
        operation: "setup_server".parse().unwrap(),
        params: json!({}),
        server: (!server.is_empty()).then(|| server.parse().unwrap()),
        retry_of: None,
        depends_on: Vec::new(),
        by: "test".to_owned(),
        now: now(),
        server_change: ServerChange::None,
        idempotency: Some(key),
    }
}
