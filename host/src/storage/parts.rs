//! Journals in parts, for who goes on from one: a part of [`Store`](crate::storage::Store) in a
//! trait of its own.

use async_trait::async_trait;

use crate::model::journal::Entry;
use crate::model::names::JobId;
use crate::storage::StorageError;

/// Journals as much at a time as may be in memory.
#[async_trait]
pub trait PartStore {
    /// The journal of a job from the entry after `after` on, in order.
    async fn journal_part(&self, id: &JobId, after: u64, most: Most) -> Result<Part, StorageError>;
}

/// How much of a journal is read at once: so many entries, of which the last is the one that makes
/// it so many bytes.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Entries.
    pub entries: usize,
    /// Bytes of them, as they are kept.
    pub bytes: usize,
}

/// A part of a journal.
#[derive(Debug)]
pub struct Part {
    /// In order.
    pub entries: Vec<Entry>,
    /// Whether there are none after these.
    pub is_last: bool,
}
