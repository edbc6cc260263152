//! One effect at a time, past any plugin: a job of an app whose calls a test makes itself. Dropping
//! a call in the middle and taking the job up again is what a killed host does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass::effects::context::{JobContext, Outside, Signals};
use windlass::effects::grants::{Allowed, AppScope, Grants};
use windlass::effects::journal::Journal;
use windlass::effects::{self, Effect};
use windlass::model::app::AppRecord;
use windlass::model::failure::Failure;
use windlass::model::grants::GrantsWanted;
use windlass::model::job::{Job, Outcome, Running};
use windlass::model::journal::LogLevel;
use windlass::model::names::{Identity, JobId};
use windlass::model::server::Server;
use windlass::providers::{NewMachine, Provider as _};
use windlass::ssh::keys;
use windlass::storage::sqlite::{Options, Sqlite};
use windlass::storage::{Claim, NewJob, ServerChange, Store};

use crate::journal;
use crate::sshd::Sshd;
use crate::workshop::outside;

/// How long a test waits for a line.
const PATIENCE: Duration = Duration::from_secs(120);

/// A host's inside with one server, `web-1`, and jobs that nobody else runs.
pub struct Bench {
    home: TempDir,
    /// The store as the database that it is.
    pub sqlite: Arc<Sqlite>,
    /// Where effects go.
    pub outside: Outside,
}

/// A job of an app, taken up once or again.
pub struct AppJob {
    record: Job<Running>,
    grants: Grants,
    signals: Signals,
    /// What its effects share.
    pub context: Arc<JobContext>,
}

impl Bench {
    /// One whose server is simulated.
    pub async fn simulated() -> Self {
        let bench = Self::open().await;
        let record = server("sandbox", 22, None);
        let identity = Identity { job: JobId::new(Timestamp::now(), 0), effect: 0 };
        let change = ServerChange::Create(Box::new(record.clone()));
        let (making, _) = bench.claimed("create_server", change).await;
        let (store, vault) = (&bench.outside.store, &bench.outside.vault);
        let boot = keys::boot(store, vault, making.lease(), &record.name).await.unwrap();
        let wanted = NewMachine {
            name: record.name.clone(),
            identity,
            server_type: record.server_type.clone(),
            region: record.region.clone(),
            image: record.image.clone(),
            ssh_keys: Vec::new(),
            boot,
        };
        bench.outside.providers.sandbox().create_server(&wanted).await.unwrap();
        bench.complete(making).await;
        bench
    }

    /// One whose server is this machine, by its sshd at this port of loopback.
    pub async fn at(sshd: &Sshd, port: u16) -> Self {
        let bench = Self::open().await;
        let access = sshd.access();
        let mut record = server("docker", port, Some(&access.host_key_fingerprint));
        record.ssh.user.clone_from(&access.user);
        record.ipv4 = Some([127, 0, 0, 1].into());
        bench.job("create_server", ServerChange::Create(Box::new(record))).await;
        let name = "server/web-1/ssh_key";
        let sealed = bench.outside.vault.seal(name, access.key.expose_secret().as_bytes());
        bench.outside.store.put_secret(name, &sealed).await.unwrap();
        bench
    }

