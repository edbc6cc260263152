//! What a run begins with that goes on from its journal. After a start there are many at once, and
//! all that they were told may be in memory at once: that has a limit.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::effects::journal::Journal;
use crate::model::job::{Job, Running};
use crate::storage::parts::Most;
use crate::storage::{StorageError, Store};

/// How much of a journal is read at once.
const PART: Most = Most { entries: 1_000, bytes: 1024 * 1024 };

/// Answers that take no more bytes of memory than this are read whenever a job goes on.
const SMALL: usize = 1024 * 1024;

/// How many jobs have larger ones in memory at once, until their plugins were given them. What one
/// of them takes has the limit of a journal.
const LARGE_AT_ONCE: usize = 2;

/// The reading of journals, of which only some may be large.
#[derive(Clone, Debug)]
pub struct Recoveries {
    large: Arc<Semaphore>,
}

impl Default for Recoveries {
    fn default() -> Self {
        Self { large: Arc::new(Semaphore::new(LARGE_AT_ONCE)) }
    }
}

impl Recoveries {
    /// A job's journal. Waits where it is a large one and others are being read: until their
    /// plugins have been told what they were told before, which waits for nobody.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn journal(
        &self,
        store: &Arc<dyn Store>,
        job: &Job<Running>,
    ) -> Result<Journal, StorageError> {
        let mut journal = Journal::new(Arc::clone(store), job, Vec::new());
        let (mut after, mut is_large) = (0, false);
        loop {
            let part = store.journal_part(&job.record.id, after, PART).await?;
            after = part.entries.last().map_or(after, |entry| entry.seq);
            journal.extend(part.entries);
            if !is_large && journal.unread() > SMALL {
                is_large = true;
                journal.hold(Arc::clone(&self.large).acquire_owned().await.ok());
            }
            if part.is_last {
                return Ok(journal);
            }
        }
    }
}
