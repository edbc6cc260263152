//! The sandbox: a cloud that is simulated in the process. Its machines are files that outlive the
//! process as real machines would; what they do follows from when they were ordered, so nothing
//! runs in the background. It costs nothing and needs no account.

mod commands;
pub mod disk;
pub mod evidence;
mod files;
mod ledger;
mod machines;
mod offer;
mod rehearsal;
mod remote;
mod scripts;
mod shell;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::catalogue::Catalogue;
use crate::model::names::{Identity, ProviderKind, ServerName};
use crate::model::server::Server;
use crate::providers::sandbox::machines::{Machines, Phase, Simulated};
use crate::providers::sandbox::remote::SandboxRemote;
use crate::providers::{
    Machine, MachineStatus, NewMachine, Provider, ProviderError, PublicKey, StoredKey,
};
use crate::ssh::Remote;

/// How long things take in the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// About as long as at a real provider, so that there is something to watch.
    Realistic,
    /// No time at all.
    Instant,
}

/// The simulated cloud.
#[derive(Clone, Debug)]
pub struct Sandbox {
    machines: Machines,
    pace: Pace,
    /// Whether orders were checked against what somebody else offers.
    takes_all: bool,
}

impl Pace {
    /// How long a provider takes to answer an order.
    const fn order(self) -> Duration {
        self.or_none(Duration::from_millis(1_000))
    }

    /// How long a machine takes from its order until it runs.
    const fn boot(self) -> Duration {
        self.or_none(Duration::from_secs(8))
    }

    /// How long a machine takes from its order until it takes commands.
    const fn ready(self) -> Duration {
        self.or_none(Duration::from_secs(11))
    }

    const fn or_none(self, realistic: Duration) -> Duration {
        match self {
            Self::Realistic => realistic,
            Self::Instant => Duration::ZERO,
        }
    }
}

impl Sandbox {
    /// The cloud whose machines are kept in this folder. It is made with the first machine.
    pub fn new(dir: PathBuf, pace: Pace) -> Self {
        Self { machines: Machines::new(dir), pace, takes_all: false }
    }

    /// The cloud of a rehearsal, which stands for any other one.
    pub fn rehearsal(dir: PathBuf) -> Self {
        Self { takes_all: true, ..Self::new(dir, Pace::Instant) }
    }

    /// The way into a machine: what SSH is to a real one.
    pub fn remote(&self, server: &Server) -> Arc<dyn Remote> {
        Arc::new(SandboxRemote::new(self.machines.clone(), self.pace, server))
    }

    fn shown(&self, machine: Simulated) -> Machine {
        let is_booting = machine.age(Timestamp::now()) < self.pace.boot();
        Machine {
            actions: if is_booting { vec![format!("boot-{}", machine.id)] } else { Vec::new() },
            id: machine.id,
            name: machine.name,
            status: if is_booting { MachineStatus::Booting } else { MachineStatus::Running },
            ipv4: Some(machine.ipv4),
            ipv6: Some(machine.ipv6),
            ssh_port: 22,
            labels: machine.labels,
        }
    }

    /// Looks at the machines' files, off the runtime's threads.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Machines) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let machines = self.machines.clone();
        let looking = tokio::task::spawn_blocking(move || look(&machines)).await;
        looking.map_err(std::io::Error::other).flatten().map_err(|error| {
            let message = format!("the sandbox's folder cannot be used: {error}");
            ProviderError::Unavailable { message }
        })
    }
}

