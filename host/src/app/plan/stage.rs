//! The stage of a rehearsal: a host of its own in a folder of its own, which knows the records of
//! the real one and can reach nothing. It is there for as long as one plan takes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::app::access::Operator;
use crate::app::apps::live::Looks;
use crate::app::following::Followed;
use crate::app::home::{self, Home};
use crate::app::plan::intended::Intended;
use crate::app::plan::{AT_ONCE, Plan, telling};
use crate::app::tokens::Tokens;
use crate::app::{App, database, worker_id};
use crate::dns::domains::Domains;
use crate::effects::boundary::Boundaries;
use crate::effects::context::Outside;
use crate::effects::references::PLACEHOLDER;
use crate::error::{Error, ErrorKind};
use crate::jobs::run::Runner;
use crate::jobs::worker::{WorkerOptions, Workers};
use crate::model::job::{JobRecord, JobStatus};
use crate::model::names::{JobId, ServerName};
use crate::model::server::ServerStatus;
use crate::providers::registry::Registry;
use crate::ssh::remotes::Remotes;
use crate::storage::sqlite::staged::Staged;
use crate::storage::sqlite::{Options, Sqlite};
use crate::storage::{JobFilter, NewJob, ServerChange, Store};

/// The folder in the home that stages are in.
const FOLDER: &str = "rehearsals";
/// How long a rehearsal may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most jobs that one rehearsal has.
const MOST: usize = 500;
/// What the names of a server's own keys end with; a plugin's secrets are never called so.
const KEYS: [&str; 2] = ["ssh_key", "host_key"];

/// A host on which nothing is real.
pub(super) struct Stage {
    pub(super) app: Arc<App>,
    /// The real host's jobs that come before anything else.
    pub(super) before: Vec<JobId>,
    /// The names of the secrets that there are.
    pub(super) secrets: BTreeSet<String>,
    folder: TempDir,
}

/// Removes what is left of stages of an earlier run of this host.
pub(in crate::app) fn sweep(home: &Path) {
    match std::fs::remove_dir_all(home.join(FOLDER)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            warn!(%error, "could not remove what an earlier run left of its plans");
        }
        _ => {}
    }
}

impl Stage {
    /// A stage for what is planned about this server.
    pub(super) async fn set(real: &Arc<App>, server: &ServerName) -> Result<Self, Error> {
        let parent = real.home.path().join(FOLDER);
        std::fs::create_dir_all(&parent).map_err(home::unusable)?;
        let folder = TempDir::with_prefix_in("plan-", &parent).map_err(home::unusable)?;
        let store = Sqlite::open(&database::of(folder.path()), &Options::default())?;
        let (staged, secrets) = records(real).await?;
        store.stage(staged).await?;
        let before = unfinished(real, server).await?;
        for job in &before {
            store.submit(again(job, &before)).await?;
        }
        let registry = Arc::new(Registry::rehearsal(&real.registry, folder.path()));
        let record = real.store.server(server).await?;
        // One that is being made is made anew by the job that does it.
        if let Some(record) = record.filter(|it| it.status != ServerStatus::Creating) {
            let taken = registry.sandbox().take_over(&record, real.registry.sandbox()).await;
            taken.map_err(home::unusable)?;
        }
        let before = before.into_iter().map(|job| job.id).collect();
        let app = Arc::new(host(real, folder.path(), store, registry).await?);
        Ok(Self { app, before, secrets, folder })
    }

    /// Begins what is intended, and tells what came of it.
    pub(super) async fn rehearse(
        &self,
        operator: Operator,
        intended: &Intended,
    ) -> Result<Plan, Error> {
        let operator = Operator { app: self.app.clone(), ..operator };
        let mut changes = self.app.store.changes();
        let begun = operator.begin(intended, None).await?;
        let jobs = tokio::time::timeout(PATIENCE, async {
            loop {
                let jobs = self.jobs().await?;
                if jobs.iter().all(|job| job.status.is_finished()) {
                    return Ok(jobs);
                }
                tokio::select! {
                    change = changes.recv() => if matches!(change, Err(RecvError::Closed)) {
                        return Err(Error::shutting_down());
                    },
                    () = self.app.stopping.cancelled() => return Err(Error::shutting_down()),
                }
            }
        });
        let jobs = jobs.await.map_err(|_elapsed| slow())??;
        telling::tell(self, &jobs, begun).await
    }

