//! What is kept about apps: a part of [`Store`](crate::storage::Store) in a trait of its own.

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::app::AppRecord;
use crate::model::job::Lease;
use crate::model::names::{AppName, JobId, ServerName};
use crate::model::server::Server;
use crate::storage::planned::Planned;
use crate::storage::{IdempotencyKey, NewJob, StorageError, Submitted};

/// The records of apps, and the jobs that change several of them.
#[async_trait]
pub trait AppStore {
    /// Writes several jobs in one durable transaction, what they depend on first; all of them or
    /// none. The answer, and the caller's key, are about the last one.
    async fn submit_all(&self, batch: Batch) -> Result<Submitted, StorageError>;

    /// What came of an earlier request with this key, or none.
    async fn remembered(&self, key: &IdempotencyKey) -> Result<Option<Submitted>, StorageError>;

    /// The record of an app on a server, or none.
    async fn app(
        &self,
        server: &ServerName,
        name: &AppName,
    ) -> Result<Option<AppRecord>, StorageError>;

    /// The apps of a server, by name.
    async fn apps(&self, server: &ServerName) -> Result<Vec<AppRecord>, StorageError>;

    /// The apps of all servers.
    async fn all_apps(&self) -> Result<Vec<AppRecord>, StorageError>;

    /// The servers and apps that have a DNS record of this name or id, however many there are in all;
    /// the servers of those apps, and `own`, are among the servers.
    async fn dns_owners(
        &self,
        value: &str,
        own: Option<&ServerName>,
    ) -> Result<DnsOwners, StorageError>;

    /// The app whose newest job this is, or none.
    async fn app_of_job(&self, job: &JobId) -> Result<Option<AppRecord>, StorageError>;

    /// Changes a record in place as a part of what a job does: in the order of its journal, refused
    /// when the lease is an old one, and on disk when whatever the job does next is. `change` gets
    /// the newest record. None when there is no such app.
    async fn amend_app(
        &self,
        lease: &Lease,
        server: &ServerName,
        name: &AppName,
        change: Box<dyn for<'a> FnOnce(&'a mut AppRecord) + Send>,
    ) -> Result<Option<AppRecord>, StorageError>;

    /// Removes a record, and the app's secrets where it says that they go too, as a part of what a
    /// job does. An absent one is success.
    async fn forget_app(
        &self,
        lease: &Lease,
        server: &ServerName,
        name: &AppName,
    ) -> Result<(), StorageError>;
}

/// Who has a DNS record.
#[derive(Clone, Debug)]
pub struct DnsOwners {
    /// Servers.
    pub servers: Vec<Server>,
    /// Apps.
    pub apps: Vec<AppRecord>,
}

/// Jobs to be written together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What others depend on first, and what was asked for last.
    pub jobs: Vec<NewJob>,
    /// Sealed secrets that are written with them, by name; those of the same names are replaced.
    pub secrets: Vec<(String, Vec<u8>)>,
    /// The plan that has to hold for that.
    pub planned: Option<Arc<Planned>>,
}
