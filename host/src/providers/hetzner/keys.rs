//! Public keys in the project: found by fingerprint, never replaced.

use serde::de::IgnoredAny;
use serde_json::json;

use crate::providers::cloud::answer::CallError;
use crate::providers::cloud::fingerprint::fingerprint;
use crate::providers::cloud::request::Request;
use crate::providers::hetzner::Hetzner;
use crate::providers::hetzner::dialect::explain;
use crate::providers::hetzner::wire::{OneKey, SshKey};
use crate::providers::{ProviderError, PublicKey, StoredKey};

impl Hetzner {
    pub(super) async fn ensure_key(&self, key: &PublicKey) -> Result<StoredKey, ProviderError> {
        let fingerprint = fingerprint(&key.line)?;
        if let Some(stored) = self.find_key(&fingerprint).await? {
            return Ok(stored);
        }
        for name in names(&key.name, &fingerprint) {
            if let Some(stored) = self.store_key(key, &name, &fingerprint).await? {
                return Ok(stored);
            }
        }
        Err(ProviderError::Conflict {
            message: format!(
                "could not store the SSH key `{}` at Hetzner: other keys have that name and the \
                 names made from it; rename or remove them in the Hetzner console under Security",
                key.name
            ),
        })
    }

    pub(super) async fn delete_key(&self, id: &str) -> Result<(), ProviderError> {
        let id = numeric("SSH key", id)?;
        match self.cloud.call(&Request::delete(format!("/ssh_keys/{id}"))).await {
            Ok(IgnoredAny) => Ok(()),
            Err(CallError::Refused(error)) if error.code == "not_found" => Ok(()),
            Err(error) => Err(explain(&format!("remove the SSH key {id}"), error)),
        }
    }

    pub(super) async fn has_key(&self, id: &str) -> Result<bool, ProviderError> {
        let id = numeric("SSH key", id)?;
        match self.cloud.call(&Request::get(format!("/ssh_keys/{id}"))).await {
            Ok(IgnoredAny) => Ok(true),
            Err(CallError::Refused(error)) if error.code == "not_found" => Ok(false),
            Err(error) => Err(explain(&format!("look at the SSH key {id}"), error)),
        }
    }

    /// Stores it under this name, or nothing when the name is another key's.
    async fn store_key(
        &self,
        key: &PublicKey,
        name: &str,
        fingerprint: &str,
    ) -> Result<Option<StoredKey>, ProviderError> {
        let body = json!({"name": name, "public_key": key.line, "labels": key.labels});
        // A second one of these finds the first one's key, so it does no harm.
        let request = Request::post("/ssh_keys", body).harmless_to_repeat();
        match self.cloud.call::<OneKey>(&request).await {
            Ok(answer) => Ok(Some(answer.ssh_key.into())),
            Err(CallError::Refused(error)) if error.code == "uniqueness_error" => {
                self.find_key(fingerprint).await
            }
            Err(error) => Err(explain(&format!("store the SSH key `{name}`"), error)),
        }
    }

    async fn find_key(&self, fingerprint: &str) -> Result<Option<StoredKey>, ProviderError> {
        let keys: Vec<SshKey> = self
            .cloud
            .list("/ssh_keys", &[("fingerprint", fingerprint)], "ssh_keys")
            .await
            .map_err(|error| explain("look for the SSH key", error))?;
        Ok(keys.into_iter().find(|key| key.fingerprint == fingerprint).map(StoredKey::from))
    }
}

impl From<SshKey> for StoredKey {
    fn from(key: SshKey) -> Self {
        Self { id: key.id.to_string(), name: key.name }
    }
}

/// An id that Hetzner gave, as the number that it is.
pub(super) fn numeric(what: &str, id: &str) -> Result<u64, ProviderError> {
    id.parse().map_err(|error| ProviderError::Refused {
        code: "invalid_argument",
        message: format!("`{}` is no id of a Hetzner {what}: {error}", id.escape_debug()),
    })
}

/// The wanted name, and others that only this key has a reason to have.
fn names(wanted: &str, fingerprint: &str) -> [String; 3] {
    let hex = fingerprint.replace(':', "");
    let short: String = hex.chars().take(8).collect();
    [wanted.to_owned(), format!("{wanted}-{short}"), format!("{wanted}-{hex}")]
}
