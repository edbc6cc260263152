//! What happens to all jobs, for who listens to all of them.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::app::access::Reader;
use crate::app::jobs::{CHUNK, SAFETY_POLL};
use crate::error::Error;
use crate::model::journal::Feed;
use crate::storage::{Change, Store};

/// What happens to all jobs, as it is written.
pub struct Listener {
    store: Arc<dyn Store>,
    changes: Receiver<Change>,
    after: u64,
    stopping: CancellationToken,
}

impl Reader {
    /// What happens to all jobs after this event; from now on where none is named.
    pub async fn listen(&self, after: Option<u64>) -> Result<Listener, Error> {
        // Register for wake-ups before looking: a change in between would be missed.
        let (store, changes) = (self.app.store.clone(), self.app.store.changes());
        let after = match after {
            Some(after) => after,
            None => store.end_of_feed().await?,
        };
        Ok(Listener { store, changes, after, stopping: self.app.stopping.clone() })
    }
}

impl Listener {
    /// What happened next; none when the host ends.
    pub async fn next(&mut self) -> Result<Option<Feed>, Error> {
        loop {
            let feed = self.store.feed(self.after, CHUNK).await?;
            if let Some(last) = feed.news.last() {
                self.after = last.number;
                return Ok(Some(feed));
            }
            let on = tokio::select! {
                on = woken(&mut self.changes) => on,
                () = tokio::time::sleep(SAFETY_POLL) => true,
                () = self.stopping.cancelled() => false,
            };
            if !on {
                return Ok(None);
            }
        }
    }
}

/// Waits until something happened to a job, or may have. False when nothing will any more.
async fn woken(changes: &mut Receiver<Change>) -> bool {
    loop {
        match changes.recv().await {
            Ok(Change::Job(_)) | Err(RecvError::Lagged(_)) => return true,
            Ok(Change::Claimable | Change::CancelRequested(_)) => {}
            Err(RecvError::Closed) => return false,
        }
    }
}
