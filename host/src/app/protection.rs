//! Protection against being deleted: agents cannot destroy a protected server, and nobody can who
//! said himself that it shall stay. Only an admin says so.

use jiff::Timestamp;
use serde_json::json;

use crate::app::access::{Admin, Operator};
use crate::app::apps::refusals;
use crate::app::servers::no_such_server;
use crate::error::Error;
use crate::model::names::ServerName;
use crate::model::server::{Protection, Server, ServerStatus};
use crate::storage::AuditRecord;

impl Admin {
    /// Says whether a server is protected against being deleted. It is in the audit log. An agent's
    /// token is of a lesser scope, so that no agent lifts what protects from it.
    #[tracing::instrument(skip_all, fields(server = %name))]
    pub async fn protect_server(
        &self,
        name: &ServerName,
        protection: Protection,
    ) -> Result<Server, Error> {
        self.app.known_server(name).await?;
        let record = AuditRecord {
            at: Timestamp::now(),
            by: self.by.clone(),
            action: "server.protect".to_owned(),
            target: name.to_string(),
            detail: json!({ "deletion_protection": protection }),
        };
        self.app.store.audit(record).await?;
        let change = Box::new(move |server: &mut Server| server.deletion_protection = protection);
        let changed = self.app.store.update_server(name, change).await?;
        changed.ok_or_else(|| no_such_server(name))?;
        self.app.known_server(name).await
    }
}

impl Operator {
    /// The record of a server that agents may destroy.
    pub async fn unprotected_server(&self, name: &ServerName) -> Result<Server, Error> {
        let server = self.app.known_server(name).await?;
        let is_gone =
            server.status == ServerStatus::Missing && server.deletion_protection != Protection::On;
        if server.protected && !is_gone {
            return Err(refusals::protected(name, &server.apps));
        }
        Ok(server)
    }
}
