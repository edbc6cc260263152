//! Secrets at rest: sealed with a key that stands in the host's home and nowhere else. What is
//! sealed under one name cannot be opened under another.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, Generate, Key, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What the first byte says: XChaCha20-Poly1305, then the key's id, the nonce, and the rest.
const VERSION: u8 = 1;
const ID_LENGTH: usize = 8;
const NONCE_LENGTH: usize = 24;

/// Seals and opens.
pub struct Vault {
    key: Zeroizing<[u8; 32]>,
    id: [u8; ID_LENGTH],
}

/// Why the vault does not do it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key's file cannot be read, or not be made.
    #[error("the key {} cannot be used", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The key's file holds something else.
    #[error("{} holds no key: 64 hex digits were expected; restore it from a backup", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Others on this machine can read the key.
    #[error(
        "others can read the key {} (mode {mode:03o}): run `chmod 600` on it, and consider its \
         secrets as known",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key is not the one it was sealed with.
    #[error(
        "`{name}` was sealed with another key ({found}, this host has {ours}): restore the `key` \
         file that belongs to this database"
    )]
    OtherKey {
        /// Of the secret.
        name: String,
        /// The id of the key it was sealed with.
        found: String,
        /// The id of ours.
        ours: String,
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
}

impl Vault {
    /// Opens the vault whose key stands in `home`; the first time the key is made.
    pub fn open(home: &Path) -> Result<Self, VaultError> {
        let path = home.join("key");
        let failed = |source| VaultError::Key { path: path.clone(), source };
        if !path.try_exists().map_err(failed)? {
            create_key(home, &path).map_err(failed)?;
        }
        let key = read_key(&path)?;
        let digest = Sha256::new().chain_update(b"windlass vault key").chain_update(key.as_slice());
        let mut id = [0; ID_LENGTH];
        id.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
        Ok(Self { key, id })
    }

    /// Seals a secret under its name. The same twice gives two different results.
    pub fn seal(&self, name: &str, plain: &[u8]) -> Vec<u8> {
        let nonce = XNonce::generate();
        let payload = Payload { msg: plain, aad: name.as_bytes() };
        // The cipher refuses only what is longer than 256 GiB: that opens as damaged.
        let sealed = self.cipher().encrypt(&nonce, payload).unwrap_or_default();
        [&[VERSION], &self.id[..], &nonce[..], &sealed].concat()
    }

    /// Opens what was sealed under this name.
    pub fn unseal(&self, name: &str, sealed: &[u8]) -> Result<SecretString, VaultError> {
        let damaged = || VaultError::Damaged { name: name.to_owned() };
        let (version, rest) = sealed.split_first().ok_or_else(damaged)?;
        if *version != VERSION {
            return Err(VaultError::NewerSeal { name: name.to_owned(), found: *version });
        }
        let (id, rest) = rest.split_first_chunk::<ID_LENGTH>().ok_or_else(damaged)?;
        if *id != self.id {
            let (found, ours) = (hex(id), hex(&self.id));
            return Err(VaultError::OtherKey { name: name.to_owned(), found, ours });
        }
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or_else(damaged)?;
        let payload = Payload { msg: rest, aad: name.as_bytes() };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        let plain = Zeroizing::new(plain.map_err(|_wrong| damaged())?);
        let text = std::str::from_utf8(&plain).map_err(|_binary| damaged())?;
        Ok(SecretString::from(text))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.key).into())
    }
}

/// Makes the key under another name and links it to its own: a key is there whole or not at all,
/// and the first of two hosts wins.
fn create_key(home: &Path, path: &Path) -> std::io::Result<()> {
    let key = Zeroizing::new(<[u8; 32]>::from(Key::<XChaCha20Poly1305>::generate()));
    let text = Zeroizing::new(format!("{}\n", hex(&*key)));
    let new = home.join(format!("key.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let linked = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&new, path));
    std::fs::remove_file(&new)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => std::fs::File::open(home)?.sync_all(),
    }
}

fn read_key(path: &Path) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    let failed = |source| VaultError::Key { path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(VaultError::Exposed { path: path.to_owned(), mode });
    }
    let text = Zeroizing::new(std::fs::read(path).map_err(failed)?);
    from_hex(text.trim_ascii()).ok_or_else(|| VaultError::NoKey { path: path.to_owned() })
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let pairs = text.chunks_exact(2);
    if text.len() != 2 * key.len() {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(pairs) {
        for &digit in pair {
            *byte = (*byte << 4) | u8::try_from(char::from(digit).to_digit(16)?).ok()?;
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn refusal<T>(result: Result<T, VaultError>) -> String {
        result.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_sealed_opens_again_after_a_restart_and_only_under_its_name() {
        let home = tempfile::tempdir().unwrap();
        let sealed = Vault::open(home.path()).unwrap().seal("a/token", b"s3cret");
        let vault = Vault::open(home.path()).unwrap();
        assert_eq!(vault.unseal("a/token", &sealed).unwrap().expose_secret(), "s3cret");
        assert!(refusal(vault.unseal("b/token", &sealed)).contains("another name"));
        assert_ne!(vault.seal("a/token", b"s3cret"), sealed);
        assert!(!sealed.windows(6).any(|part| part == b"s3cret"));
    }

    #[test]
    fn another_key_is_named_as_the_reason() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sealed = Vault::open(here.path()).unwrap().seal("a", b"x");
        let refused = refusal(Vault::open(there.path()).unwrap().unseal("a", &sealed));
        assert!(refused.contains("was sealed with another key"), "{refused}");
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let vault = Vault::open(home.path()).unwrap();
        let sealed = vault.seal("a", b"secret");
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(vault.unseal("a", &changed).is_err(), "byte {index}");
            assert!(vault.unseal("a", &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn the_key_is_private_and_a_public_or_broken_one_is_refused() {
        let home = tempfile::tempdir().unwrap();
        Vault::open(home.path()).unwrap();
        let path = home.path().join("key");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(refusal(Vault::open(home.path())).contains("others can read the key"));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(&path, "not a key").unwrap();
        assert!(refusal(Vault::open(home.path())).contains("holds no key"));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
