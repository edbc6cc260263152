//! Jobs that begin only as they were planned: a part of [`Store`](crate::storage::Store) in a trait
//! of its own.

use async_trait::async_trait;

use crate::model::job::PluginPin;
use crate::model::names::{OperationName, ServerName};
use crate::storage::StorageError;

/// What plans are made from.
#[async_trait]
pub trait PlanStore {
    /// All records that a plan about this server is made from, as one value: as long as it is the
    /// same, so are they.
    async fn basis(&self, server: &ServerName) -> Result<Basis, StorageError>;
}

/// The records that a plan was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis(pub(super) [u8; 32]);

/// What jobs are begun by: they are written only if it still holds, in the same transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What the plan is about.
    pub server: ServerName,
    /// What it was made from.
    pub basis: Basis,
    /// What ran in it: the same version runs the job.
    pub pins: Vec<(OperationName, PluginPin)>,
}

impl Planned {
    /// What a job of this operation has to run; none when the plan does not say.
    pub fn pin(&self, operation: &OperationName) -> Option<&PluginPin> {
        self.pins.iter().find(|(planned, _)| planned == operation).map(|(_, pin)| pin)
    }
}
