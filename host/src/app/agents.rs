//! What agents need of the host beyond its verbs: an audit row for each of their calls, a key for
//! what they carry between two calls, and the settings of their door.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::app::App;
use crate::app::access::{Caller, Reader};
use crate::app::home;
use crate::config::AgentSettings;
use crate::error::Error;
use crate::model::names::JobId;
use crate::storage::{AuditRecord, Store};
use crate::vault::Vault;

/// The name of the key among the secrets.
const KEY: &str = "agents/state";

/// The door of agents: its settings and its key.
pub(super) struct Agents {
    settings: AgentSettings,
    key: SecretString,
}

/// A call of an agent, for the audit log.
#[derive(Clone, Copy, Debug)]
pub struct AgentCall<'a> {
    /// The tool.
    pub tool: &'a str,
    /// What it is called on.
    pub target: &'a str,
    /// SHA-256 of its arguments without what is secret in them, hex.
    pub arguments: &'a str,
    /// What came of asking whether it may run.
    pub decision: &'a str,
}

impl Agents {
    /// Reads the key, or makes one at the first start.
    pub(super) async fn open(
        settings: AgentSettings,
        store: &Arc<dyn Store>,
        vault: &Vault,
    ) -> Result<Self, Error> {
        let new = SecretString::from(format!(
            "{:032x}{:032x}",
            rand::random::<u128>(),
            rand::random::<u128>()
        ));
        let sealed = vault.seal(KEY, new.expose_secret().as_bytes());
        let kept = store.ensure_secret(KEY, &sealed).await?;
        let key = vault.unseal(KEY, &kept).map_err(home::unusable)?;
        Ok(Self { settings, key })
    }
}

impl App {
    /// The settings of the agents' door.
    pub fn agent_settings(&self) -> &AgentSettings {
        &self.agents.settings
    }

    /// What the host signs with that agents carry between two calls. It outlives the process.
    pub fn agent_key(&self) -> &SecretString {
        &self.agents.key
    }
}

impl Reader {
    /// Who he is.
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Ends one of the caller's waits for a job, durably. The job goes on.
    pub async fn end_wait(&self, job: &JobId, wait: &str) -> Result<(), Error> {
        Ok(self.app.store.end_wait(job, wait).await?)
    }

    /// Whether a wait for a job was ended so.
    pub async fn has_ended_wait(&self, job: &JobId, wait: &str) -> Result<bool, Error> {
        Ok(self.app.store.has_ended_wait(job, wait).await?)
    }

    /// Notes a call of an agent, durably.
    pub async fn audit_call(&self, call: AgentCall<'_>) -> Result<(), Error> {
        let record = AuditRecord {
            at: Timestamp::now(),
            by: self.caller.name.clone(),
            action: format!("mcp.{}", call.tool),
            target: call.target.to_owned(),
            detail: json!({ "arguments": call.arguments, "decision": call.decision }),
        };
        Ok(self.app.store.audit(record).await?)
    }
}
