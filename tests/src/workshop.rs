//! The host's inside without its doors: a store, workers, and the plugin that misbehaves, which no
//! operator would install.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass::dns::domains::{self, Domains};
use windlass::effects::boundary::{Boundaries, Points};
use windlass::effects::context::Outside;
use windlass::jobs::retry::{Before, Plan};
use windlass::jobs::run::Runner;
use windlass::jobs::worker::{WorkerOptions, Workers};
use windlass::model::job::JobRecord;
use windlass::model::journal::{Entry, LogLevel};
use windlass::model::limits::Limits;
use windlass::model::names::JobId;
use windlass::model::retry::{Resolve, RetriedEffect, RetryFrom};
use windlass::model::server::Server;
use windlass::plugins::catalog::Catalog;
use windlass::plugins::engine::Engine;
use windlass::plugins::plugin::Plugin;
use windlass::providers::registry::{Registry, Settings};
use windlass::providers::sandbox::Pace;
use windlass::ssh::remotes::Remotes;
use windlass::storage::retry::{NewRetry, RetriedServer, Retry};
use windlass::storage::sqlite::{Options, Sqlite};
use windlass::storage::{Change, Claim, NewJob, ServerChange, StorageError, Store};
use windlass::vault::Vault;
use windlass::vault::source::Source;

use crate::sshd::Sshd;

/// How long a test waits for something before it says that it never came.
const PATIENCE: Duration = Duration::from_secs(180);

/// A store and workers in this process.
pub struct Workshop {
    home: Home,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Which plugins there are.
    pub catalog: Arc<Catalog>,
    /// Where the effects of its jobs go.
    pub outside: Outside,
    limits: Arc<Limits>,
    workers: Option<Workers>,
}

/// Where a workshop keeps everything.
enum Home {
    Own(TempDir),
    Of(PathBuf),
}

impl Home {
    fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Of(path) => path,
        }
    }
}

impl Workshop {
    /// An empty one, with workers that run.
    pub async fn open() -> Self {
        let home = Home::Own(tempfile::tempdir().unwrap());
        Self::at(home, Points::default(), Limits::default()).await
    }

    /// One in the home of a host that does not run any more.
    pub async fn open_in(home: &Path) -> Self {
        Self::open_to_die(home, Points::default()).await
    }

    /// The same, with points at which something happens on purpose.
    pub async fn open_to_die(home: &Path, points: Points) -> Self {
        Self::at(Home::Of(home.to_owned()), points, Limits::default()).await
    }

    async fn at(home: Home, points: Points, limits: Limits) -> Self {
        let (path, limits) = (home.path().to_owned(), Arc::new(limits));
        let store: Arc<dyn Store> =
            Sqlite::open(&path.join("windlass.db"), &Options::default()).unwrap();
        let outside = outside(&path, &store).await;
        let outside = Outside { boundaries: Boundaries::fatal(points), ..outside };
        let catalog = Arc::new(Catalog::built_in().unwrap());
        catalog.activate(&misbehaving_plugin());
        // One that was killed has another name, so that its jobs are known to be nobody's.
        let id = format!("workshop-{:016x}", rand::random::<u64>());
        let worker = WorkerOptions { id: id.parse().unwrap(), limit: 64 };
        let now = Timestamp::now();
        let claim = Claim { worker: worker.id.clone(), now, until: now };
        store.recover(&claim, true).await.unwrap();
        let runner =
            Runner::new(outside.clone(), Arc::clone(&catalog), engine(), Arc::clone(&limits));
        let workers = Some(Workers::start(runner, worker));
        Self { home, store, outside, catalog, limits, workers }
    }

    /// Stops as a host does that is told to, and starts again on the same home.
    pub async fn restart(self) -> Self {
        self.restart_with(Limits::default()).await
    }

    /// The same, with these limits from then on.
    pub async fn restart_with(mut self, limits: Limits) -> Self {
        self.stop().await;
        Self::at(self.home, Points::default(), limits).await
    }

    /// Stops the workers and closes the store.
    pub async fn stop(&mut self) {
        self.stop_workers().await;
        self.store.close().await;
    }

