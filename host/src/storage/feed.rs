//! What happens to all jobs, in the order in which it was written: a part of
//! [`Store`](crate::storage::Store) in a trait of its own.

use async_trait::async_trait;

use crate::model::journal::Feed;
use crate::storage::StorageError;

/// The newest entries of all journals.
#[async_trait]
pub trait FeedStore {
    /// Those after this number, in order, at most `limit`. Where that number is not known any more,
    /// or not yet, from the oldest on.
    async fn feed(&self, after: u64, limit: usize) -> Result<Feed, StorageError>;

    /// The number of the newest one; 0 when nothing ever happened.
    async fn end_of_feed(&self) -> Result<u64, StorageError>;
}
