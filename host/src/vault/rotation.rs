//! A new key for everything that is sealed. The new key is on disk before anything is sealed with
//! it, everything is sealed with it in one transaction, and then it takes the old one's place: the
//! next start finds one of the two keys to be the right one wherever this was cut off.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::storage::{Sealed, Store};
use crate::vault::key::{Key, KeyId};
use crate::vault::source::{self, KEY_FILE, NEXT_KEY_FILE, NEXT_RECIPE_FILE, RECIPE_FILE, Source};
use crate::vault::{Vault, VaultError, files};

/// A rotation in hand, in one state.
pub struct Rotation<S> {
    home: PathBuf,
    store: Arc<dyn Store>,
    to: Source,
    state: S,
}

/// State: the new key is on disk, and nothing is sealed with it.
pub struct Prepared {
    old: Vault,
    new: Vault,
}

/// State: everything is sealed with the new key, which is not in its place yet.
pub struct Resealed {
    rotated: Rotated,
}

/// What a rotation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The key that is worthless now.
    pub old: KeyId,
    /// The key from now on.
    pub new: KeyId,
    /// How many values are sealed with it.
    pub values: usize,
}

impl Rotation<Prepared> {
    /// Opens the vault with its key of today, and writes the new one beside it.
    pub async fn prepare(
        home: &Path,
        store: &Arc<dyn Store>,
        from: &Source,
        to: Source,
    ) -> Result<Self, VaultError> {
        let old = Vault::open(home, from, store).await?;
        let new: Key = source::renew(home, &to, NEXT_KEY_FILE, NEXT_RECIPE_FILE).await?;
        if new.id() == old.key_id() {
            return Err(VaultError::SameKey);
        }
        let state = Prepared { old, new: Vault::new(new) };
        Ok(Self { home: home.to_owned(), store: Arc::clone(store), to, state })
    }

    /// Seals everything with the new key, all of it or nothing.
    pub async fn reseal(self) -> Result<Rotation<Resealed>, VaultError> {
        let Self { home, store, to, state: Prepared { old, new } } = self;
        let mut sealed = store.sealed().await?;
        for Sealed { place, bytes } in &mut sealed {
            let name = place.name();
            let plain = old.unseal(&name, bytes)?;
            *bytes = new.seal(&name, plain.expose_secret().as_bytes());
        }
        let values = sealed.len();
        store.reseal(sealed).await?;
        let rotated = Rotated { old: old.key_id(), new: new.key_id(), values };
        Ok(Rotation { home, store, to, state: Resealed { rotated } })
    }
}

impl Rotation<Resealed> {
    /// Puts the new key in the old one's place, and removes what the old one left.
    pub fn finish(self) -> Result<Rotated, VaultError> {
        let home = &self.home;
        match self.to {
            Source::File => {
                files::rename(home, NEXT_KEY_FILE, KEY_FILE)?;
                files::remove(home, RECIPE_FILE)?;
            }
            Source::Passphrase(_) => {
                files::rename(home, NEXT_RECIPE_FILE, RECIPE_FILE)?;
                files::remove(home, KEY_FILE)?;
            }
            Source::Given(_) => {
                files::remove(home, KEY_FILE)?;
                files::remove(home, RECIPE_FILE)?;
            }
        }
        Ok(self.state.rotated)
    }
}