    /// Stops the workers.
    pub async fn stop_workers(&mut self) {
        if let Some(workers) = self.workers.take() {
            workers.stop().await;
        }
    }

    /// What runs a job that somebody else than the workers has claimed.
    pub fn runner(&self) -> Runner {
        let (outside, catalog) = (self.outside.clone(), Arc::clone(&self.catalog));
        Runner::new(outside, catalog, engine(), Arc::clone(&self.limits))
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.home.path().join("windlass.db")
    }

    /// Where everything is kept.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Makes a server on the sandbox.
    pub async fn create_server(&self, name: &str) {
        let params = json!({
            "name": name, "server_type": "cx23", "region": "nbg1", "image": "debian-12",
        });
        let record = json!({
            "name": name, "provider": "sandbox", "provider_id": null, "server_type": "cx23",
            "region": "nbg1", "image": "debian-12", "ipv4": null, "ipv6": null,
            "status": "creating", "created_at": Timestamp::now(),
            "ssh": { "user": "root", "port": 22, "host_key_fingerprint": null, "key_id": null },
            "setup": {}, "dns": {}, "apps": [], "simulated": true,
        });
        let record: Server = serde_json::from_value(record).unwrap();
        let change = ServerChange::Create(Box::new(record));
        let id = self.submit_job("create_server", params, Some(name), change).await;
        result(&self.finished(&id).await);
    }

    /// Makes a record of a machine that is there.
    pub async fn add_machine(&self, name: &str, sshd: &Sshd) {
        let access = sshd.access();
        let secret = format!("server/{name}/ssh_key");
        let sealed = self.outside.vault.seal(&secret, access.key.expose_secret().as_bytes());
        self.store.put_secret(&secret, &sealed).await.unwrap();
        let record = json!({
            "name": name, "provider": "hetzner", "provider_id": "1", "server_type": "cx23",
            "region": "nbg1", "image": "debian-12", "ipv4": access.address, "ipv6": null,
            "status": "running", "created_at": Timestamp::now(),
            "ssh": {
                "user": access.user, "port": access.port, "key_id": null,
                "host_key_fingerprint": access.host_key_fingerprint,
            },
            "setup": {}, "dns": {}, "apps": [], "simulated": false,
        });
        let record: Server = serde_json::from_value(record).unwrap();
        let change = ServerChange::Create(Box::new(record));
        let params = json!({ "how": "returns" });
        let id = self.submit_job("misbehaves", params, Some(name), change).await;
        result(&self.finished(&id).await);
    }

    /// Submits a job that misbehaves on this server.
    pub async fn submit_on(&self, server: &str, how: &str) -> JobId {
        let params = json!({ "how": how, "server": server });
        self.submit_job("misbehaves", params, Some(server), ServerChange::None).await
    }

    /// Wants a job to stop, and waits for its end.
    pub async fn cancel(&self, id: &JobId) -> JobRecord {
        self.store.request_cancel(id, "test", Timestamp::now()).await.unwrap();
        self.finished(id).await
    }

    /// Tries a job again, and answers the new one.
    pub async fn retry(&self, id: &JobId, from: RetryFrom, resolve: Option<Resolve>) -> JobId {
        let (retry, _) = self.new_retry(id, from, resolve).await;
        let new = retry.job.id.clone();
        assert_eq!(self.store.retry(retry).await.unwrap(), Retry::Job(new.clone()));
        new
    }

    /// What the store needs to try a job again, and what becomes of that one's effects.
    pub async fn new_retry(
        &self,
        id: &JobId,
        from: RetryFrom,
        resolve: Option<Resolve>,
    ) -> (NewRetry, Vec<RetriedEffect>) {
        let record = self.store.job(id).await.unwrap().unwrap();
        let entries = self.journal(id).await;
        let now = Timestamp::now();
        let plan = Plan::new(Before { record: &record, entries: &entries }, from, resolve, now);
        let job = NewJob {
            id: JobId::new(now, rand::random()),
            operation: record.operation,
            params: record.params,
            server: record.server,
            retry_of: Some((record.id, record.root)),
            depends_on: Vec::new(),
            by: "test".to_owned(),
            now,
            server_change: ServerChange::None,
            idempotency: None,
        };
        let Plan { entries, view, pin, effects, .. } = plan;
        (NewRetry { job, server: RetriedServer::Used, pin, entries, view }, effects)
    }

