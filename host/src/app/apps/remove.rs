//! Taking an app away.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use crate::app::App;
use crate::app::access::Operator;
use crate::app::apps::{operation, refusals};
use crate::app::servers::{ID_TRIES, RequestKey, busy, key_reused};
use crate::error::Error;
use crate::model::app::{AppRecord, DELETE};
use crate::model::names::{AppName, JobId, ServerName};
use crate::model::server::ServerStatus;
use crate::plugins::plugin::Plugin;
use crate::storage::apps::Batch;
use crate::storage::{NewJob, ServerChange, StorageError, Submitted};

impl Operator {
    /// The record of an app that something can take away.
    pub async fn removable_app(
        &self,
        server: &ServerName,
        name: &AppName,
    ) -> Result<AppRecord, Error> {
        self.app.removable(server, name).await
    }

    /// Makes a job that takes an app away from a server, with its volumes, databases and secrets
    /// where `delete_data` says so.
    #[tracing::instrument(skip_all, fields(%server, app = %name))]
    pub async fn remove_app(
        &self,
        server: &ServerName,
        name: &AppName,
        delete_data: bool,
        key: Option<RequestKey>,
    ) -> Result<JobId, Error> {
        let now = Timestamp::now();
        let key = self.remember(key, now);
        if let Some(key) = &key {
            match self.app.store.remembered(key).await? {
                Some(Submitted::Before(job)) => return Ok(job),
                Some(_) => return Err(key_reused()),
                None => {}
            }
        }
        let record = self.app.removable(server, name).await?;
        let operation = operation(DELETE, name)?;
        let params = json!({
            "server": server,
            "app": name,
            "config": record.config,
            "delete_data": delete_data,
        });
        let _alone = if self.joins() { Some(self.app.starting.lock().await) } else { None };
        if self.joins()
            && let Some(job) = self.unfinished(&operation, server, &params).await?
        {
            return Ok(job);
        }
        for _ in 0..ID_TRIES {
            let job = NewJob {
                id: JobId::new(now, rand::random()),
                operation: operation.clone(),
                params: params.clone(),
                server: Some(server.clone()),
                retry_of: None,
                depends_on: Vec::new(),
                by: self.by.clone(),
                now,
                server_change: ServerChange::Removing {
                    server: server.clone(),
                    app: name.clone(),
                    forgets: delete_data,
                },
                idempotency: key.clone(),
            };
            let planned = self.planned.clone();
            let batch = Batch { jobs: vec![job], secrets: Vec::new(), planned };
            match self.app.store.submit_all(batch).await {
                Ok(Submitted::Job(id) | Submitted::Before(id)) => return Ok(id),
                Ok(Submitted::KeyReused) => return Err(key_reused()),
                Ok(Submitted::NoSuchApp) => return Err(refusals::absent(server, name)),
                Ok(refused) => return Err(refusals::about_apps(server, refused)),
                Err(StorageError::Duplicate) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StorageError::Duplicate.into())
    }
}

impl App {
    /// The record of an app that something can take away.
    async fn removable(&self, server: &ServerName, name: &AppName) -> Result<AppRecord, Error> {
        if self.known_server(server).await?.status == ServerStatus::Deleting {
            return Err(busy(server, "is being deleted"));
        }
        let record = self.store.app(server, name).await?;
        let record = record.ok_or_else(|| refusals::absent(server, name))?;
        match self.remover(&record).await? {
            Some(_) => Ok(record),
            None => Err(refusals::recipe_gone(&record)),
        }
    }

    /// What takes it away: the recipe of today, or the one that it was deployed with.
    async fn remover(&self, record: &AppRecord) -> Result<Option<Arc<Plugin>>, Error> {
        match self.catalog.active(&operation(DELETE, &record.app_name)?) {
            Some(active) => Ok(Some(active)),
            None => self.catalog.find(&record.plugin.digest).await.map_err(Error::internal),
        }
    }
}
