//! Servers at Hetzner Cloud.

mod actions;
mod catalogue;
mod dialect;
mod keys;
mod servers;
mod wire;

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::de::IgnoredAny;

use crate::model::catalogue::Catalogue;
use crate::model::names::{Identity, ProviderKind, ServerName};
use crate::providers::cloud::request::{Credential, Request};
use crate::providers::cloud::{self, Cloud};
use crate::providers::hetzner::dialect::{DIALECT, explain};
use crate::providers::{Machine, NewMachine, Provider, ProviderError, PublicKey, StoredKey};

/// Where the API is unless the configuration says otherwise.
pub const ENDPOINT: &str = "https://api.hetzner.cloud/v1";

/// How long things may take.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of every single call.
    pub cloud: cloud::Options,
    /// Between two looks at something that takes its time.
    pub poll_interval: Duration,
    /// Checking the token.
    pub verify_timeout: Duration,
    /// Deleting a server, with waiting for what else goes on with it.
    pub delete_timeout: Duration,
    /// From an order that was cut off to its server's being seen by others.
    pub order_settles: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cloud: cloud::Options::default(),
            poll_interval: Duration::from_millis(500),
            verify_timeout: Duration::from_secs(2),
            delete_timeout: Duration::from_secs(300),
            order_settles: Duration::from_secs(60),
        }
    }
}

/// One project at Hetzner Cloud: a token is good for exactly one.
pub struct Hetzner {
    cloud: Cloud,
    options: Options,
}

impl Hetzner {
    /// The project of `token`, at Hetzner's own address or at `endpoint`. Sends nothing yet.
    pub fn new(
        token: SecretString,
        endpoint: Option<&str>,
        options: Options,
    ) -> Result<Self, ProviderError> {
        let base = endpoint.unwrap_or(ENDPOINT);
        let cloud = Cloud::new(base, Credential::Bearer(token), &DIALECT, options.cloud.clone())
            .map_err(|error| explain("use Hetzner Cloud", error))?;
        Ok(Self { cloud, options })
    }
}

#[async_trait]
impl Provider for Hetzner {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Hetzner
    }

    /// Whether the token may write shows only with the first write: there is no way to ask.
    async fn verify(&self) -> Result<(), ProviderError> {
        let request = Request::get("/servers").with_query("per_page", &1);
        let checked = self.cloud.call_within(&request, self.options.verify_timeout).await;
        let IgnoredAny = checked.map_err(|error| explain("check the token", error))?;
        Ok(())
    }

    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        self.fetch_catalogue().await
    }

    async fn ensure_ssh_key(&self, key: &PublicKey) -> Result<StoredKey, ProviderError> {
        self.ensure_key(key).await
    }

    async fn delete_ssh_key(&self, id: &str) -> Result<(), ProviderError> {
        self.delete_key(id).await
    }

    /// One look is enough: the labels are part of the order, and the order's name cannot be given
    /// twice, so an order that arrives after the look still makes no second machine.
    async fn find_server(
        &self,
        identity: &Identity,
        _name: &ServerName,
    ) -> Result<Option<Machine>, ProviderError> {
        self.find_by_identity(identity).await
    }

    async fn create_server(&self, wanted: &NewMachine) -> Result<Machine, ProviderError> {
        self.order(wanted).await
    }

    async fn wait_running(
        &self,
        id: &str,
        actions: &[String],
        timeout: Duration,
    ) -> Result<Machine, ProviderError> {
        self.wait_until_running(id, actions, timeout).await
    }

    async fn server(&self, id: &str) -> Result<Option<Machine>, ProviderError> {
        self.look_up(id).await
    }

    async fn delete_server(&self, id: &str) -> Result<(), ProviderError> {
        self.delete_until_gone(id).await
    }

    async fn server_ids(&self) -> Result<BTreeSet<String>, ProviderError> {
        self.list_ids().await
    }

    async fn has_ssh_key(&self, id: &str) -> Result<bool, ProviderError> {
        self.has_key(id).await
    }
}
