//! The apps of a server as it really runs them: one look at the server, shared by all who ask
//! within a few seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::app::App;
use crate::app::access::Reader;
use crate::error::{Error, sentence};
use crate::model::app::{AppRecord, AppStatus};
use crate::model::names::{AppName, Identity, JobId, ServerName};
use crate::model::server::Server;
use crate::stacks::swarm::Swarm;
use crate::stacks::{Stack, Status};

/// How long a server may take to say what it runs.
const PATIENCE: Duration = Duration::from_secs(4);
/// For how long that is believed.
const FRESH: Duration = Duration::from_secs(5);
/// How many stacks are looked at together; an SSH server takes ten sessions unless told otherwise.
const TOGETHER: usize = 4;

/// An app on a server.
#[derive(Clone, Debug)]
pub struct InstalledApp {
    /// What the host recorded of it.
    pub record: AppRecord,
    /// What the server runs of it.
    pub status: LiveStatus,
    /// What is wrong with it, or why nobody knows.
    pub problem: Option<String>,
    /// When the server was asked, if it answered.
    pub checked_at: Option<Timestamp>,
}

/// What a server runs of an app.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum LiveStatus {
    /// All of it.
    Running,
    /// Not all of it yet.
    Starting,
    /// Not all of it, and the engine says why.
    Failing,
    /// Nothing.
    Absent,
    /// A job makes it run.
    Deploying,
    /// A job takes it away.
    Removing,
    /// The server does not say.
    Unknown,
}

/// What servers were last seen to run.
#[derive(Default)]
pub struct Looks {
    /// Whoever looks at a server has its lock; others wait for what he sees.
    servers: Mutex<BTreeMap<ServerName, Arc<Mutex<Option<Look>>>>>,
}

/// What a server was seen to run.
#[derive(Clone)]
struct Look {
    at: Instant,
    seen_at: Timestamp,
    stacks: BTreeMap<AppName, Result<Stack, String>>,
}

impl Reader {
    /// The apps of a server, by name, with what the server really runs of them.
    #[tracing::instrument(skip_all, fields(%server))]
    pub async fn installed_apps(&self, server: &ServerName) -> Result<Vec<InstalledApp>, Error> {
        let known = self.app.known_server(server).await?;
        let records = self.app.store.apps(server).await?;
        let wanted: Vec<AppName> = records
            .iter()
            .filter(|record| !record.status.is_busy())
            .map(|record| record.app_name.clone())
            .collect();
        let look = if wanted.is_empty() { None } else { Some(self.look(known, wanted).await?) };
        Ok(records.into_iter().map(|record| InstalledApp::of(record, look.as_ref())).collect())
    }

    /// Looks at a server, or takes what was just seen. The look ends even when nobody waits any
    /// more, so that it leaves nothing on the server.
    async fn look(&self, server: Server, wanted: Vec<AppName>) -> Result<Look, Error> {
        let app = self.app.clone();
        let look = async move {
            let slot = app.looks.of(&server.name).await;
            let mut last = slot.lock().await;
            let covers = |look: &&Look| {
                look.at.elapsed() < FRESH && wanted.iter().all(|it| look.stacks.contains_key(it))
            };
            if let Some(look) = last.as_ref().filter(covers) {
                return look.clone();
            }
            let look = app.look_at(&server, &wanted).await;
            *last = Some(look.clone());
            look
        };
        let looking = self.app.tasks.spawn(look).await;
        looking.map_err(|_panicked| Error::internal("looking at a server's apps panicked"))
    }
}

impl Looks {
    async fn of(&self, server: &ServerName) -> Arc<Mutex<Option<Look>>> {
        let mut servers = self.servers.lock().await;
        // A server that is gone, and that nobody looks at, needs no place.
        servers.retain(|name, slot| {
            let is_old = || slot.try_lock().is_ok_and(|look| !look.as_ref().is_some_and(is_fresh));
            name == server || Arc::strong_count(slot) > 1 || !is_old()
        });
        Arc::clone(servers.entry(server.clone()).or_default())
    }
}

fn is_fresh(look: &Look) -> bool {
    look.at.elapsed() < FRESH
}

impl App {
    async fn look_at(&self, server: &Server, wanted: &[AppName]) -> Look {
        let until = Instant::now() + PATIENCE;
        let looks = wanted.iter().cloned().map(|name| async move {
            let looked = tokio::time::timeout_at(until, self.stack(server, &name)).await;
            let late = || format!("`{}` did not answer in {} s", server.name, PATIENCE.as_secs());
            (name, looked.unwrap_or_else(|_elapsed| Err(late())))
        });
        let stacks = futures_util::stream::iter(looks).buffer_unordered(TOGETHER).collect().await;
        Look { at: Instant::now(), seen_at: Timestamp::now(), stacks }
    }

    async fn stack(&self, server: &Server, name: &AppName) -> Result<Stack, String> {
        let remote = self.remotes.of(server).await.map_err(|failure| failure.message)?;
        let swarm = Swarm {
            remote,
            receipt: Identity { job: JobId::new(Timestamp::now(), rand::random()), effect: 0 },
            cancel: self.stopping.child_token(),
        };
        let stack = name.as_str().parse();
        let stack = stack.map_err(|error: crate::stacks::InvalidStackName| error.to_string())?;
        swarm.inspect(&stack).await.map_err(|failure| failure.message)
    }
}

impl InstalledApp {
    /// The recipe's name.
    pub fn name(&self) -> &str {
        self.record.app_name.as_str()
    }

    fn of(record: AppRecord, look: Option<&Look>) -> Self {
        let busy = match record.status {
            AppStatus::Deploying => Some(LiveStatus::Deploying),
            AppStatus::Removing => Some(LiveStatus::Removing),
            AppStatus::Running | AppStatus::Error => None,
        };
        if let Some(status) = busy {
            return Self { record, status, problem: None, checked_at: None };
        }
        let seen = look.and_then(|look| Some((look, look.stacks.get(&record.app_name)?)));
        match seen {
            Some((look, Ok(stack))) => {
                let status = LiveStatus::of(stack.status);
                let problem = (status != LiveStatus::Running).then(|| sentence(&stack.missing()));
                Self { record, status, problem, checked_at: Some(look.seen_at) }
            }
            Some((_, Err(why))) => {
                let problem = Some(sentence(why));
                Self { record, status: LiveStatus::Unknown, problem, checked_at: None }
            }
            None => Self { record, status: LiveStatus::Unknown, problem: None, checked_at: None },
        }
    }
}

impl LiveStatus {
    const fn of(status: Status) -> Self {
        match status {
            Status::Healthy => Self::Running,
            Status::Starting => Self::Starting,
            Status::Failing => Self::Failing,
            Status::Absent => Self::Absent,
        }
    }
}
