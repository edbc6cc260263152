//! The real store, taken through the model's steps. A killed process leaves the files as they are,
//! a power cut only what was synced of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use proptest_state_machine::StateMachineTest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::journal::put_server;
use tokio::runtime::Runtime;
use windlass::model::app::{AppRecord, AppStatus};
use windlass::model::failure::Failure;
use windlass::model::job::{Job, JobStatus, Outcome, Running, View};
use windlass::model::journal::{Event, LogLevel, LogSource, NewEntry};
use windlass::model::names::{AppName, JobId, ServerName};
use windlass::model::standing::{Standing, Tells};
use windlass::storage::apps::AppStore as _;
use windlass::storage::sqlite::{Options, Sqlite};
use windlass::storage::{
    CancelRequest, Claim, ConfigStore as _, JobCounts, NewJob, ServerChange, StorageError, Store,
    Submitted,
};

use super::apps::{APPS, Refusal};
use super::reference::{LEASE, Model, Said, State, Step};

/// Longer than any sequence: nothing is written but by the model's steps.
const NEVER: Duration = Duration::from_secs(3_600);

/// The files of a database.
const FILES: [&str; 3] = ["jobs.db", "jobs.db-wal", "jobs.db-mark"];

/// A process that has the store open.
pub(super) struct Host {
    runtime: Runtime,
    folder: TempDir,
    store: Arc<Sqlite>,
    /// Every job that was ever claimed, as its worker has it in hand.
    claimed: Vec<Job<Running>>,
    /// How long the log was when it was last synced.
    synced: u64,
}

impl StateMachineTest for Host {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &State) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = new_folder();
        runtime.block_on(open(folder.path()).close());
        put_server(&folder.path().join(FILES[0]), &server());
        let store = open(folder.path());
        let mut host = Self { runtime, folder, store, claimed: Vec::new(), synced: 0 };
        host.settle();
        host
    }

    fn apply(mut host: Self, state: &State, step: Step) -> Self {
        host.claimed.truncate(state.written.leases.len());
        let said = match &step {
            Step::Kill => host.die(None),
            Step::PowerCut => host.die(Some(host.synced)),
            _ => host.take(&step, state),
        };
        assert_eq!(said, state.said, "{step:?}");
        host.note_synced(&step);
        host
    }

    fn check_invariants(host: &Self, state: &State) {
        let jobs = &state.written.jobs;
        for (number, wanted) in jobs.iter().enumerate() {
            let id = id_of(number);
            let found = host.wait(host.store.job(&id)).unwrap().unwrap();
            assert_eq!(
                (found.status, found.attempt, found.cancel_requested),
                (wanted.status, wanted.attempt, wanted.cancel_requested),
                "job {number}"
            );
            let entries = host.wait(host.store.journal(&id, 0, 1_000)).unwrap();
            let kinds: Vec<&str> = entries.iter().map(|entry| entry.event.kind()).collect();
            assert_eq!(kinds, wanted.kinds, "the journal of job {number}");
            assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq), "no gaps");
            let standing = Standing::of(&entries);
            assert_eq!(standing.tells, Tells::All);
            let differences = standing.differences(&found);
            assert!(differences.is_empty(), "job {number}: {differences:?}: {found:?}");
        }
        assert_eq!(host.wait(host.store.job(&id_of(jobs.len()))).unwrap(), None);
        let count = |status| jobs.iter().filter(|job| job.status == status).count() as u64;
        let (queued, running) = (count(JobStatus::Queued), count(JobStatus::Running));
        assert_eq!(host.wait(host.store.job_counts()).unwrap(), JobCounts { queued, running });
        for app in 0..APPS {
            let found = host.wait(host.store.app(&server_of(0), &app_of(app))).unwrap();
            let found = found.map(|it| (it.status, it.job_id, it.notes, it.forgets));
            let wanted = state.written.apps.records.get(&app).map(|it| {
                let notes = it.note.iter().map(ToString::to_string).collect();
                (it.status, id_of(it.job), notes, it.forgets)
            });
            assert_eq!(found, wanted, "app {app}");
            let secret = host.wait(host.store.secret(&secret_of(app))).unwrap();
            let wanted = state.written.apps.secrets.get(&app).map(ToString::to_string);
            assert_eq!(secret, wanted.map(String::into_bytes), "the secret of app {app}");
        }
        let is_stuck = running == 0 && queued > 0 && state.written.claimable().is_none();
        assert!(!is_stuck, "nobody will ever run what waits");
    }
}

