//! Waiting for jobs: however many wait for one, a single watcher looks at the store for them, and
//! it ends with the last of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::app::access::Reader;
use crate::app::jobs::woken;
use crate::error::Error;
use crate::model::job::JobRecord;
use crate::model::names::JobId;
use crate::storage::{Change, Store};

/// The jobs that somebody waits for.
#[derive(Clone, Default)]
pub(super) struct Followed {
    by_job: Arc<Mutex<HashMap<JobId, Weak<watch::Receiver<JobRecord>>>>>,
}

/// A job as it goes on.
pub struct Following {
    /// Kept so that the watcher knows that somebody waits.
    _shared: Arc<watch::Receiver<JobRecord>>,
    record: watch::Receiver<JobRecord>,
}

impl Reader {
    /// A job as it goes on, from now.
    pub async fn follow(&self, id: &JobId) -> Result<Following, Error> {
        // Register for wake-ups before looking: a change in between would be missed.
        let changes = self.app.store.changes();
        let record = self.app.known_job(id).await?;
        let watcher = Watcher {
            store: self.app.store.clone(),
            changes,
            job: id.clone(),
            stopping: self.app.stopping.clone(),
            followed: self.app.followed.clone(),
        };
        let shared = self.app.followed.join(record, watcher, &self.app.tasks);
        Ok(Following { record: (*shared).clone(), _shared: shared })
    }
}

impl Following {
    /// The job as it is known now.
    pub fn record(&mut self) -> JobRecord {
        self.record.borrow_and_update().clone()
    }

    /// Waits until it changed. False when it will not any more: it ended, or the host does.
    pub async fn changed(&mut self) -> bool {
        self.record.changed().await.is_ok()
    }
}

impl Followed {
    fn join(
        &self,
        record: JobRecord,
        watcher: Watcher,
        tasks: &TaskTracker,
    ) -> Arc<watch::Receiver<JobRecord>> {
        let mut by_job = self.by_job.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = by_job.get(&record.id).and_then(Weak::upgrade) {
            return shared;
        }
        let (sender, receiver) = watch::channel(record);
        let shared = Arc::new(receiver);
        by_job.insert(watcher.job.clone(), Arc::downgrade(&shared));
        tasks.spawn(watcher.run(sender));
        shared
    }

    fn leave(&self, job: &JobId) {
        let mut by_job = self.by_job.lock().unwrap_or_else(PoisonError::into_inner);
        if by_job.get(job).is_some_and(|shared| shared.strong_count() == 0) {
            by_job.remove(job);
        }
    }
}

/// Looks at the store for those who wait for a job.
struct Watcher {
    store: Arc<dyn Store>,
    changes: broadcast::Receiver<Change>,
    job: JobId,
    stopping: CancellationToken,
    followed: Followed,
}

impl Watcher {
    async fn run(mut self, sender: watch::Sender<JobRecord>) {
        debug!(job.id = %self.job, "somebody waits for a job");
        while !sender.borrow().status.is_finished() {
            let on = tokio::select! {
                on = woken(&mut self.changes, &self.job) => on,
                () = sender.closed() => false,
                () = self.stopping.cancelled() => false,
            };
            if !on {
                break;
            }
            match self.store.job(&self.job).await {
                Ok(Some(record)) => drop(sender.send_replace(record)),
                Ok(None) => break,
                Err(error) => {
                    warn!(job.id = %self.job, %error, "those who wait for a job are sent away");
                    break;
                }
            }
        }
        drop(sender);
        self.followed.leave(&self.job);
        debug!(job.id = %self.job, "nobody waits for a job any more");
    }
}

/// What happens to jobs, as it does.
pub struct News {
    changes: broadcast::Receiver<Change>,
    stopping: CancellationToken,
}

impl Reader {
    /// What happens to jobs from now on.
    pub fn news(&self) -> News {
        News { changes: self.app.store.changes(), stopping: self.app.stopping.clone() }
    }
}

impl News {
    /// The next job to which something happened; an unknown one when some were missed. None when
    /// the host ends.
    pub async fn next(&mut self) -> Option<Option<JobId>> {
        loop {
            let change = tokio::select! {
                change = self.changes.recv() => change,
                () = self.stopping.cancelled() => return None,
            };
            match change {
                Ok(Change::Job(job)) => return Some(Some(job)),
                Ok(Change::Claimable | Change::CancelRequested(_)) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return Some(None),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
