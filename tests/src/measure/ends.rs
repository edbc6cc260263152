//! Who waits for the ends of many jobs: one who looks, and tells the others.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use windlass::model::job::JobStatus;
use windlass::model::names::JobId;
use windlass::storage::{Change, Store};

/// The ends of all jobs from now on.
pub(crate) struct Ends {
    known: Arc<Known>,
    listener: AbortHandle,
}

/// What is known of the ends of jobs; none when nobody looks any more.
type Known = Mutex<Option<HashMap<JobId, End>>>;

/// What is known of a job's end.
enum End {
    Came(JobStatus),
    Awaited(oneshot::Sender<JobStatus>),
}

impl Ends {
    /// Hears of what changes, and looks in the database for what became of it.
    pub(crate) fn listen(store: &Arc<dyn Store>, database: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(database, flags)?;
        let (mut changes, known) = (store.changes(), Arc::new(Known::new(Some(HashMap::new()))));
        let told = Arc::clone(&known);
        let listener = tokio::spawn(async move {
            // Whoever lags behind has missed ends: those who wait are not left waiting.
            while let Ok(change) = changes.recv().await {
                let more = std::iter::from_fn(|| changes.try_recv().ok());
                let changed =
                    std::iter::once(change).chain(more).filter_map(|change| match change {
                        Change::Job(id) => Some(id),
                        Change::Claimable | Change::CancelRequested(_) => None,
                    });
                if look(&database, changed.collect(), &told).is_err() {
                    break;
                }
            }
            lock(&told).take();
        });
        Ok(Self { known, listener: listener.abort_handle() })
    }

    /// Waits until this job has completed.
    pub(crate) async fn of(&self, job: JobId) -> Result<()> {
        let (awaited, end) = oneshot::channel();
        let status = {
            let mut known = lock(&self.known);
            let known = known.as_mut().context("nobody looks any more")?;
            match known.remove(&job) {
                Some(End::Came(status)) => Some(status),
                Some(End::Awaited(_)) | None => {
                    known.insert(job, End::Awaited(awaited));
                    None
                }
            }
        };
        let status = if let Some(status) = status { status } else { end.await? };
        ensure!(status == JobStatus::Completed, "it is {}", status.as_str());
        Ok(())
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Tells which of these jobs have ended.
fn look(database: &Connection, changed: HashSet<JobId>, told: &Known) -> Result<()> {
    let reading = database.unchecked_transaction()?;
    let mut select = reading.prepare_cached("SELECT status FROM jobs WHERE id = ?1")?;
    for id in changed {
        let status: String = select.query_row([id.as_str()], |row| row.get(0))?;
        let status: JobStatus = status.parse().map_err(anyhow::Error::msg)?;
        if status.is_finished() {
            tell(told, id, status);
        }
    }
    Ok(())
}

fn tell(known: &Known, job: JobId, status: JobStatus) {
    let mut known = lock(known);
    let Some(known) = known.as_mut() else { return };
    match known.remove(&job) {
        Some(End::Awaited(awaited)) => drop(awaited.send(status)),
        Some(End::Came(_)) | None => drop(known.insert(job, End::Came(status))),
    }
}

fn lock(known: &Known) -> MutexGuard<'_, Option<HashMap<JobId, End>>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