impl Host {
    fn wait<T>(&self, doing: impl Future<Output = T>) -> T {
        self.runtime.block_on(doing)
    }

    fn take(&mut self, step: &Step, state: &State) -> Said {
        let store = Arc::clone(&self.store);
        let now = at(state.now);
        match step {
            Step::Submit { .. } | Step::Deploy { .. } | Step::Undeploy { .. } => {
                self.submit(step, state)
            }
            Step::Tell { app, secret } => {
                let value = secret.to_string();
                self.wait(store.put_secret(&secret_of(*app), value.as_bytes())).unwrap();
                Said::Nothing
            }
            Step::Claim { worker } => self.claim(*worker, state),
            Step::Append { lease } => {
                let lease = self.claimed[*lease].lease().clone();
                self.done(store.append_durable(&lease, vec![log(now)]))
            }
            Step::Defer { lease } => {
                let lease = self.claimed[*lease].lease();
                store.append(
                    lease,
                    vec![half(now)],
                    Some(View { progress: 50, ..View::default() }),
                );
                Said::Nothing
            }
            Step::Pin { lease } => {
                let plugin = record_of(0, 0).plugin;
                store.pin(self.claimed[*lease].lease(), &plugin, now);
                Said::Nothing
            }
            Step::Note { lease, app } => self.note(*lease, *app),
            Step::Forget { lease, app } => {
                let held = self.claimed[*lease].lease();
                self.done(store.forget_app(held, &server_of(0), &app_of(*app)))
            }
            Step::Keep { lease, app } => {
                let (held, value) = (self.claimed[*lease].lease(), lease.to_string());
                match self.wait(store.add_secret(held, &secret_of(*app), value.as_bytes())) {
                    Err(StorageError::LeaseLost { .. }) => Said::Kept(None),
                    kept => {
                        let kept = String::from_utf8(kept.unwrap()).unwrap();
                        Said::Kept(Some(kept.parse().unwrap()))
                    }
                }
            }
            Step::Finish { lease, status } => {
                let mut job = self.claimed[*lease].clone();
                // A run knows what it wrote itself.
                let number = state.written.leases[*lease].job;
                if state.written.jobs[number].kinds.contains(&"progress") {
                    job.record.view.progress(50);
                }
                let job = job.finish(outcome(*status), now);
                let event = Event::end_of(&job.record);
                self.done(store.finish(job, vec![NewEntry { at: now, event }]))
            }
            Step::Requeue { lease } => {
                let event = Event::Requeued { reason: "given back".to_owned() };
                let job = self.claimed[*lease].clone();
                self.done(store.requeue(job, NewEntry { at: now, event }))
            }
            Step::Renew { worker } => {
                let kept = self.wait(store.renew_leases(&claim_of(*worker, now))).unwrap();
                let number = |id: &JobId| (0..).find(|&number| id_of(number) == *id).unwrap();
                let kept = kept.iter().map(|it| (number(&it.job), it.cancel_requested));
                let mut kept: Vec<(usize, bool)> = kept.collect();
                kept.sort_unstable();
                Said::Renewed(kept)
            }
            Step::Recover { worker, exclusive } => {
                let claim = claim_of(*worker, now);
                let recovered = store.recover(&claim, *exclusive);
                Said::Recovered(self.wait(recovered).unwrap())
            }
            Step::Cancel { job } => self.cancel(*job, now),
            Step::Wake => {
                assert_eq!(self.wait(store.wake_waiting(0)).unwrap(), None);
                Said::Nothing
            }
            Step::Pass(_) => Said::Nothing,
            Step::Kill | Step::PowerCut => unreachable!("the process does not see it coming"),
        }
    }

