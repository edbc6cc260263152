//! Effects on machines at a provider. Who the provider is stands in the server's record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::effects::Effect;
use crate::effects::boundary::Boundary;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::effects::inventory::{ListServers, record_of};
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::{Identity, ProviderKind, ServerName};
use crate::model::server::Server;
use crate::providers::presence::{Presence, presence};
use crate::providers::{Machine, NewMachine, Provider, PublicKey};
use crate::ssh::keys;

const INTERFACE: &str = "servers";

/// A machine as the plugin sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MachineSeen {
    /// What the provider says.
    #[serde(flatten)]
    pub machine: Machine,
    /// Whether nothing real stands behind it.
    pub simulated: bool,
}

/// A public key as the plugin sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeySeen {
    /// The provider's id.
    pub id: String,
    /// Its name there.
    pub name: String,
    /// `SHA256:…`.
    pub fingerprint: String,
}

/// Sees that the server has key pairs and that the provider has the public half of its login key.
#[derive(Debug)]
pub struct EnsureSshKey {
    /// Whose key.
    pub server: ServerName,
}

impl Effect for EnsureSshKey {
    type Answer = KeySeen;
    const FUNCTION: &'static str = "servers.ensure-ssh-key";
    const CLASS: Class = Class::Put;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn request(&self) -> Value {
        json!({ "server": self.server })
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<KeySeen, Failure> {
        let (provider, _) = provider_of(job, &self.server).await?;
        let (store, vault, lease) = (&job.outside.store, &job.outside.vault, job.lease());
        let (login, host) = tokio::try_join!(
            keys::ensure(store, vault, &lease, (&self.server, "ssh_key")),
            keys::ensure(store, vault, &lease, (&self.server, "host_key")),
        )?;
        job.mask_secrets().await?;
        let key = PublicKey {
            name: format!("windlass-{}", self.server),
            line: login.public_line(),
            labels: labels(identity),
        };
        let stored = provider.ensure_ssh_key(&key).await?;
        let (id, fingerprint) = (stored.id.clone(), host.fingerprint());
        change(job, &self.server, move |server| {
            server.ssh.key_id = Some(id);
            server.ssh.host_key_fingerprint = Some(fingerprint);
        })
        .await?;
        Ok(KeySeen { id: stored.id, name: stored.name, fingerprint: login.fingerprint() })
    }
}

/// Removes the server's login key from the provider.
#[derive(Debug)]
pub struct DeleteSshKey {
    /// Whose key.
    pub server: ServerName,
}

impl Effect for DeleteSshKey {
    type Answer = ();
    const FUNCTION: &'static str = "servers.delete-ssh-key";
    const CLASS: Class = Class::Delete;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn request(&self) -> Value {
        json!({ "server": self.server })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<(), Failure> {
        let (provider, server) = provider_of(job, &self.server).await?;
        let Some(id) = server.ssh.key_id else { return Ok(()) };
        provider.delete_ssh_key(&id).await?;
        change(job, &self.server, |server| server.ssh.key_id = None).await
    }
}

/// Orders the machine.
#[derive(Debug)]
pub struct CreateServer {
    /// Its name.
    pub name: ServerName,
    /// The provider's name of the size.
    pub server_type: String,
    /// The provider's name of the place.
    pub region: String,
    /// The provider's name of the image.
    pub image: String,
    /// Further keys that may log in, by the provider's ids.
    pub ssh_keys: Vec<String>,
}

impl Effect for CreateServer {
    type Answer = MachineSeen;
    const FUNCTION: &'static str = "servers.create";
    const CLASS: Class = Class::Create;

    fn needs(&self) -> Grant<'_> {
        on(&self.name)
    }

    fn request(&self) -> Value {
        json!({
            "name": self.name,
            "server_type": self.server_type,
            "region": self.region,
            "image": self.image,
            "ssh_keys": self.ssh_keys,
        })
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<MachineSeen, Failure> {
        let (provider, server) = provider_of(job, &self.name).await?;
        let Some(key_id) = server.ssh.key_id else {
            let message = format!("server `{}` has no SSH key: ensure one first", self.name);
            return Err(Failure::safe("invalid_argument", message));
        };
        let (store, vault) = (&job.outside.store, &job.outside.vault);
        let boot = keys::boot(store, vault, &job.lease(), &self.name).await?;
        // The order holds the machine's private key, and a refusal may quote the order.
        job.mask_secrets().await?;
        let wanted = NewMachine {
            name: self.name.clone(),
            identity: identity.clone(),
            server_type: self.server_type.clone(),
            region: self.region.clone(),
            image: self.image.clone(),
            ssh_keys: std::iter::once(key_id).chain(self.ssh_keys.iter().cloned()).collect(),
            boot,
        };
        let machine = provider.create_server(&wanted).await?;
        note_machine(job, &self.name, &machine).await?;
        Ok(seen(provider.as_ref(), machine))
    }

    async fn find(
        &self,
        job: &JobContext,
        identity: &Identity,
    ) -> Result<Option<MachineSeen>, Failure> {
        let (provider, _) = provider_of(job, &self.name).await?;
        let Some(machine) = provider.find_server(identity, &self.name).await? else {
            return Ok(None);
        };
        note_machine(job, &self.name, &machine).await?;
        Ok(Some(seen(provider.as_ref(), machine)))
    }
}

/// Waits until the machine runs.
#[derive(Debug)]
pub struct WaitRunning {
    /// Which.
    pub server: ServerName,
    /// The provider's actions to wait for, as they were told when it was ordered.
    pub actions: Vec<String>,
    /// For how long.
    pub timeout: Duration,
}

impl Effect for WaitRunning {
    type Answer = MachineSeen;
    const FUNCTION: &'static str = "servers.wait-running";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn request(&self) -> Value {
        json!({
            "server": self.server,
            "actions": self.actions,
            "timeout_ms": self.timeout.as_millis(),
        })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<MachineSeen, Failure> {
        let (provider, server) = provider_of(job, &self.server).await?;
        let id = ordered(&server)?;
        let machine = provider.wait_running(&id, &self.actions, self.timeout).await?;
        note_machine(job, &self.server, &machine).await?;
        Ok(seen(provider.as_ref(), machine))
    }
}

/// Asks for the machine as it is now.
#[derive(Debug)]
pub struct GetServer {
    /// Which.
    pub server: ServerName,
}

impl Effect for GetServer {
    type Answer = Option<MachineSeen>;
    const FUNCTION: &'static str = "servers.get";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn request(&self) -> Value {
        json!({ "server": self.server })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<Self::Answer, Failure> {
        let (provider, server) = provider_of(job, &self.server).await?;
        let Some(id) = server.provider_id else { return Ok(None) };
        let machine = provider.server(&id).await?;
        Ok(machine.map(|machine| seen(provider.as_ref(), machine)))
    }
}

/// Reads the records of the machines at the provider of the job's server.
#[derive(Debug)]
pub struct ListMachines;

impl Effect for ListMachines {
    type Answer = Vec<Value>;
    const FUNCTION: &'static str = "servers.list";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: INTERFACE, server: None }
    }

