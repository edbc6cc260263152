//! Droplets that there are: looked at, and deleted until they are gone.

use std::collections::BTreeSet;
use std::time::Instant;

use serde::de::IgnoredAny;

use crate::providers::cloud::answer::CallError;
use crate::providers::cloud::request::Request;
use crate::providers::digitalocean::DigitalOcean;
use crate::providers::digitalocean::dialect::{explain, is_busy, numeric};
use crate::providers::digitalocean::wire::{Droplet, OneDroplet};
use crate::providers::{Machine, ProviderError};

impl DigitalOcean {
    pub(super) async fn look_up(&self, id: &str) -> Result<Option<Machine>, ProviderError> {
        let droplet = self.fetch_droplet(numeric("droplet", id)?).await?;
        Ok(droplet.map(|droplet| droplet.into_machine(Vec::new())))
    }

    /// All of the account: there is no tag that all of ours have.
    pub(super) async fn list_ids(&self) -> Result<BTreeSet<String>, ProviderError> {
        let droplets: Result<Vec<Droplet>, CallError> =
            self.cloud.list("/droplets", &[], "droplets").await;
        let droplets = droplets.map_err(|error| explain("list the droplets", error))?;
        Ok(droplets.into_iter().map(|droplet| droplet.id.to_string()).collect())
    }

    pub(super) async fn fetch_droplet(&self, id: u64) -> Result<Option<Droplet>, ProviderError> {
        match self.cloud.call::<OneDroplet>(&Request::get(format!("/droplets/{id}"))).await {
            Ok(answer) => Ok(Some(answer.droplet)),
            Err(CallError::Refused(error)) if error.status == 404 => Ok(None),
            Err(error) => Err(explain(&format!("look at droplet {id}"), error)),
        }
    }

    pub(super) async fn delete_until_gone(&self, id: &str) -> Result<(), ProviderError> {
        let id = numeric("droplet", id)?;
        let Some(droplet) = self.fetch_droplet(id).await? else { return Ok(()) };
        let timeout = self.options.delete_timeout;
        let deleted = tokio::time::timeout(timeout, self.delete(id)).await;
        deleted.unwrap_or_else(|_elapsed| {
            Err(ProviderError::Timeout {
                message: format!(
                    "droplet {id} at DigitalOcean was not gone after {} s: see in the DigitalOcean \
                     control panel what holds it up, then try again",
                    timeout.as_secs()
                ),
            })
        })?;
        self.forget_tags(droplet.tags()).await;
        Ok(())
    }

    async fn delete(&self, id: u64) -> Result<(), ProviderError> {
        let request = Request::delete(format!("/droplets/{id}"));
        loop {
            match self.cloud.call(&request).await {
                Ok(IgnoredAny) if self.goes(id).await? => return Ok(()),
                Ok(IgnoredAny) => {}
                Err(CallError::Refused(error)) if error.status == 404 => return Ok(()),
                Err(CallError::Refused(error)) if is_busy(&error) => self.pause().await,
                Err(error) => return Err(explain(&format!("delete droplet {id}"), error)),
            }
        }
    }

    /// Whether a droplet whose deletion was taken is gone before that has to be asked for again:
    /// the API does not tell how a deletion ended.
    async fn goes(&self, id: u64) -> Result<bool, ProviderError> {
        let began = Instant::now();
        while began.elapsed() < self.options.delete_repeats {
            match self.fetch_droplet(id).await {
                Ok(None) => return Ok(true),
                Ok(Some(_)) => {}
                Err(error) if error.is_passing() => tracing::debug!("looking again: {error}"),
                Err(error) => return Err(error),
            }
            self.pause().await;
        }
        Ok(false)
    }
}