    fn submit(&self, step: &Step, state: &State) -> Said {
        let is_refused = matches!(state.said, Said::Refused(_));
        let number = state.written.jobs.len() - usize::from(!is_refused);
        let job = match step {
            Step::Submit { server, needs } => new_job(number, *server, needs),
            Step::Deploy { app } => {
                let server_change = ServerChange::Deploying(Box::new(record_of(*app, number)));
                NewJob { server_change, ..new_job(number, Some(0), &[]) }
            }
            Step::Undeploy { app, forgets } => {
                let (server, app, forgets) = (server_of(0), app_of(*app), *forgets);
                let server_change = ServerChange::Removing { server, app, forgets };
                NewJob { server_change, ..new_job(number, Some(0), &[]) }
            }
            other => unreachable!("{other:?} makes no job"),
        };
        match self.wait(self.store.submit(job)).unwrap() {
            Submitted::AppBusy(_) => Said::Refused(Refusal::Busy),
            Submitted::NoSuchApp => Said::Refused(Refusal::Absent),
            submitted => {
                assert_eq!(submitted, Submitted::Job(id_of(number)));
                Said::Nothing
            }
        }
    }

    fn note(&self, lease: usize, app: u8) -> Said {
        let change = Box::new(move |record: &mut AppRecord| record.notes = vec![lease.to_string()]);
        let held = self.claimed[lease].lease();
        match self.wait(self.store.amend_app(held, &server_of(0), &app_of(app), change)) {
            Err(StorageError::LeaseLost { .. }) => Said::Done(false),
            noted => noted.unwrap().map_or(Said::NoApp, |_| Said::Done(true)),
        }
    }

    fn claim(&mut self, worker: u8, state: &State) -> Said {
        let claim = claim_of(worker, at(state.now));
        let Some(job) = self.wait(self.store.claim_jobs(&claim, 1)).unwrap().pop() else {
            return Said::Claimed(None);
        };
        let number = (0..).find(|&number| id_of(number) == job.record.id).unwrap();
        let wanted = state.written.leases.last().expect("the model claims nothing");
        assert_eq!((number, job.lease().fence), (wanted.job, wanted.fence));
        self.claimed.push(job);
        Said::Claimed(Some(number))
    }

    fn cancel(&self, job: usize, now: Timestamp) -> Said {
        match self.wait(self.store.request_cancel(&id_of(job), "somebody", now)).unwrap() {
            CancelRequest::Cancelled => Said::Cancelled,
            CancelRequest::Requested => Said::Requested,
            CancelRequest::Finished(status) => Said::Finished(status),
            CancelRequest::NoSuchJob => panic!("job {job} is gone"),
        }
    }

    fn done(&self, doing: impl Future<Output = Result<(), StorageError>>) -> Said {
        match self.wait(doing) {
            Err(StorageError::LeaseLost { .. }) => Said::Done(false),
            done => {
                done.unwrap();
                Said::Done(true)
            }
        }
    }

    /// Another process starts with what this one leaves: all that it wrote, or so much of the log.
    fn die(&mut self, synced: Option<u64>) -> Said {
        let folder = new_folder();
        for name in FILES {
            fs::copy(self.folder.path().join(name), folder.path().join(name)).unwrap();
        }
        if let Some(synced) = synced {
            let log = fs::File::options().write(true).open(folder.path().join(FILES[1])).unwrap();
            log.set_len(synced).unwrap();
        }
        let store = open(folder.path());
        // The old one writes what it has in hand, where nobody looks any more.
        self.wait(self.store.close());
        (self.folder, self.store) = (folder, store);
        self.settle();
        Said::Nothing
    }

    /// Sees that all is on disk that is written.
    fn settle(&mut self) {
        self.wait(self.store.ping()).unwrap();
        self.synced = self.log_length();
    }

