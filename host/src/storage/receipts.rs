//! Receipts that are to be removed: a part of [`Store`](crate::storage::Store) in a trait of its own.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::model::job::Lease;
use crate::model::names::{Identity, ServerName};
use crate::storage::StorageError;

/// Receipts of commands that nobody will ask for again and that may still lie on their servers.
#[async_trait]
pub trait ReceiptStore {
    /// Notes that these are to be removed, with whatever the job writes next: its end.
    fn leave_receipts(&self, lease: &Lease, server: &ServerName, receipts: Vec<Identity>);

    /// All that are to be removed. Those of a server whose record is gone went with it.
    async fn left_receipts(&self) -> Result<BTreeMap<ServerName, Vec<Identity>>, StorageError>;

    /// These are not there any more. Not durable by itself: removing one again is success.
    async fn removed_receipts(&self, receipts: &[Identity]) -> Result<(), StorageError>;
}
