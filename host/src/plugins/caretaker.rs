//! What happens to plugins without anybody asking: files in the watched directory are added, trials
//! that go badly are ended, and what nobody needs any more is removed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::model::plugin::Source;
use crate::plugins::registrar::{Offer, Refusal, Registrar};
use crate::plugins::watcher::{Found, Watcher};
use crate::storage::Change;

/// How often what nobody needs is removed.
const COLLECTION: Duration = Duration::from_secs(3600);
/// Trials are judged so often, when jobs have got on.
const JUDGEMENT: Duration = Duration::from_millis(500);

/// The task that does it.
pub struct Caretaker {
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

struct Rounds {
    registrar: Arc<Registrar>,
    watcher: Watcher,
    changes: Receiver<Change>,
    shutdown: CancellationToken,
    /// Whether jobs have got on since the last judgement.
    is_stale: bool,
}

enum Event {
    Files(Vec<Found>),
    Job(Result<Change, RecvError>),
    Judge,
    Collect,
    Stop,
}

impl Caretaker {
    /// Begins, watching this directory.
    pub fn start(registrar: Arc<Registrar>, folder: &Path, changes: Receiver<Change>) -> Self {
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let watcher = Watcher::start(folder);
        let rounds =
            Rounds { registrar, watcher, changes, shutdown: shutdown.clone(), is_stale: true };
        tasks.spawn(rounds.go());
        tasks.close();
        Self { tasks, shutdown }
    }

    /// Ends; what was under way is found by the next start.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.wait().await;
    }
}

impl Rounds {
    async fn go(mut self) {
        let (mut collection, mut judgement) = (interval(COLLECTION), interval(JUDGEMENT));
        collection.set_missed_tick_behavior(MissedTickBehavior::Delay);
        judgement.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                () = self.shutdown.cancelled() => Event::Stop,
                files = self.watcher.changed() => Event::Files(files),
                change = self.changes.recv() => Event::Job(change),
                _ = judgement.tick(), if self.is_stale => Event::Judge,
                _ = collection.tick() => Event::Collect,
            };
            match event {
                Event::Stop | Event::Job(Err(RecvError::Closed)) => return,
                Event::Job(_) => self.is_stale = true,
                Event::Judge => {
                    self.is_stale = false;
                    self.judge().await;
                }
                Event::Collect => self.collect().await,
                Event::Files(files) => {
                    let shutdown = self.shutdown.clone();
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = self.take(files) => {}
                    }
                }
            }
        }
    }

    async fn judge(&self) {
        if let Err(error) = self.registrar.judge().await {
            warn!(%error, "the trials of plugins could not be judged");
        }
    }

    async fn collect(&self) {
        match self.registrar.collect().await {
            Ok(0) => {}
            Ok(versions) => info!(versions, "plugins that nobody needs any more were removed"),
            Err(error) => warn!(%error, "plugins that nobody needs could not be removed"),
        }
    }

    async fn take(&mut self, files: Vec<Found>) {
        for found in files {
            match found {
                Found::Gone(path) => self.registrar.forget_rejected(&name(&path)),
                Found::New(path) => self.add(&path).await,
            }
        }
    }

    async fn add(&mut self, path: &Path) {
        let file = name(path);
        let largest = self.registrar.limits().component_bytes;
        let bytes = match read(path, largest).await {
            Ok(bytes) => bytes,
            Err(reason) => return self.registrar.reject(&file, reason),
        };
        let offer = Offer {
            bytes,
            source: Source::Directory,
            origin: None,
            by: "directory".to_owned(),
            accept_grants: false,
            activate: true,
            replace_built_in: false,
        };
        match self.registrar.add(offer).await {
            Ok(_) => self.registrar.forget_rejected(&file),
            Err(Refusal::Storage(error)) => {
                warn!(%error, file, "a plugin could not be added; trying again");
                self.watcher.forget(path);
            }
            Err(refusal) => self.registrar.reject(&file, refusal.to_string()),
        }
    }
}

async fn read(path: &Path, largest: usize) -> Result<Vec<u8>, String> {
    let length = tokio::fs::metadata(path).await.map_err(|error| error.to_string())?.len();
    if !usize::try_from(length).is_ok_and(|length| length <= largest) {
        return Err(format!("it has {length} bytes, and a plugin has at most {largest} here"));
    }
    tokio::fs::read(path).await.map_err(|error| error.to_string())
}

fn name(path: &Path) -> String {
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    name.display().to_string()
}
