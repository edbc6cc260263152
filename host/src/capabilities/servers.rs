//! The `servers` interface.

use std::time::Duration;

use bindings::windlass::plugin::servers::{FirewallRule, Host, NewServer, Server, SshKey};
use bindings::windlass::plugin::types::Failure;
use wasmtime::Result as Trap;

use crate::capabilities::{Capabilities, parsed};
use crate::effects::servers::{
    CreateServer, DeleteServer, DeleteSshKey, EnsureSshKey, GetServer, ListMachines, MachineSeen,
    WaitRunning,
};
use crate::effects::unsupported::Unsupported;

/// The property that tells the provider's actions that a new machine waits for.
const ACTIONS: &str = "actions";

impl Host for Capabilities {
    async fn ensure_ssh_key(&mut self, server: String) -> Trap<Result<SshKey, Failure>> {
        let key = self.perform(EnsureSshKey { server: parsed!(&server) }).await?;
        Ok(key.map(|key| SshKey { id: key.id, name: key.name, fingerprint: key.fingerprint }))
    }

    async fn delete_ssh_key(&mut self, server: String) -> Trap<Result<(), Failure>> {
        self.perform(DeleteSshKey { server: parsed!(&server) }).await
    }

    async fn create(&mut self, wanted: NewServer) -> Trap<Result<Server, Failure>> {
        let keys = wanted.options.into_iter().filter(|(name, _)| name == "ssh-key");
        let effect = CreateServer {
            name: parsed!(&wanted.name),
            server_type: wanted.server_type,
            region: wanted.region,
            image: wanted.image,
            ssh_keys: keys.map(|(_, id)| id).collect(),
        };
        let created = self.perform(effect).await?;
        if let Ok(created) = &created {
            self.actions.clone_from(&created.machine.actions);
        }
        Ok(created.map(server))
    }

    async fn wait_running(
        &mut self,
        server: String,
        timeout_ms: u64,
    ) -> Trap<Result<Server, Failure>> {
        let effect = WaitRunning {
            server: parsed!(&server),
            actions: self.actions.clone(),
            timeout: Duration::from_millis(timeout_ms),
        };
        Ok(self.perform(effect).await?.map(self::server))
    }

    async fn get(&mut self, server: String) -> Trap<Result<Option<Server>, Failure>> {
        let found = self.perform(GetServer { server: parsed!(&server) }).await?;
        Ok(found.map(|machine| machine.map(self::server)))
    }

    async fn list(&mut self) -> Trap<Result<Vec<Server>, Failure>> {
        let listed = self.perform(ListMachines).await?;
        Ok(listed.map(|servers| servers.iter().map(recorded).collect()))
    }

    async fn delete(&mut self, server: String) -> Trap<Result<(), Failure>> {
        self.perform(DeleteServer { server: parsed!(&server) }).await
    }

    async fn set_firewall(
        &mut self,
        _server: String,
        _rules: Vec<FirewallRule>,
    ) -> Trap<Result<(), Failure>> {
        self.perform(Unsupported { interface: "servers", function: "set-firewall" }).await
    }
}

fn server(seen: MachineSeen) -> Server {
    let machine = seen.machine;
    Server {
        name: machine.name,
        id: machine.id,
        status: machine.status.as_str().to_owned(),
        ipv4: machine.ipv4.map(|address| address.to_string()),
        ipv6: machine.ipv6.map(|address| address.to_string()),
        properties: vec![
            ("simulated".to_owned(), seen.simulated.to_string()),
            (ACTIONS.to_owned(), machine.actions.join(",")),
        ],
    }
}

/// A machine as the host's record tells it.
fn recorded(record: &serde_json::Value) -> Server {
    let text = |field: &str| record.get(field).and_then(|v| v.as_str()).map(str::to_owned);
    Server {
        name: text("name").unwrap_or_default(),
        id: text("provider_id").unwrap_or_default(),
        status: text("status").unwrap_or_default(),
        ipv4: text("ipv4"),
        ipv6: text("ipv6"),
        properties: Vec::new(),
    }
}
