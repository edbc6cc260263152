//! What a run begins with that goes on from its journal, read a part at a time.

use std::sync::Arc;

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

/// A job's journal. However much its plugin was told, little of that is in memory at once: after a
/// start there are many such jobs.
///
/// # Errors
/// When it cannot be read.
pub async fn journal(store: &Arc<dyn Store>, job: &Job<Running>) -> Result<Journal, StorageError> {
    let mut journal = Journal::new(Arc::clone(store), job, Vec::new());
    let mut parts = Parts::of(store, &job.record.id);
    while let Some(entries) = parts.next().await? {
        journal.extend(entries);
    }
    Ok(journal)
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
