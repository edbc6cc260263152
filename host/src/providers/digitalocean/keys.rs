//! Public keys in the account: found by fingerprint, never replaced. Their names are not unique.

use serde::de::IgnoredAny;
use serde_json::json;

use crate::providers::cloud::answer::CallError;
use crate::providers::cloud::fingerprint::fingerprint;
use crate::providers::cloud::request::Request;
use crate::providers::digitalocean::DigitalOcean;
use crate::providers::digitalocean::dialect::{Meaning, explain, meaning, numeric};
use crate::providers::digitalocean::wire::{OneKey, SshKey};
use crate::providers::{ProviderError, PublicKey, StoredKey};

impl DigitalOcean {
    pub(super) async fn ensure_key(&self, key: &PublicKey) -> Result<StoredKey, ProviderError> {
        let fingerprint = fingerprint(&key.line)?;
        if let Some(stored) = self.find_key(&fingerprint).await? {
            return Ok(stored);
        }
        let body = json!({"name": key.name, "public_key": key.line});
        // A second one of these finds the first one's key, so it does no harm.
        let request = Request::post("/account/keys", body).harmless_to_repeat();
        let error = match self.cloud.call::<OneKey>(&request).await {
            Ok(answer) => return Ok(answer.ssh_key.into()),
            Err(error) => error,
        };
        if let CallError::Refused(refusal) = &error
            && refusal.status == 422
            && meaning(refusal) == Meaning::KeyInUse
            && let Some(stored) = self.find_key(&fingerprint).await?
        {
            return Ok(stored);
        }
        Err(explain(&format!("store the SSH key `{}`", key.name), error))
    }

    pub(super) async fn delete_key(&self, id: &str) -> Result<(), ProviderError> {
        let id = numeric("SSH key", id)?;
        match self.cloud.call(&Request::delete(format!("/account/keys/{id}"))).await {
            Ok(IgnoredAny) => Ok(()),
            Err(CallError::Refused(error)) if error.status == 404 => Ok(()),
            Err(error) => Err(explain(&format!("remove the SSH key {id}"), error)),
        }
    }

    pub(super) async fn has_key(&self, id: &str) -> Result<bool, ProviderError> {
        let id = numeric("SSH key", id)?;
        match self.cloud.call(&Request::get(format!("/account/keys/{id}"))).await {
            Ok(IgnoredAny) => Ok(true),
            Err(CallError::Refused(error)) if error.status == 404 => Ok(false),
            Err(error) => Err(explain(&format!("look at the SSH key {id}"), error)),
        }
    }

    /// Asks for the one key, because lists of keys may be asked for ten times a minute only.
    async fn find_key(&self, fingerprint: &str) -> Result<Option<StoredKey>, ProviderError> {
        let request = Request::get(format!("/account/keys/{fingerprint}"));
        match self.cloud.call::<OneKey>(&request).await {
            Ok(answer) => Ok(Some(answer.ssh_key.into())),
            Err(CallError::Refused(error)) if error.status == 404 => Ok(None),
            Err(error) => Err(explain("look for the SSH key", error)),
        }
    }
}

impl From<SshKey> for StoredKey {
    fn from(key: SshKey) -> Self {
        Self { id: key.id.to_string(), name: key.name }
    }
}