    /// Submits a job that misbehaves on this server, and waits for its end.
    pub async fn run_on(&self, server: &str, how: &str) -> JobRecord {
        let id = self.submit_on(server, how).await;
        self.finished(&id).await
    }

    /// Submits a job that does this with something on this server.
    pub async fn submit_with(&self, server: &str, how: &str, what: Value) -> JobId {
        let params = json!({ "how": how, "server": server, "what": what });
        self.submit_job("misbehaves", params, Some(server), ServerChange::None).await
    }

    /// Submits a job that misbehaves in this way.
    pub async fn submit(&self, how: &str) -> JobId {
        self.submit_job("misbehaves", json!({ "how": how }), None, ServerChange::None).await
    }

    /// Submits a job of this operation.
    pub async fn submit_job(
        &self,
        operation: &str,
        params: Value,
        server: Option<&str>,
        server_change: ServerChange,
    ) -> JobId {
        let now = Timestamp::now();
        let mut job = NewJob {
            id: JobId::new(now, rand::random()),
            operation: operation.parse().unwrap(),
            params,
            server: server.map(|name| name.parse().unwrap()),
            retry_of: None,
            depends_on: Vec::new(),
            by: "test".to_owned(),
            now,
            server_change,
            idempotency: None,
        };
        loop {
            match self.store.submit(job.clone()).await {
                // Of ten thousand in a second, two may draw the same number.
                Err(StorageError::Duplicate) => job.id = JobId::new(now, rand::random()),
                submitted => {
                    submitted.unwrap();
                    return job.id;
                }
            }
        }
    }

    /// Submits such a job for a new server of the sandbox.
    pub async fn submit_on_sandbox(&self, how: &str, server: &str) -> JobId {
        let now = Timestamp::now();
        let id = JobId::new(now, rand::random());
        let record = json!({
            "name": server, "provider": "sandbox", "provider_id": null, "server_type": "cx23",
            "region": "nbg1", "image": "debian-12", "ipv4": "198.18.0.7", "ipv6": null,
            "status": "running", "created_at": now, "setup": {}, "dns": {}, "apps": [],
            "ssh": { "user": "root", "port": 22, "host_key_fingerprint": null, "key_id": null },
            "simulated": true,
        });
        let job = NewJob {
            id: id.clone(),
            operation: "misbehaves".parse().unwrap(),
            params: json!({ "how": how, "server": server }),
            server: Some(server.parse().unwrap()),
            retry_of: None,
            depends_on: Vec::new(),
            by: "test".to_owned(),
            now,
            server_change: ServerChange::Create(serde_json::from_value(record).unwrap()),
            idempotency: None,
        };
        self.store.submit(job).await.unwrap();
        id
    }

    /// Submits such a job and waits for its end.
    pub async fn run(&self, how: &str) -> JobRecord {
        let id = self.submit(how).await;
        self.finished(&id).await
    }

    /// Waits for the end of a job.
    pub async fn finished(&self, id: &JobId) -> JobRecord {
        self.wait(id, async |job| job.status.is_finished()).await
    }

    /// Waits until a job has said this.
    pub async fn says(&self, id: &JobId, line: &str) -> JobRecord {
        self.wait(id, async |_| self.log(id).await.iter().any(|said| said == line)).await
    }

    /// What a job has said so far.
    pub async fn log(&self, id: &JobId) -> Vec<String> {
        let (lines, _) = self.store.logs(id, 10_000, LogLevel::Debug).await.unwrap();
        lines.into_iter().map(|line| line.message).collect()
    }

    /// A job's journal.
    pub async fn journal(&self, id: &JobId) -> Vec<Entry> {
        self.store.journal(id, 0, 100_000).await.unwrap()
    }