    fn request(&self) -> Value {
        json!({})
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<Vec<Value>, Failure> {
        let mut listed = ListServers.act(job, identity).await?;
        if let Some(server) = &job.record.server {
            let provider = json!(record_of(job, server).await?.provider);
            listed.retain(|server| server.get("provider") == Some(&provider));
        }
        Ok(listed)
    }
}

/// Deletes the machine.
#[derive(Debug)]
pub struct DeleteServer {
    /// Which.
    pub server: ServerName,
}

impl Effect for DeleteServer {
    type Answer = ();
    const FUNCTION: &'static str = "servers.delete";
    const CLASS: Class = Class::Delete;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn request(&self) -> Value {
        json!({ "server": self.server })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<(), Failure> {
        let (provider, server) = provider_of(job, &self.server).await?;
        let Some(id) = server.provider_id.clone() else { return Ok(()) };
        let all = job.outside.store.servers().await;
        let all = all.map_err(|error| Failure::safe("internal", error.to_string()))?;
        match presence(&*provider, &server, &all).await? {
            Presence::There => provider.delete_server(&id).await?,
            Presence::Gone => {}
            // Who asked for the job said that it is to be forgotten all the same.
            Presence::Unknowable if job.params().get("force") == Some(&Value::Bool(true)) => {}
            Presence::Unknowable => return Err(somewhere_else(&server, &id)),
        }
        change(job, &self.server, |server| {
            server.provider_id = None;
            (server.ipv4, server.ipv6) = (None, None);
        })
        .await
    }
}

fn somewhere_else(server: &Server, id: &str) -> Failure {
    let Server { name, provider, .. } = server;
    let message = format!(
        "{provider} knows neither `{name}` (its id there is {id}) nor its SSH key, so the token may be \
         of another project, and the server still be there and cost money: configure the token of \
         the project that it is in (`windlass config provider {provider}`), or, when you have seen \
         that it is gone, delete it with `--force`"
    );
    Failure::safe("wrong_project", message)
}

fn on(server: &ServerName) -> Grant<'_> {
    Grant { interface: INTERFACE, server: Some(server.as_str()) }
}

fn labels(identity: &Identity) -> BTreeMap<String, String> {
    BTreeMap::from([
        (Identity::JOB_LABEL.to_owned(), identity.job.to_string()),
        (Identity::EFFECT_LABEL.to_owned(), identity.effect.to_string()),
    ])
}

async fn provider_of(
    job: &JobContext,
    name: &ServerName,
) -> Result<(Arc<dyn Provider>, Server), Failure> {
    let server = record_of(job, name).await?;
    let provider = job.outside.providers.get(server.provider).await?;
    Ok((provider, server))
}

fn ordered(server: &Server) -> Result<String, Failure> {
    server.provider_id.clone().ok_or_else(|| {
        Failure::safe("not_found", format!("server `{}` was not ordered yet", server.name))
    })
}

fn seen(provider: &dyn Provider, machine: Machine) -> MachineSeen {
    MachineSeen { machine, simulated: provider.kind() == ProviderKind::Sandbox }
}

async fn note_machine(
    job: &JobContext,
    name: &ServerName,
    machine: &Machine,
) -> Result<(), Failure> {
    let machine = machine.clone();
    change(job, name, move |server| {
        server.provider_id = Some(machine.id);
        server.ipv4 = machine.ipv4;
        server.ipv6 = machine.ipv6;
        server.ssh.port = machine.ssh_port;
    })
    .await
}

async fn change(
    job: &JobContext,
    name: &ServerName,
    change: impl FnOnce(&mut Server) + Send + 'static,
) -> Result<(), Failure> {
    job.pass(Boundary::Within, "servers").await;
    let changed = job.outside.store.amend_server(&job.lease(), name, Box::new(change)).await;
    match changed {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(Failure::safe("not_found", format!("there is no server `{name}`"))),
        Err(error) => Err(Failure::safe("internal", error.to_string())),
    }
}
