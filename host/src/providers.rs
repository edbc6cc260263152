//! Who runs servers: one trait, one file a provider.

pub mod cloud;
pub mod digitalocean;
pub mod docker;
pub mod hetzner;
pub mod presence;
pub mod registry;
pub mod sandbox;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::model::catalogue::Catalogue;
use crate::model::failure::Failure;
use crate::model::names::{Identity, ProviderKind, ServerName};

/// What a provider can do. Every call retries by itself what can be retried without harm, and ends
/// within its time-out. Dropping a call's future gives it up.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Which one it is.
    fn kind(&self) -> ProviderKind;

    /// Checks the credentials with one cheap call, within 2 s.
    async fn verify(&self) -> Result<(), ProviderError>;

    /// Everything on offer, asked now.
    async fn catalogue(&self) -> Result<Catalogue, ProviderError>;

    /// Sees that the provider has this public key, under its name or, when that name is another
    /// key's, under a new one. The same key there already is reused, and nobody's key is deleted.
    async fn ensure_ssh_key(&self, key: &PublicKey) -> Result<StoredKey, ProviderError>;

    /// Removes a key; one that is gone is success.
    async fn delete_ssh_key(&self, id: &str) -> Result<(), ProviderError>;

    /// The machine that carries this identity, if there is one; it was ordered under this name.
    /// Looks as long as it takes to be sure (a provider may show a new machine's labels late).
    async fn find_server(
        &self,
        identity: &Identity,
        name: &ServerName,
    ) -> Result<Option<Machine>, ProviderError>;

    /// Orders a machine. [`ProviderError::OutcomeUnknown`] when the order was sent and its answer
    /// was lost: the caller looks with [`Provider::find_server`] before anything else.
    async fn create_server(&self, wanted: &NewMachine) -> Result<Machine, ProviderError>;

    /// Waits until the provider's actions on the machine ended well and it runs.
    /// `actions` are those that [`Machine::actions`] told when it was ordered.
    async fn wait_running(
        &self,
        id: &str,
        actions: &[String],
        timeout: Duration,
    ) -> Result<Machine, ProviderError>;

    /// The machine as it is now.
    async fn server(&self, id: &str) -> Result<Option<Machine>, ProviderError>;

    /// Deletes a machine and waits until it is gone; one that is gone already is success.
    async fn delete_server(&self, id: &str) -> Result<(), ProviderError>;

    /// The ids of the machines that hosts ordered there, and perhaps of others.
    async fn server_ids(&self) -> Result<BTreeSet<String>, ProviderError>;

    /// Whether it has the key with this id.
    async fn has_ssh_key(&self, id: &str) -> Result<bool, ProviderError>;
}

/// A public key to be stored at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The name it should have there.
    pub name: String,
    /// One line in OpenSSH's notation, without comment: `ssh-ed25519 AAAA…`.
    pub line: String,
    /// Marks it as ours.
    pub labels: BTreeMap<String, String>,
}

/// A public key that a provider has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredKey {
    /// The provider's id.
    pub id: String,
    /// Its name there.
    pub name: String,
}

/// A machine to be ordered.
#[derive(Clone, Debug)]
pub struct NewMachine {
    /// Its name, unique at the provider as far as the provider sees to that.
    pub name: ServerName,
    /// Who orders it: becomes labels in the ordering request itself.
    pub identity: Identity,
    /// The provider's name of the size.
    pub server_type: String,
    /// The provider's name of the place.
    pub region: String,
    /// The provider's name of the image.
    pub image: String,
    /// The provider's ids of the keys that may log in.
    pub ssh_keys: Vec<String>,
    /// What the machine has to know from its first boot on.
    pub boot: Boot,
}

/// What a machine has to know from its first boot on.
#[derive(Clone)]
pub struct Boot {
    /// Who may log in as root: one line in OpenSSH's notation.
    pub authorized_key: String,
    /// Its host key, made by us so that the first connection is verified: PEM in OpenSSH's format.
    pub host_key: SecretString,
    /// The public half, one line in OpenSSH's notation.
    pub host_key_public: String,
}

