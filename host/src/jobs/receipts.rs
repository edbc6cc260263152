//! Receipts of finished commands, which are removed from their servers: at the end of each job, and
//! after a start those that a host left which died in between.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::model::names::{Identity, ServerName};
use crate::ssh::remotes::Remotes;
use crate::storage::Store;

/// How long after a start whoever could not be reached is tried again; then twice as long.
const PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// What removes receipts.
pub struct Receipts {
    /// Where it stands which ones are left.
    pub store: Arc<dyn Store>,
    /// The ways to the servers.
    pub remotes: Arc<Remotes>,
}

impl Receipts {
    /// Removes all that are left, until none are or the host stops.
    pub async fn sweep(self, stopping: CancellationToken) {
        let mut pause = PAUSE;
        loop {
            tokio::select! {
                is_done = self.round() => if is_done { return },
                () = stopping.cancelled() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = stopping.cancelled() => return,
            }
        }
    }

    /// Tries all servers at once. Answers whether nothing is left.
    async fn round(&self) -> bool {
        match self.store.left_receipts().await {
            Ok(left) => {
                let tried = left.iter().map(|(server, receipts)| self.remove(server, receipts));
                join_all(tried).await.into_iter().all(|is_removed| is_removed)
            }
            Err(error) => {
                warn!(%error, "could not see which receipts are left");
                false
            }
        }
    }

    /// Removes these from a server. Answers whether they are not there any more.
    pub async fn remove(&self, server: &ServerName, receipts: &[Identity]) -> bool {
        let record = match self.store.server(server).await {
            Ok(Some(record)) => record,
            // What was noted of it is gone with it.
            Ok(None) => return true,
            Err(_) => return false,
        };
        let Ok(remote) = self.remotes.of(&record).await else { return false };
        if let Err(error) = remote.forget(receipts).await {
            warn!(%error, %server, "could not remove receipts of finished commands");
            return false;
        }
        // Where that is lost, they are removed once more, which is success.
        self.store.removed_receipts(receipts).await.is_ok()
    }
}