#[async_trait]
impl Provider for Sandbox {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Sandbox
    }

    async fn verify(&self) -> Result<(), ProviderError> {
        self.look(|machines| machines.all().map(drop)).await
    }

    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        Ok(offer::catalogue(Timestamp::now()))
    }

    async fn ensure_ssh_key(&self, key: &PublicKey) -> Result<StoredKey, ProviderError> {
        let key = key.clone();
        self.look(move |machines| machines.ensure_key(&key)).await
    }

    async fn delete_ssh_key(&self, id: &str) -> Result<(), ProviderError> {
        let id = id.to_owned();
        self.look(move |machines| machines.remove_key(&id)).await
    }

    async fn find_server(
        &self,
        identity: &Identity,
        _name: &ServerName,
    ) -> Result<Option<Machine>, ProviderError> {
        let identity = identity.clone();
        let found = self.look(move |machines| machines.with_identity(&identity)).await?;
        Ok(found.map(|machine| self.shown(machine)))
    }

    async fn create_server(&self, wanted: &NewMachine) -> Result<Machine, ProviderError> {
        if !self.takes_all {
            offer::check(wanted)?;
            self.check_keys(&wanted.ssh_keys).await?;
        }
        // The machine is there before its buyer hears of it, as at every provider.
        tokio::time::sleep(self.pace.order() / 2).await;
        let machine = Simulated::ordered(wanted, Timestamp::now());
        let identity = wanted.identity.clone();
        let found = self.look(move |machines| machines.order(&machine)).await?;
        tokio::time::sleep(self.pace.order() / 2).await;
        if found.is_of(&identity) {
            return Ok(self.shown(found));
        }
        let message = format!("the sandbox has a server named `{}` already", found.name);
        Err(ProviderError::Conflict { message })
    }

    async fn wait_running(
        &self,
        id: &str,
        _actions: &[String],
        timeout: Duration,
    ) -> Result<Machine, ProviderError> {
        let wanted = id.to_owned();
        let found = self.look(move |machines| machines.with_id(&wanted)).await?;
        let machine = found.ok_or_else(|| absent(id))?;
        let left = self.pace.boot().saturating_sub(machine.age(Timestamp::now()));
        tokio::time::sleep(left.min(timeout)).await;
        if left > timeout {
            let message = format!("`{}` was still booting after {timeout:?}", machine.name);
            return Err(ProviderError::Timeout { message });
        }
        self.server(id).await?.ok_or_else(|| absent(id))
    }

    async fn server(&self, id: &str) -> Result<Option<Machine>, ProviderError> {
        let id = id.to_owned();
        let found = self.look(move |machines| machines.with_id(&id)).await?;
        Ok(found.map(|machine| self.shown(machine)))
    }

    async fn server_ids(&self) -> Result<BTreeSet<String>, ProviderError> {
        let all = self.look(Machines::all).await?;
        Ok(all.into_iter().map(|machine| machine.id).collect())
    }

    async fn has_ssh_key(&self, id: &str) -> Result<bool, ProviderError> {
        let id = id.to_owned();
        Ok(self.look(move |machines| machines.key(&id)).await?.is_some())
    }

    async fn delete_server(&self, id: &str) -> Result<(), ProviderError> {
        let id = id.to_owned();
        tokio::time::sleep(self.pace.order()).await;
        self.look(move |machines| machines.remove(&id)).await
    }
}

impl Sandbox {
    async fn check_keys(&self, wanted: &[String]) -> Result<(), ProviderError> {
        let wanted = wanted.to_vec();
        let missing = self
            .look(move |machines| {
                let mut ids = wanted.into_iter();
                ids.find_map(|id| match machines.key(&id) {
                    Ok(Some(_)) => None,
                    Ok(None) => Some(Ok(id)),
                    Err(error) => Some(Err(error)),
                })
                .transpose()
            })
            .await?;
        match missing {
            None => Ok(()),
            Some(id) => Err(ProviderError::Refused {
                code: "invalid_argument",
                message: format!("the sandbox has no ssh key with the id `{id}`"),
            }),
        }
    }
}

/// How far a machine is.
fn phase(machine: &Simulated, pace: Pace, now: Timestamp) -> Phase {
    let age = machine.age(now);
    if age < pace.boot() {
        Phase::Booting
    } else if age < pace.ready() {
        Phase::Starting
    } else {
        Phase::Ready
    }
}

fn absent(id: &str) -> ProviderError {
    ProviderError::NotFound { message: format!("the sandbox has no server with the id `{id}`") }
}