    /// All jobs of the stage, oldest first.
    async fn jobs(&self) -> Result<Vec<JobRecord>, Error> {
        let filter = JobFilter { limit: MOST, ..JobFilter::default() };
        let mut jobs = self.app.store.jobs(&filter).await?.items;
        jobs.reverse();
        Ok(jobs)
    }

    /// Takes it down.
    pub(super) async fn clear(self) {
        self.app.stop().await;
        let folder = self.folder;
        let removed = tokio::task::spawn_blocking(move || folder.close()).await;
        if let Ok(Err(error)) = removed {
            warn!(%error, "could not remove what a plan was made in");
        }
    }
}

/// What the real host knows of its servers. Of secrets it is that they are there.
async fn records(real: &App) -> Result<(Staged, BTreeSet<String>), Error> {
    let (mut servers, apps) = (real.store.servers().await?, real.store.all_apps().await?);
    for server in servers.iter_mut().filter(|it| it.status == ServerStatus::Creating) {
        server.provider_id = None;
    }
    let kept = real.store.secrets("server/").await?.into_iter().map(|(name, _)| name);
    let is_key = |name: &String| name.rsplit('/').next().is_some_and(|it| KEYS.contains(&it));
    let names: BTreeSet<String> = kept.filter(|name| !is_key(name)).collect();
    let sealed = |name: &String| real.vault.seal(name, PLACEHOLDER.as_bytes());
    let secrets = names.iter().map(|name| (name.clone(), sealed(name))).collect();
    Ok((Staged { servers, apps, secrets }, names))
}

/// The jobs of this server that something new would come after, oldest first.
async fn unfinished(real: &App, server: &ServerName) -> Result<Vec<JobRecord>, Error> {
    let filter = JobFilter {
        status: vec![JobStatus::Queued, JobStatus::Running],
        server: Some(server.clone()),
        limit: MOST,
        ..JobFilter::default()
    };
    let mut jobs = real.store.jobs(&filter).await?.items;
    jobs.reverse();
    Ok(jobs)
}

/// A job of the real host, as it is rehearsed: from its beginning, after those before it.
fn again(job: &JobRecord, all: &[JobRecord]) -> NewJob {
    let is_before = |id: &&JobId| all.iter().any(|it| it.id == **id);
    NewJob {
        id: job.id.clone(),
        operation: job.operation.clone(),
        params: job.params.clone(),
        server: job.server.clone(),
        retry_of: None,
        depends_on: job.depends_on.iter().filter(is_before).cloned().collect(),
        by: "rehearsal".to_owned(),
        now: job.created_at,
        server_change: ServerChange::None,
        idempotency: None,
    }
}

/// The host itself: the real one's plugins and settings, and nothing else that is real.
async fn host(
    real: &Arc<App>,
    folder: &Path,
    store: Arc<dyn Store>,
    registry: Arc<Registry>,
) -> Result<App, Error> {
    let home = Home::open(folder).await?;
    let vault = real.vault.clone();
    let domains = Arc::new(Domains::rehearsal(&real.domains));
    let remotes = Arc::new(Remotes::new(store.clone(), vault.clone(), registry.clone()));
    let outside = Outside {
        store: store.clone(),
        providers: registry.clone(),
        domains: domains.clone(),
        remotes: remotes.clone(),
        vault: vault.clone(),
        boundaries: Boundaries::default(),
        portainers: Arc::default(),
        is_rehearsal: true,
    };
    let (catalog, engine) = (real.catalog.clone(), real.engine.clone());
    let limits = real.registrar.limits().clone();
    let runner = Runner::new(outside, catalog.clone(), engine.clone(), limits);
    let workers = Workers::start(runner, WorkerOptions { id: worker_id()?, limit: 1 });
    Ok(App {
        home,
        store: store.settled(),
        catalog,
        registrar: real.registrar.clone(),
        engine,
        caretaker: Mutex::new(None),
        registry,
        domains,
        remotes,
        vault,
        tokens: Tokens::none(),
        looks: Looks::default(),
        agents: real.agents.clone(),
        followed: Followed::default(),
        boundaries: Boundaries::default(),
        starting: Mutex::new(()),
        rehearsals: Semaphore::new(AT_ONCE),
        workers: Mutex::new(Some(workers)),
        tasks: TaskTracker::new(),
        stopping: real.stopping.child_token(),
    })
}

fn slow() -> Error {
    let message = format!(
        "What would be done could not be rehearsed within {} s: the plugin waits for something \
         that does not happen in a rehearsal.",
        PATIENCE.as_secs()
    );
    Error::new(ErrorKind::Timeout, "plan_timeout", message)
}
