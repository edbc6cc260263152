//! Who waits for the ends of many jobs: one who reads the feed, and tells the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use windlass::model::job::JobStatus;
use windlass::model::journal::Event;
use windlass::model::names::JobId;
use windlass::storage::Store;

/// How much of the feed is read at once.
const PAGE: usize = 1_000;

/// The ends of all jobs from now on.
pub(crate) struct Ends {
    known: Arc<Mutex<HashMap<JobId, End>>>,
    listener: AbortHandle,
}

/// What is known of a job's end.
enum End {
    Came(JobStatus),
    Awaited(oneshot::Sender<JobStatus>),
}

impl Ends {
    pub(crate) async fn listen(store: &Arc<dyn Store>) -> Result<Self> {
        let (store, known) = (Arc::clone(store), Arc::<Mutex<HashMap<JobId, End>>>::default());
        let (mut changes, mut after) = (store.changes(), store.end_of_feed().await?);
        let told = Arc::clone(&known);
        let listener = tokio::spawn(async move {
            loop {
                let _changed = changes.recv().await;
                // All that waits is in what is read now.
                changes = changes.resubscribe();
                loop {
                    let Ok(feed) = store.feed(after, PAGE).await else { return };
                    let is_all = feed.news.len() < PAGE;
                    for news in feed.news {
                        after = news.number;
                        if let Event::Finished { status, .. } = news.entry.event {
                            tell(&told, news.job, status);
                        }
                    }
                    if is_all {
                        break;
                    }
                }
            }
        });
        Ok(Self { known, listener: listener.abort_handle() })
    }

    /// Waits until this job has completed.
    pub(crate) async fn of(&self, job: JobId) -> Result<()> {
        let (awaited, end) = oneshot::channel();
        let status = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
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

fn tell(known: &Mutex<HashMap<JobId, End>>, job: JobId, status: JobStatus) {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    match known.remove(&job) {
        Some(End::Awaited(awaited)) => drop(awaited.send(status)),
        Some(End::Came(_)) | None => drop(known.insert(job, End::Came(status))),
    }
}