impl std::fmt::Debug for Boot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Boot")
            .field("host_key_public", &self.host_key_public)
            .finish_non_exhaustive()
    }
}

/// A machine as its provider knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The provider's id.
    pub id: String,
    /// Its name there.
    pub name: String,
    /// How it stands.
    pub status: MachineStatus,
    /// Its public address.
    pub ipv4: Option<Ipv4Addr>,
    /// Its public IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Where its sshd listens.
    pub ssh_port: u16,
    /// Labels, tags of the form `key:value` included.
    pub labels: BTreeMap<String, String>,
    /// The provider's actions that have to end before it can be used.
    pub actions: Vec<String>,
}

/// How a machine stands at its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineStatus {
    /// Ordered or starting.
    Booting,
    /// Powered on. Whether it takes commands is for SSH to say.
    Running,
    /// Powered off, and billed all the same.
    Off,
    /// On its way out.
    Deleting,
    /// The provider says something that we do not know.
    Unknown,
}

impl MachineStatus {
    /// The name that the contract uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Booting => "booting",
            Self::Running => "running",
            Self::Off => "off",
            Self::Deleting => "deleting",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a provider did not do what it was asked. `message` is a sentence for a person, without
/// secrets, with the provider's own words in it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    /// The token is refused, or may only read.
    #[error("{message}")]
    InvalidCredentials {
        /// What to do.
        message: String,
    },
    /// It does not know what we named.
    #[error("{message}")]
    NotFound {
        /// What was not found.
        message: String,
    },
    /// The name or key is taken by something that is not ours.
    #[error("{message}")]
    Conflict {
        /// What is taken.
        message: String,
    },
    /// It refuses what we ask for; asking again changes nothing.
    #[error("{message}")]
    Refused {
        /// The code that the plugin sees: `invalid_argument`, `quota_exceeded`, `no_capacity`,
        /// `protected`, `access_denied`, `unsupported`.
        code: &'static str,
        /// The provider's reason.
        message: String,
    },
    /// An action that it took on ended in error.
    #[error("{message}")]
    ActionFailed {
        /// The provider's reason.
        message: String,
    },
    /// Too many requests, for longer than was worth waiting.
    #[error("{message}")]
    RateLimited {
        /// When to try again.
        message: String,
        /// After how long, where told.
        retry_after: Option<Duration>,
    },
    /// It could not be reached, or did not answer sensibly, and nothing was changed.
    #[error("{message}")]
    Unavailable {
        /// What was tried.
        message: String,
    },
    /// A changing request was sent, and nobody knows what came of it.
    #[error("{message}")]
    OutcomeUnknown {
        /// What was sent.
        message: String,
    },
    /// It took longer than the caller wanted to wait.
    #[error("{message}")]
    Timeout {
        /// What was waited for.
        message: String,
    },
}

impl ProviderError {
    /// Whether the same question may well be answered a little later.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::RateLimited { .. })
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        let message = error.to_string();
        match error {
            ProviderError::InvalidCredentials { .. } => Self::safe("invalid_credentials", message),
            ProviderError::NotFound { .. } => Self::safe("not_found", message),
            ProviderError::Conflict { .. } => Self::safe("conflict", message),
            ProviderError::Refused { code, .. } => Self::safe(code, message),
            ProviderError::ActionFailed { .. } => Self::safe("action_failed", message),
            ProviderError::RateLimited { .. } => Self::safe("rate_limited", message),
            ProviderError::Unavailable { .. } => Self::safe("unavailable", message),
            ProviderError::OutcomeUnknown { .. } => {
                Self::unsafe_to_retry("outcome_unknown", message)
            }
            ProviderError::Timeout { .. } => Self::safe("timeout", message),
        }
    }
}
