//! Effects on the host's own records.

use serde_json::{Map, Value, json};

use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::{Identity, ServerName};
use crate::model::server::{Server, ServerStatus};
use crate::storage::{self, StorageError};

const INTERFACE: &str = "inventory";

/// The record of a server, or a failure that says there is none.
pub async fn record_of(job: &JobContext, name: &ServerName) -> Result<Server, Failure> {
    match job.outside.store.server(name).await {
        Ok(Some(server)) => Ok(server),
        Ok(None) => Err(Failure::safe("not_found", format!("there is no server `{name}`"))),
        Err(error) => Err(Failure::safe("internal", error.to_string())),
    }
}

/// Reads a server's record.
#[derive(Debug)]
pub struct ReadServer {
    /// Whose.
    pub server: ServerName,
}

impl Effect for ReadServer {
    type Answer = Option<Value>;
    const FUNCTION: &'static str = "inventory.get-server";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: INTERFACE, server: None }
    }

    fn request(&self) -> Value {
        json!({ "server": self.server })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<Option<Value>, Failure> {
        if !job.grants().shows_server(&self.server) {
            let message = format!("this job is about an app, and not of `{}`", self.server);
            return Err(Failure::unsafe_to_retry("access_denied", message));
        }
        match job.outside.store.server(&self.server).await {
            Ok(server) => server.as_ref().map(shown).transpose(),
            Err(error) => Err(Failure::safe("internal", error.to_string())),
        }
    }
}

/// Reads all servers' records.
#[derive(Debug)]
pub struct ListServers;

impl Effect for ListServers {
    type Answer = Vec<Value>;
    const FUNCTION: &'static str = "inventory.list-servers";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: INTERFACE, server: None }
    }

    fn request(&self) -> Value {
        json!({})
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<Vec<Value>, Failure> {
        match job.outside.store.servers().await {
            Ok(servers) => {
                let seen = servers.iter().filter(|server| job.grants().shows_server(&server.name));
                seen.map(shown).collect()
            }
            Err(error) => Err(Failure::safe("internal", error.to_string())),
        }
    }
}

/// Merges fields into a server's record.
#[derive(Debug)]
pub struct UpdateServer {
    /// Whose.
    pub server: ServerName,
    /// What changes (RFC 7386).
    pub patch: Value,
}

impl Effect for UpdateServer {
    type Answer = ();
    const FUNCTION: &'static str = "inventory.update-server";
    const CLASS: Class = Class::Put;
    const OWN: bool = true;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: INTERFACE, server: Some(self.server.as_str()) }
    }

    fn changes_server(&self) -> bool {
        true
    }

    fn request(&self) -> Value {
        json!({ "server": self.server, "patch": self.patch })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<(), Failure> {
        let patch = Patch::parse(&self.patch)?;
        let change = Box::new(|server: &mut Server| patch.apply(server));
        match job.outside.store.amend_server(&job.lease(), &self.server, change).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                Err(Failure::safe("not_found", format!("there is no server `{}`", self.server)))
            }
            Err(error) => Err(Failure::safe("internal", error.to_string())),
        }
    }
}

/// Moves a server's record to the history.
#[derive(Debug)]
pub struct RemoveServer {
    /// Whose.
    pub server: ServerName,
}

impl Effect for RemoveServer {
    type Answer = ();
    const FUNCTION: &'static str = "inventory.remove-server";
    const CLASS: Class = Class::Delete;
    const OWN: bool = true;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: INTERFACE, server: Some(self.server.as_str()) }
    }

    fn changes_server(&self) -> bool {
        true
    }

    fn request(&self) -> Value {
        json!({ "server": self.server })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<(), Failure> {
        let store = &job.outside.store;
        let internal = |error: StorageError| Failure::safe("internal", error.to_string());
        let record = store.server(&self.server).await.map_err(internal)?;
        if let Some(Server { provider_id: Some(id), provider, .. }) = record {
            let message = format!(
                "{provider} may still have `{}` (its id there is {id}): delete that first",
                self.server
            );
            return Err(Failure::safe("conflict", message));
        }
        store.forget_server(&job.lease(), &self.server, storage::now()).await.map_err(internal)
    }
}

/// The fields of a record that a plugin may set.
#[derive(Debug, Default)]
struct Patch {
    status: Option<ServerStatus>,
    setup: Map<String, Value>,
    dns: Map<String, Value>,
}

impl Patch {
    fn parse(patch: &Value) -> Result<Self, Failure> {
        let Value::Object(fields) = patch else {
            return Err(invalid("the patch is no JSON object"));
        };
        let mut parsed = Self::default();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("status", status) => {
                    let status = serde_json::from_value(status.clone());
                    parsed.status = Some(status.map_err(|e| invalid(&format!("`status`: {e}")))?);
                }
                ("setup", Value::Object(fields)) => parsed.setup = fields.clone(),
                ("dns", Value::Object(fields)) => parsed.dns = fields.clone(),
                _ => return Err(invalid(&format!("`{name}` cannot be set like that"))),
            }
        }
        Ok(parsed)
    }

    fn apply(self, server: &mut Server) {
        if let Some(status) = self.status {
            server.status = status;
        }
        for (fields, changes) in [(&mut server.setup, self.setup), (&mut server.dns, self.dns)] {
            for (name, value) in changes {
                if value.is_null() {
                    fields.remove(&name);
                } else {
                    fields.insert(name, value);
                }
            }
        }
    }
}

fn invalid(message: &str) -> Failure {
    Failure::unsafe_to_retry("invalid_argument", message)
}

fn shown(server: &Server) -> Result<Value, Failure> {
    serde_json::to_value(server).map_err(|e| Failure::unsafe_to_retry("internal", e.to_string()))
}
