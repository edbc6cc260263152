//! Waits that nobody waits any more: a part of [`Store`](crate::storage::Store) in a trait of its
//! own.

use async_trait::async_trait;

use crate::model::names::JobId;
use crate::storage::StorageError;

/// Waits for jobs that somebody cancelled.
#[async_trait]
pub trait WaitStore {
    /// Notes that this wait for a job is over, durably. That there is no such job is success.
    async fn end_wait(&self, job: &JobId, wait: &str) -> Result<(), StorageError>;

    /// Whether this wait for a job was ended so.
    async fn has_ended_wait(&self, job: &JobId, wait: &str) -> Result<bool, StorageError>;
}
