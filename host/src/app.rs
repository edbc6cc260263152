//! The app: builds everything, owns it, ends it. Its verbs, which all front ends share, are on
//! [`access::Reader`], [`access::Operator`] and [`access::Admin`], one file a noun.

pub mod access;
pub mod agents;
pub mod apps;
pub mod backup;
mod database;
pub mod dns;
pub mod doctor;
mod estimate;
pub mod events;
pub mod evidence;
pub mod following;
pub mod home;
pub mod jobs;
pub mod journal;
pub mod plan;
pub mod plugins;
pub mod protection;
pub mod providers;
mod reconcile;
mod rehearsal;
pub mod removal;
pub mod repeats;
pub mod retry;
pub mod servers;
pub mod setup;
pub mod tokens;
pub mod vault;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::app::agents::Agents;
use crate::app::apps::live::Looks;
use crate::app::following::Followed;
use crate::app::home::Home;
use crate::app::reconcile::Reconciler;
use crate::app::tokens::Tokens;
use crate::config::Config;
use crate::dns::domains::{self, Domains};
use crate::effects::boundary::Boundaries;
use crate::effects::context::Outside;
use crate::error::Error;
use crate::jobs::receipts::Receipts;
use crate::jobs::run::Runner;
use crate::jobs::worker::{WorkerOptions, Workers};
use crate::model::names::{InvalidName, WorkerId};
use crate::plugins::caretaker::Caretaker;
use crate::plugins::catalog::Catalog;
use crate::plugins::compile::Compiler;
use crate::plugins::engine::Engine;
use crate::plugins::registrar::Registrar;
use crate::providers::registry::{Registry, Settings};
use crate::providers::sandbox::Pace;
use crate::ssh::remotes::Remotes;
use crate::storage::sqlite::Sqlite;
use crate::storage::{Claim, StorageError, Store};
use crate::vault::Vault;

/// How long whoever asks for the health waits for the database.
const HEALTH: Duration = Duration::from_secs(5);

/// A disk that takes so long for a durable write is slow: answers to submissions wait for it.
const SLOW: Duration = Duration::from_secs(1);

/// Everything that a running host has.
pub struct App {
    home: Home,
    /// As front ends read it: what they are told is on disk.
    store: Arc<dyn Store>,
    catalog: Arc<Catalog>,
    registrar: Arc<Registrar>,
    engine: Arc<Engine>,
    caretaker: Mutex<Option<Caretaker>>,
    registry: Arc<Registry>,
    domains: Arc<Domains>,
    remotes: Arc<Remotes>,
    vault: Arc<Vault>,
    tokens: Tokens,
    /// What servers were last seen to run.
    looks: Looks,
    agents: Arc<Agents>,
    followed: Followed,
    boundaries: Boundaries,
    /// Held by who looks whether a job runs already before he makes it.
    starting: Mutex<()>,
    /// How many plans may be made at once.
    rehearsals: Semaphore,
    workers: Mutex<Option<Workers>>,
    /// What outlives the request that began it.
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// How the host is.
#[derive(Clone, Debug)]
pub struct Health {
    /// When it was asked.
    pub timestamp: Timestamp,
    /// Jobs that wait, or why storage does not answer.
    pub queued: Result<u64, String>,
    /// Jobs that run.
    pub running: u64,
    /// How long the disk takes for a durable write, when that is long.
    pub slow: Option<Duration>,
}

impl App {
    /// Opens the home and begins to run the jobs in it.
    #[tracing::instrument(skip_all, fields(home = %config.home.display()))]
    pub async fn start(config: &Config) -> Result<Arc<Self>, Error> {
        let home = Home::open(&config.home).await?;
        plan::sweep(home.path());
        let store: Arc<dyn Store> =
            Sqlite::open(&database::of(home.path()), &database::options(home.path()))?;
        let vault = Vault::open(home.path(), &config.key, &store).await;
        let vault = Arc::new(vault.map_err(home::unusable)?);
        let registry = registry(config, &store, &vault);
        let remotes = Arc::new(Remotes::new(store.clone(), vault.clone(), registry.clone()));
        let tokens = Tokens::load(&store, &home).await?;
        let agents = Agents::open(config.agents.clone(), &store, &vault).await?;
        let engine = Engine::new(&config.cache, &config.limits).map_err(home::unusable)?;
        let engine = Arc::new(engine.with_compiler(Compiler::own(&config.limits)));
        let boundaries = Boundaries::fatal(config.points);
        let (catalog, registrar) =
            plugins::open(config, &store, &engine, boundaries.clone()).await?;
        let worker = worker_id()?;
        let now = Timestamp::now();
        let claim = Claim { worker: worker.clone(), now, until: now };
        let recovered = store.recover(&claim, true).await?;
        if recovered > 0 {
            info!(jobs = recovered, "jobs of an earlier run of this host go on");
        }
        let domains = domains(config, &store, &vault).await?;
        let outside = Outside {
            store: store.clone(),
            providers: registry.clone(),
            domains: domains.clone(),
            remotes: remotes.clone(),
            vault: vault.clone(),
            boundaries: boundaries.clone(),
            portainers: Arc::default(),
            is_rehearsal: false,
        };
        let caretaker = caretaker(config, &registrar, &store);
        tell_changes(config);
        let limits = config.limits.clone();
        let runner = Runner::new(outside, catalog.clone(), engine.clone(), limits);
        let stopping = CancellationToken::new();
        let tasks = look_after(config, &runner.outside, &stopping);
        let workers = workers(config, runner, worker);
        Ok(Arc::new(Self {
            home,
            store: store.settled(),
            catalog,
            registrar,
            engine,
            caretaker: Mutex::new(caretaker),
            registry,
            domains,
            remotes,
            vault,
            tokens,
            looks: Looks::default(),
            agents: Arc::new(agents),
            followed: Followed::default(),
            boundaries,
            starting: Mutex::new(()),
            rehearsals: Semaphore::new(plan::AT_ONCE),
            workers: Mutex::new(workers),
            tasks,
            stopping,
        }))
    }

