//! Secrets at rest, sealed with a key that stands in the host's home, is given to it, or is made of
//! a passphrase. What is sealed under one name cannot be opened under another.

mod files;
pub mod key;
pub mod masks;
mod passphrase;
pub mod rotation;
pub mod source;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::storage::{StorageError, Store};
use crate::vault::key::{ID_LENGTH, Key, KeyId};
use crate::vault::source::Source;

/// What the first byte says: XChaCha20-Poly1305, then the key's id, the nonce, and the rest.
const VERSION: u8 = 1;
const NONCE_LENGTH: usize = 24;
/// The name of the value by which the store knows its key.
const CHECK: &str = "vault/check";
/// That value. It is no secret.
const CHECKED: &str = "windlass";

/// Seals and opens.
pub struct Vault {
    key: Key,
}

/// Why the vault does not do it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A file of the vault's cannot be read, or not be written.
    #[error("{} cannot be used: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The key's file holds something else.
    #[error("{} holds no key: 64 hex digits were expected; restore it from a backup", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key that was given is none.
    #[error(
        "this is no key: give 32 random bytes as 64 hex digits (`openssl rand -hex 32`) or in base64"
    )]
    BadKey,
    /// Others on this machine can read the key.
    #[error(
        "others can read {} (mode {mode:03o}): run `chmod 600` on it, and consider the secrets of \
         this host as known",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// What says how the passphrase becomes a key says something else.
    #[error("{} does not say how the passphrase becomes a key: {reason}; restore it from a backup", path.display())]
    Recipe {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The passphrase can be guessed.
    #[error("the passphrase has fewer than {shortest} characters: use a longer one")]
    ShortPassphrase {
        /// How many it has at least.
        shortest: usize,
    },
    /// No key could be made of the passphrase.
    #[error("no key could be made of the passphrase: {reason}")]
    Derive {
        /// Why.
        reason: String,
    },
    /// None of the keys at hand is the store's.
    #[error(
        "the secrets of this home are sealed with the key {wanted}, and this host was given \
         another one; tried: {tried}. Start it with the key that belongs to this database, or \
         restore that key from a backup"
    )]
    WrongKey {
        /// The key that is needed.
        wanted: KeyId,
        /// The sources, and what each gave.
        tried: String,
    },
    /// What is sealed is sealed with more than one key.
    #[error(
        "some secrets of this home are sealed with the key {one} and some with {other}: the \
         database was put together from two; restore a backup of it"
    )]
    Mixed {
        /// A key.
        one: KeyId,
        /// Another one.
        other: KeyId,
    },
    /// The new key is the old one.
    #[error("the new key is the one of today: give another one")]
    SameKey,
    /// The key is not the one it was sealed with.
    #[error(
        "`{name}` was sealed with another key ({found}, this host has {ours}): restore the `key` \
         file that belongs to this database"
    )]
    OtherKey {
        /// Of the secret.
        name: String,
        /// The key it was sealed with.
        found: KeyId,
        /// Ours.
        ours: KeyId,
    },
    /// It is not what was sealed under this name.
    #[error("what is kept as `{name}` is damaged, or was sealed under another name")]
    Damaged {
        /// Of the secret.
        name: String,
    },
    /// A newer host sealed it.
    #[error("`{name}` was sealed by a newer windlass (version {found} of the seal)")]
    NewerSeal {
        /// Of the secret.
        name: String,
        /// What the first byte says.
        found: u8,
    },
    /// The store does not give what is sealed, or does not take it.
    #[error(transparent)]
    Store(#[from] StorageError),
}

impl Vault {
    /// Opens the vault of this home, whose store was sealed with a key from `source`; for a new
    /// store the key is made. A rotation that was cut off is finished or undone.
    pub async fn open(
        home: &Path,
        source: &Source,
        store: &Arc<dyn Store>,
    ) -> Result<Self, VaultError> {
        source::open(home, source, store).await
    }

    /// The vault with this key.
    const fn new(key: Key) -> Self {
        Self { key }
    }

    /// Its key's id, which a rotation changes.
    pub const fn key_id(&self) -> KeyId {
        self.key.id()
    }

    /// Seals a secret under its name. The same twice gives two different results.
    pub fn seal(&self, name: &str, plain: &[u8]) -> Vec<u8> {
        let nonce = XNonce::generate();
        let payload = Payload { msg: plain, aad: name.as_bytes() };
        // The cipher refuses only what is longer than 256 GiB: that opens as damaged.
        let sealed = self.cipher().encrypt(&nonce, payload).unwrap_or_default();
        [&[VERSION], &self.key.id().0[..], &nonce[..], &sealed].concat()
    }

    /// Opens what was sealed under this name.
    pub fn unseal(&self, name: &str, sealed: &[u8]) -> Result<SecretString, VaultError> {
        let damaged = || VaultError::Damaged { name: name.to_owned() };
        let found = Self::key_of(name, sealed)?;
        if found != self.key.id() {
            let (name, ours) = (name.to_owned(), self.key.id());
            return Err(VaultError::OtherKey { name, found, ours });
        }
        let rest = sealed.get(1 + ID_LENGTH..).ok_or_else(damaged)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or_else(damaged)?;
        let payload = Payload { msg: rest, aad: name.as_bytes() };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        let plain = Zeroizing::new(plain.map_err(|_wrong| damaged())?);
        let text = std::str::from_utf8(&plain).map_err(|_binary| damaged())?;
        Ok(SecretString::from(text))
    }

    /// The key that a value says it was sealed with.
    fn key_of(name: &str, sealed: &[u8]) -> Result<KeyId, VaultError> {
        let damaged = || VaultError::Damaged { name: name.to_owned() };
        let (version, rest) = sealed.split_first().ok_or_else(damaged)?;
        if *version != VERSION {
            return Err(VaultError::NewerSeal { name: name.to_owned(), found: *version });
        }
        rest.first_chunk::<ID_LENGTH>().map(|id| KeyId(*id)).ok_or_else(damaged)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.key.bytes().into())
    }
}

#[cfg(test)]
mod tests;
