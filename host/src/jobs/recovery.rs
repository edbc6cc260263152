//! What a run begins with that goes on from its journal. After a start there are many at once, and
//! all that they were told may be in memory at once: that has a limit.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::effects::journal::Journal;
use crate::model::job::{Job, Running};
use crate::model::journal::Entry;
use crate::model::names::JobId;
use crate::storage::parts::Most;
use crate::storage::{StorageError, Store};

/// How much of a journal is read first: most jobs have just begun and have no more.
const FIRST_PART: Most = Most { entries: 16, bytes: 64 * 1024 };

/// How much of a longer one is read at once.
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
    /// A job's journal. Waits where it is a large one and others are in memory: until their plugins
    /// have been told what they were told before. A plugin that dawdles there has until its timeout,
    /// and neither a cancel nor the host's end is heard meanwhile.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn journal(
        &self,
        store: &Arc<dyn Store>,
        job: &Job<Running>,
    ) -> Result<Journal, StorageError> {
        let mut journal = Journal::new(Arc::clone(store), job, Vec::new());
        let (mut parts, mut is_large) = (Parts::of(store, &job.record.id), false);
        while let Some(entries) = parts.next().await? {
            journal.extend(entries);
            if !is_large && journal.unread() > SMALL {
                is_large = true;
                journal.hold(Arc::clone(&self.large).acquire_owned().await.ok());
            }
        }
        Ok(journal)
    }
}

/// A job's journal, a part at a time.
pub struct Parts<'a> {
    store: &'a Arc<dyn Store>,
    job: &'a JobId,
    after: u64,
    is_last: bool,
}

impl<'a> Parts<'a> {
    /// From the beginning on.
    pub fn of(store: &'a Arc<dyn Store>, job: &'a JobId) -> Self {
        Self { store, job, after: 0, is_last: false }
    }

    /// The next entries; none after the last ones.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>, StorageError> {
        if self.is_last {
            return Ok(None);
        }
        let most = if self.after == 0 { FIRST_PART } else { PART };
        let part = self.store.journal_part(self.job, self.after, most).await?;
        self.after = part.entries.last().map_or(self.after, |entry| entry.seq);
        self.is_last = part.is_last;
        Ok(Some(part.entries))
    }
}