    /// Tells those who look into the home where this host listens.
    pub fn announce(&self, address: SocketAddr) -> Result<(), Error> {
        self.home.announce(address)
    }

    /// Cancelled when the host is about to end.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Takes no more, lets what runs come to a point from where the next run goes on, and closes.
    #[tracing::instrument(skip_all)]
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(caretaker) = self.caretaker.lock().await.take() {
            caretaker.stop().await;
        }
        if let Some(workers) = self.workers.lock().await.take() {
            workers.stop().await;
        }
        self.store.close().await;
        self.home.leave();
        self.boundaries.tell();
    }

    /// How the host is. Storage that does not answer in time does not answer.
    pub async fn health(&self) -> Health {
        let asked = tokio::time::timeout(HEALTH, async {
            let takes = self.store.ping().await?;
            Ok::<_, StorageError>((takes, self.store.job_counts().await?))
        });
        let timestamp = Timestamp::now();
        let failing = |why| Health { timestamp, queued: Err(why), running: 0, slow: None };
        match asked.await {
            Ok(Ok((takes, counts))) => Health {
                timestamp,
                queued: Ok(counts.queued),
                running: counts.running,
                slow: Some(takes).filter(|&takes| takes >= SLOW),
            },
            Ok(Err(error)) => {
                warn!(%error, "storage does not answer");
                failing(error.to_string())
            }
            Err(_elapsed) => failing(format!("no answer within {} s", HEALTH.as_secs())),
        }
    }
}

/// Logs what somebody set otherwise than usual.
fn tell_changes(config: &Config) {
    for (limit, number) in config.limits.changed() {
        info!(limit = limit.setting, number, "plugins have another limit than usual");
    }
    for setting in config.agents.changed() {
        info!(setting, "agents are treated otherwise than usual");
    }
}

fn registry(config: &Config, store: &Arc<dyn Store>, vault: &Arc<Vault>) -> Arc<Registry> {
    let settings = Settings {
        home: config.home.clone(),
        hcloud_endpoint: config.hcloud_endpoint.clone(),
        digitalocean_endpoint: config.digitalocean_endpoint.clone(),
        pace: if config.sandbox_instant { Pace::Instant } else { Pace::Realistic },
    };
    Arc::new(Registry::new(settings, store.clone(), vault.clone()))
}

async fn domains(
    config: &Config,
    store: &Arc<dyn Store>,
    vault: &Arc<Vault>,
) -> Result<Arc<Domains>, Error> {
    let settings = domains::Settings {
        home: config.home.clone(),
        cloudflare_endpoint: config.cloudflare_endpoint.clone(),
    };
    Ok(Arc::new(Domains::open(settings, store.clone(), vault.clone()).await?))
}

/// None when this host only looks.
fn caretaker(
    config: &Config,
    registrar: &Arc<Registrar>,
    store: &Arc<dyn Store>,
) -> Option<Caretaker> {
    let start = || Caretaker::start(registrar.clone(), &plugins::folder(config), store.changes());
    (config.workers > 0).then(start)
}

/// None when this host only looks.
fn workers(config: &Config, runner: Runner, id: WorkerId) -> Option<Workers> {
    let limit = config.workers;
    (limit > 0).then(|| Workers::start(runner, WorkerOptions { id, limit }))
}

/// Starts what is done beside the jobs.
fn look_after(config: &Config, outside: &Outside, stopping: &CancellationToken) -> TaskTracker {
    let tasks = TaskTracker::new();
    if config.workers == 0 {
        return tasks;
    }
    let Outside { store, providers: registry, remotes, .. } = outside.clone();
    let receipts = Receipts { store: store.clone(), remotes };
    tasks.spawn(receipts.sweep(stopping.clone()));
    if let Some(interval) = config.reconcile {
        let stopping = stopping.clone();
        tasks.spawn(Reconciler { store, registry, interval, stopping }.work());
    }
    tasks
}

/// A name that no other run of a host has.
fn worker_id() -> Result<WorkerId, Error> {
    let text = format!("{}-{:016x}", std::process::id(), rand::random::<u64>());
    text.parse().map_err(|error: InvalidName| Error::internal(error))
}
