//! A key made of a passphrase: Argon2id, with the salt and the costs in a file beside the database.

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::vault::key::{Key, LENGTH};
use crate::vault::{VaultError, files};

/// The fewest characters of a passphrase.
const SHORTEST: usize = 8;
/// What RFC 9106 recommends where memory is not plenty: 64 MiB, three passes, four lanes.
const COSTS: Costs = Costs { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
/// What a file may ask for at most: 1 GiB.
const MOST: Costs = Costs { memory_kib: 1024 * 1024, passes: 64, lanes: 64 };

/// How a passphrase becomes a key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    algorithm: Name,
    salt: String,
    #[serde(flatten)]
    costs: Costs,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Name {
    #[serde(rename = "argon2id-19")]
    Argon2id,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Costs {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Recipe {
    /// One with a salt of its own.
    pub(super) fn new() -> Self {
        let salt = format!("{:032x}", rand::random::<u128>());
        Self { algorithm: Name::Argon2id, salt, costs: COSTS }
    }

    /// Reads one; none when there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, VaultError> {
        let Some(text) = files::read(path)? else { return Ok(None) };
        let unusable = |reason: String| VaultError::Recipe { path: path.to_owned(), reason };
        let recipe: Self =
            serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
        let Costs { memory_kib, passes, lanes } = recipe.costs;
        if memory_kib > MOST.memory_kib || passes > MOST.passes || lanes > MOST.lanes {
            return Err(unusable("it asks for more than 1 GiB, 64 passes or 64 lanes".to_owned()));
        }
        Ok(Some(recipe))
    }

    /// Writes it.
    pub(super) fn write(&self, home: &Path, name: &str) -> Result<(), VaultError> {
        let unusable = |error: serde_json::Error| VaultError::Recipe {
            path: home.join(name),
            reason: error.to_string(),
        };
        files::write(home, name, &serde_json::to_vec(self).map_err(unusable)?)
    }

    /// The key of this passphrase. It takes its time, off the runtime's threads.
    pub(super) async fn key(&self, passphrase: &SecretString) -> Result<Key, VaultError> {
        if passphrase.expose_secret().chars().count() < SHORTEST {
            return Err(VaultError::ShortPassphrase { shortest: SHORTEST });
        }
        let (recipe, passphrase) = (self.clone(), passphrase.clone());
        let derived = tokio::task::spawn_blocking(move || recipe.derive(&passphrase)).await;
        derived
            .unwrap_or_else(|_stopped| Err("it was cut off".to_owned()))
            .map_err(|reason| VaultError::Derive { reason })
    }

    fn derive(&self, passphrase: &SecretString) -> Result<Key, String> {
        let Costs { memory_kib, passes, lanes } = self.costs;
        let words = |error: argon2::Error| error.to_string();
        let params = Params::new(memory_kib, passes, lanes, Some(LENGTH)).map_err(words)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut bytes = Zeroizing::new([0; LENGTH]);
        argon2
            .hash_password_into(
                passphrase.expose_secret().as_bytes(),
                self.salt.as_bytes(),
                &mut bytes[..],
            )
            .map_err(words)?;
        Ok(Key::from_bytes(bytes))
    }
}