    /// Some steps write nothing, and others only what is on disk with whatever comes then.
    fn note_synced(&mut self, step: &Step) {
        let waits_for_more = matches!(
            step,
            Step::Defer { .. }
                | Step::Pin { .. }
                | Step::Wake
                | Step::Pass(_)
                | Step::Claim { .. }
                | Step::Renew { .. }
                | Step::Keep { .. }
                | Step::Note { .. }
                | Step::Forget { .. }
        );
        if !waits_for_more {
            self.synced = self.log_length();
        }
    }

    fn log_length(&self) -> u64 {
        fs::metadata(self.folder.path().join(FILES[1])).unwrap().len()
    }
}

/// In memory where the system has such a place: what a disk would keep is simulated.
fn new_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    TempDir::new_in(place).unwrap()
}

fn open(folder: &Path) -> Arc<Sqlite> {
    let path: PathBuf = folder.join(FILES[0]);
    Sqlite::open(&path, &Options { hold: NEVER, readers: 1, ..Options::default() }).unwrap()
}

fn at(seconds: u32) -> Timestamp {
    let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    start + i64::from(seconds).seconds()
}

fn id_of(number: usize) -> JobId {
    JobId::new(at(0), u32::try_from(number).unwrap())
}

fn claim_of(worker: u8, now: Timestamp) -> Claim {
    let until = now + i64::from(LEASE).seconds();
    Claim { worker: format!("worker-{worker}").parse().unwrap(), now, until }
}

fn new_job(number: usize, server: Option<u8>, needs: &[usize]) -> NewJob {
    NewJob {
        id: id_of(number),
        operation: "create_server".parse().unwrap(),
        params: json!({}),
        server: server.map(server_of),
        retry_of: None,
        depends_on: needs.iter().map(|&needed| id_of(needed)).collect(),
        by: "somebody".to_owned(),
        now: at(0),
        server_change: ServerChange::None,
        idempotency: None,
    }
}

fn server_of(number: u8) -> ServerName {
    format!("web-{number}").parse().unwrap()
}

fn app_of(number: u8) -> AppName {
    format!("app-{number}").parse().unwrap()
}

/// Where the host keeps an app's secrets.
fn secret_of(app: u8) -> String {
    format!("server/web-0/secret/{}/key", app_of(app))
}

/// The server that apps are on, which no job of the model makes.
fn server() -> Value {
    json!({
        "name": server_of(0), "provider": "sandbox", "provider_id": "1", "server_type": "cx23",
        "region": "nbg1", "image": "debian-12", "ipv4": null, "ipv6": null, "status": "ready",
        "created_at": at(0), "setup": {}, "dns": {}, "apps": [], "simulated": true,
        "ssh": { "user": "root", "port": 22, "host_key_fingerprint": null, "key_id": null },
    })
}

fn record_of(app: u8, job: usize) -> AppRecord {
    let record = json!({
        "app_name": app_of(app), "server": server_of(0), "title": "An app", "version": "1.0.0",
        "category": "test", "status": AppStatus::Deploying, "job_id": id_of(job),
        "plugin": {
            "name": app_of(app), "version": "1.0.0",
            "digest": format!("sha256:{}", "0".repeat(64)),
        },
        "config": {}, "dependencies": [], "created_at": at(0), "deployed_at": null,
    });
    serde_json::from_value(record).unwrap()
}

fn outcome(status: JobStatus) -> Outcome {
    let failure = Failure::safe("no_luck", "it did not work out".to_owned());
    match status {
        JobStatus::Completed => Outcome::Completed(json!({})),
        JobStatus::Cancelled => Outcome::Cancelled(failure),
        JobStatus::Uncertain => Outcome::Uncertain(failure),
        JobStatus::Failed => Outcome::Failed(failure),
        JobStatus::Queued | JobStatus::Running => panic!("a job does not end so"),
    }
}

fn half(at: Timestamp) -> NewEntry {
    NewEntry { at, event: Event::Progress { line: 1, percent: 50 } }
}

fn log(at: Timestamp) -> NewEntry {
    let event =
        Event::Log { level: LogLevel::Info, message: "a line".to_owned(), source: LogSource::Host };
    NewEntry { at, event }
}