    async fn open() -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("windlass.db");
        let sqlite = Sqlite::open(&path, &Options::default()).unwrap();
        let store: Arc<dyn Store> = sqlite.clone();
        let outside = outside(home.path(), &store).await;
        Self { home, sqlite, outside }
    }

    /// Records an app on the server, as a job that ended well.
    pub async fn install(&self, app: &str, needs: &[&str], provides: Value) {
        let record = json!({
            "app_name": app, "server": "web-1", "title": app, "version": "1.0.0",
            "category": "test", "status": "deploying", "job_id": JobId::new(Timestamp::now(), 0),
            "plugin": {
                "name": app, "version": "1.0.0",
                "digest": format!("sha256:{}", "0".repeat(64)),
            },
            "config": {}, "dependencies": needs, "provides": provides,
            "created_at": Timestamp::now(), "deployed_at": null,
        });
        let record: AppRecord = serde_json::from_value(record).unwrap();
        self.job(&format!("deploy_app:{app}"), ServerChange::Deploying(Box::new(record))).await;
    }

    /// A job of this app, with these exceptions from the stack policy.
    pub async fn app_job(&self, app: &str, exceptions: &[&str], delete_data: bool) -> AppJob {
        let (record, _) = self.claimed(&format!("deploy_app:{app}"), ServerChange::None).await;
        let names = vec![format!("{app}.example.com").parse().unwrap()];
        let interfaces = ["stacks", "databases", "http", "secrets", "ssh"];
        let interfaces = interfaces.map(str::to_owned).to_vec();
        let wanted = GrantsWanted {
            interfaces,
            secrets: vec![format!("{app}/*")],
            stack: exceptions.iter().map(|it| (*it).to_owned()).collect(),
            http_hosts: vec!["example.org".to_owned()],
        };
        let scope = AppScope { name: app.parse().unwrap(), names, delete_data };
        let allowed = Arc::new(Allowed::new(wanted));
        let grants = Grants::new(allowed, Some("web-1".parse().unwrap())).for_app(scope);
        let signals = Signals::default();
        let context = self.context(&record, &grants, &signals).await;
        AppJob { record, grants, signals, context }
    }

    /// What a host does that starts after another one was killed: a new run from the journal.
    pub async fn restarted(&self, job: AppJob) -> AppJob {
        let AppJob { record, grants, signals, context } = job;
        drop(context);
        let context = self.context(&record, &grants, &signals).await;
        AppJob { record, grants, signals, context }
    }

    /// Makes the journal end with the intent of the job's first call of this function, as if the host
    /// had died before its outcome was on disk.
    pub async fn forget_outcome(&self, job: &AppJob, function: &str) {
        job.context.settle().await.unwrap();
        journal::forget_outcome(&self.home.path().join("windlass.db"), &job.id(), function);
    }

    /// Where everything is kept.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The job ends well, and the next one can begin.
    pub async fn end(&self, job: AppJob) {
        self.complete(job.record).await;
    }

    async fn context(
        &self,
        record: &Job<Running>,
        grants: &Grants,
        signals: &Signals,
    ) -> Arc<JobContext> {
        let entries = self.outside.store.journal(&record.record.id, 0, 1_000).await.unwrap();
        let journal = Journal::new(self.outside.store.clone(), record, entries);
        let mut outside = self.outside.clone();
        outside.remotes = Arc::new(outside.remotes.for_one_job());
        let (job, grants) = (record.record.clone(), grants.clone());
        Arc::new(JobContext::new(job, journal, grants, outside, signals.clone()))
    }

    /// A job that is submitted and has ended.
    async fn job(&self, operation: &str, change: ServerChange) {
        let (job, _) = self.claimed(operation, change).await;
        self.complete(job).await;
    }

    async fn complete(&self, job: Job<Running>) {
        let finished = job.finish(Outcome::Completed(json!({})), Timestamp::now());
        self.outside.store.finish(finished, Vec::new()).await.unwrap();
    }

    async fn claimed(&self, operation: &str, change: ServerChange) -> (Job<Running>, JobId) {
        let now = Timestamp::now();
        let id = JobId::new(now, rand::random());
        let server = "web-1".parse().unwrap();
        let job = NewJob {
            id: id.clone(),
            operation: operation.parse().unwrap(),
            params: json!({}),
            server: Some(server),
            retry_of: None,
            depends_on: Vec::new(),
            by: "test".to_owned(),
            now,
            server_change: change,
            idempotency: None,
        };
        self.outside.store.submit(job).await.unwrap();
        let until = now.checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
        let claim = Claim { worker: "bench".parse().unwrap(), now, until };
        let claimed = self.outside.store.claim_jobs(&claim, 1).await.unwrap().pop();
        let claimed = claimed.unwrap_or_else(|| panic!("`{operation}` cannot run"));
        assert_eq!(claimed.record.id, id);
        (claimed, id)
    }

    /// Waits until a job says a line with this in it, and answers its level.
    pub async fn says(&self, job: &JobId, wanted: &str) -> LogLevel {
        let mut changes = self.outside.store.changes();
        let waiting = async {
            loop {
                let (lines, _) =
                    self.outside.store.logs(job, 10_000, LogLevel::Debug).await.unwrap();
                if let Some(line) = lines.into_iter().find(|it| it.message.contains(wanted)) {
                    return line.level;
                }
                let _changed = changes.recv().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("`{wanted}` was never said"))
    }

    /// Everything that the database says of a job.
    pub async fn told(&self, job: &JobId) -> String {
        let entries = self.outside.store.journal(job, 0, 10_000).await.unwrap();
        serde_json::to_string(&entries.iter().map(|it| &it.event).collect::<Vec<_>>()).unwrap()
    }
}

impl AppJob {
    /// Does an effect as a plugin's call does it.
    pub async fn perform<E: Effect>(&self, effect: &E) -> Result<E::Answer, Failure> {
        effects::perform(&self.context, effect).await.expect("the run goes on")
    }

    /// Its id.
    pub fn id(&self) -> JobId {
        self.record.record.id.clone()
    }

    /// Somebody cancels it.
    pub fn cancel(&self) {
        self.signals.cancel.cancel();
    }
}

fn server(provider: &str, port: u16, fingerprint: Option<&str>) -> Server {
    let record = json!({
        "name": "web-1", "provider": provider, "provider_id": null, "server_type": "cx23",
        "region": "nbg1", "image": "debian-12", "ipv4": "198.18.0.7", "ipv6": null,
        "status": "ready", "created_at": Timestamp::now(),
        "ssh": {
            "user": "root", "port": port, "host_key_fingerprint": fingerprint, "key_id": null,
        },
        "setup": { "network": "livchat_network", "done_at": Timestamp::now() },
        "dns": { "zone_name": "example.com" }, "apps": [], "simulated": provider == "sandbox",
    });
    serde_json::from_value(record).unwrap()
}