    /// Waits for the end of a job that may take longer than usual.
    pub async fn finished_in(&self, id: &JobId, patience: Duration) -> JobRecord {
        let mut changes = self.store.changes();
        let waiting = async {
            loop {
                let job = self.store.job(id).await.unwrap().unwrap();
                if job.status.is_finished() {
                    return job;
                }
                changes.recv().await.ok();
            }
        };
        tokio::time::timeout(patience, waiting).await.expect("the job ends in time")
    }

    async fn wait(&self, id: &JobId, is_so: impl AsyncFn(&JobRecord) -> bool) -> JobRecord {
        let mut changes = self.store.changes();
        let waiting = async {
            loop {
                let job = self.store.job(id).await.unwrap().unwrap();
                if is_so(&job).await {
                    return job;
                }
                loop {
                    match changes.recv().await {
                        Ok(Change::Job(changed)) if changed == *id => break,
                        // What was missed may have been it.
                        Err(_) => break,
                        Ok(_) => {}
                    }
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        match waited {
            Ok(job) => job,
            Err(_) => panic!("job {id} never got there: {:#?}", self.store.job(id).await),
        }
    }
}

/// The parts of the host that effects act through, in this home.
pub async fn outside(path: &Path, store: &Arc<dyn Store>) -> Outside {
    let (path, store) = (path.to_owned(), store.clone());
    let vault = Arc::new(Vault::open(&path, &Source::File, &store).await.unwrap());
    let settings = Settings {
        home: path.clone(),
        hcloud_endpoint: None,
        digitalocean_endpoint: None,
        pace: Pace::Instant,
    };
    let providers = Arc::new(Registry::new(settings, store.clone(), vault.clone()));
    let domains = domains::Settings { home: path, cloudflare_endpoint: None };
    let domains = Arc::new(Domains::open(domains, store.clone(), vault.clone()).await.unwrap());
    let remotes = Remotes::new(store.clone(), vault.clone(), providers.clone());
    Outside {
        store,
        providers,
        domains,
        remotes: Arc::new(remotes),
        vault,
        boundaries: Boundaries::default(),
        portainers: Arc::default(),
        is_rehearsal: false,
    }
}

/// One engine for all tests of a process, with its compiled code kept between runs.
fn engine() -> Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    let make = || Arc::new(Engine::new(&target().join("test-code"), &Limits::default()).unwrap());
    ENGINE.get_or_init(make).clone()
}

/// The plugin that misbehaves, built now.
fn misbehaving_plugin() -> Arc<Plugin> {
    static PLUGIN: OnceLock<Arc<Plugin>> = OnceLock::new();
    PLUGIN.get_or_init(|| Arc::new(Plugin::read(misbehaving_component()).unwrap())).clone()
}

/// The bytes of the component that misbehaves.
pub fn misbehaving_component() -> Vec<u8> {
    guest("guests")
}

/// The component of this package of the guests, built now.
pub fn guest(package: &str) -> Vec<u8> {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests");
    let built = target().join("guests");
    let status = Command::new(env!("CARGO"))
        .current_dir(&guests)
        .args(["build", "--quiet", "--locked", "--release", "--target", "wasm32-wasip2"])
        .args(["--package", package, "--target-dir"])
        .arg(&built)
        .env_remove("RUSTFLAGS")
        .status()
        .unwrap();
    assert!(status.success(), "the guest `{package}` did not build");
    std::fs::read(built.join("wasm32-wasip2/release").join(format!("{package}.wasm"))).unwrap()
}

/// The folder in which cargo builds this workspace.
pub(crate) fn target() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let target = exe.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    target.expect("cargo marks its folder").to_owned()
}

/// The result of a finished job.
pub fn result(job: &JobRecord) -> &Value {
    job.result.as_ref().unwrap_or_else(|| panic!("the job did not complete: {job:#?}"))
}

/// The code of a failed job's failure.
pub fn code(job: &JobRecord) -> &str {
    &job.failure.as_ref().unwrap_or_else(|| panic!("the job did not fail: {job:#?}")).code
}
