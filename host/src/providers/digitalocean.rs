//! Servers at DigitalOcean, which calls them droplets.

mod actions;
mod catalogue;
mod dialect;
mod droplets;
mod keys;
mod orders;
mod tags;
mod wire;

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Url;
use secrecy::SecretString;

use crate::model::catalogue::Catalogue;
use crate::model::names::{Identity, ProviderKind, ServerName};
use crate::providers::cloud::request::{Credential, Request};
use crate::providers::cloud::{self, Cloud};
use crate::providers::digitalocean::dialect::{DIALECT, explain};
use crate::providers::digitalocean::wire::OneAccount;
use crate::providers::{Machine, NewMachine, Provider, ProviderError, PublicKey, StoredKey};

/// Where the API is unless the configuration says otherwise.
pub const ENDPOINT: &str = "https://api.digitalocean.com";

/// How long things may take.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of every single call.
    pub cloud: cloud::Options,
    /// Between two looks at something that takes its time: a token has 250 requests a minute.
    pub poll_interval: Duration,
    /// Checking the token.
    pub verify_timeout: Duration,
    /// Deleting a droplet, with waiting for what else goes on with it.
    pub delete_timeout: Duration,
    /// After a deletion was taken, until it is asked for again.
    pub delete_repeats: Duration,
    /// From an order that was cut off to its droplet's being listed.
    pub order_settles: Duration,
    /// From a droplet's being listed to its tags' being listed with it.
    pub tags_settle: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cloud: cloud::Options::default(),
            poll_interval: Duration::from_secs(3),
            verify_timeout: Duration::from_secs(2),
            delete_timeout: Duration::from_secs(300),
            delete_repeats: Duration::from_secs(30),
            order_settles: Duration::from_secs(30),
            tags_settle: Duration::from_secs(300),
        }
    }
}

/// One team at DigitalOcean: a token is good for exactly one.
pub struct DigitalOcean {
    cloud: Cloud,
    options: Options,
}

impl DigitalOcean {
    /// The team of `token`, at DigitalOcean's own address or at `endpoint`, which may be written
    /// with the API's version or without. Sends nothing yet.
    pub fn new(
        token: SecretString,
        endpoint: Option<&str>,
        options: Options,
    ) -> Result<Self, ProviderError> {
        let base = with_version(endpoint.unwrap_or(ENDPOINT));
        let cloud = Cloud::new(&base, Credential::Bearer(token), &DIALECT, options.cloud.clone())
            .map_err(|error| explain("use DigitalOcean", error))?;
        Ok(Self { cloud, options })
    }

    async fn pause(&self) {
        tokio::time::sleep(self.options.poll_interval.max(Duration::from_millis(1))).await;
    }
}

/// The address with the API's version. What is no address stays as it is, to be refused as that.
fn with_version(endpoint: &str) -> String {
    if Url::parse(endpoint).is_err() {
        return endpoint.to_owned();
    }
    let base = endpoint.trim_end_matches('/');
    format!("{}/v2", base.strip_suffix("/v2").unwrap_or(base))
}

#[async_trait]
impl Provider for DigitalOcean {
    fn kind(&self) -> ProviderKind {
        ProviderKind::DigitalOcean
    }

    /// Which of its scopes the token lacks shows only with the first use of them.
    async fn verify(&self) -> Result<(), ProviderError> {
        let request = Request::get("/account");
        let checked = self.cloud.call_within(&request, self.options.verify_timeout).await;
        let OneAccount { account } = checked.map_err(|error| explain("check the token", error))?;
        if account.status != "locked" {
            return Ok(());
        }
        Err(ProviderError::Refused {
            code: "access_denied",
            message: format!(
                "the token is good, but DigitalOcean has locked its account: {}; see in the \
                 DigitalOcean control panel how to unlock it",
                account.status_message.chars().take(500).collect::<String>()
            ),
        })
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

    async fn find_server(
        &self,
        identity: &Identity,
        name: &ServerName,
    ) -> Result<Option<Machine>, ProviderError> {
        self.find_order(identity, name).await
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
