//! From a server's record to its commands and files: over SSH, or simulated.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::model::failure::Failure;
use crate::model::names::ServerName;
use crate::model::server::Server;
use crate::providers::registry::Registry;
use crate::ssh::Remote;
use crate::ssh::connection::Access;
use crate::ssh::keys;
use crate::ssh::session::Session;
use crate::storage::Store;
use crate::vault::Vault;

/// Remotes by server. Made anew for each job, so that a connection is shared within a job and not
/// beyond.
pub struct Remotes {
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    registry: Arc<Registry>,
    open: Mutex<BTreeMap<ServerName, Open>>,
}

/// A session, and the record's facts that it was made from.
struct Open {
    facts: Facts,
    remote: Arc<dyn Remote>,
}

#[derive(PartialEq, Eq)]
struct Facts {
    user: String,
    address: String,
    port: u16,
    host_key_fingerprint: String,
}

impl Remotes {
    /// Nothing is connected yet.
    pub fn new(store: Arc<dyn Store>, vault: Arc<Vault>, registry: Arc<Registry>) -> Self {
        Self { store, vault, registry, open: Mutex::default() }
    }

    /// The same, with connections of its own.
    #[must_use]
    pub fn for_one_job(&self) -> Self {
        Self::new(self.store.clone(), self.vault.clone(), self.registry.clone())
    }

    /// The server of this record.
    pub async fn of(&self, server: &Server) -> Result<Arc<dyn Remote>, Failure> {
        if self.registry.simulates(server.provider) {
            return Ok(self.registry.sandbox().remote(server));
        }
        let facts = facts(server)?;
        let mut open = self.open.lock().await;
        if let Some(known) = open.get(&server.name).filter(|known| known.facts == facts) {
            return Ok(known.remote.clone());
        }
        let pair = keys::stored(&self.store, &self.vault, &server.name, "ssh_key").await?;
        let pair = pair.ok_or_else(|| missing(server, "no SSH key"))?;
        let key =
            pair.private_pem().map_err(|error| Failure::safe("internal", error.to_string()))?;
        let session = Session::new(Access {
            user: facts.user.clone(),
            address: facts.address.clone(),
            port: facts.port,
            key,
            host_key_fingerprint: facts.host_key_fingerprint.clone(),
        })?;
        let remote: Arc<dyn Remote> = Arc::new(session);
        open.insert(server.name.clone(), Open { facts, remote: remote.clone() });
        Ok(remote)
    }
}

fn facts(server: &Server) -> Result<Facts, Failure> {
    let ipv4 = server.ipv4.map(|address| address.to_string());
    let address = ipv4.or_else(|| server.ipv6.map(|address| address.to_string()));
    let fingerprint = server.ssh.host_key_fingerprint.clone();
    Ok(Facts {
        user: server.ssh.user.clone(),
        address: address.ok_or_else(|| missing(server, "no address yet"))?,
        port: server.ssh.port,
        host_key_fingerprint: fingerprint.ok_or_else(|| missing(server, "no known host key"))?,
    })
}

fn missing(server: &Server, what: &str) -> Failure {
    let message = format!(
        "server `{}` has {what}: it was not created to its end; run or retry its create_server job",
        server.name
    );
    Failure::safe("not_ready", message)
}
