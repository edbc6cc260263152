//! Key pairs: made by the host, their private halves sealed in the store.

use std::sync::Arc;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKeyBase64};
use secrecy::{ExposeSecret, SecretString};

use crate::model::failure::Failure;
use crate::model::job::Lease;
use crate::model::names::ServerName;
use crate::providers::Boot;
use crate::storage::Store;
use crate::vault::Vault;

/// An ed25519 key pair. Its private half is shown by nothing but [`KeyPair::private_pem`].
#[derive(Clone)]
pub struct KeyPair(Arc<PrivateKey>);

impl KeyPair {
    /// A new one.
    pub fn generate() -> Result<Self, KeyError> {
        let made = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
        made.map(|key| Self(Arc::new(key))).map_err(KeyError::Generate)
    }

    /// Reads the private half in OpenSSH's format, without a passphrase.
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        let key = PrivateKey::from_openssh(pem.expose_secret()).map_err(KeyError::Read)?;
        if key.is_encrypted() {
            return Err(KeyError::Passphrase);
        }
        Ok(Self(Arc::new(key)))
    }

    /// The private half as PEM in OpenSSH's format.
    pub fn private_pem(&self) -> Result<SecretString, KeyError> {
        let pem = self.0.to_openssh(LineEnding::LF).map_err(KeyError::Write)?;
        Ok(SecretString::from(pem.as_str().to_owned()))
    }

    /// The public half as one line in OpenSSH's notation, without comment: `ssh-ed25519 AAAA…`.
    pub fn public_line(&self) -> String {
        format!("{} {}", self.0.algorithm(), self.0.public_key_base64())
    }

    /// `SHA256:…` of the public half.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// What signs a login.
    pub(super) fn signer(&self) -> Arc<PrivateKey> {
        self.0.clone()
    }
}

/// Why there is no key pair.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A new one could not be made.
    #[error("could not make a key pair")]
    Generate(#[source] russh::keys::ssh_key::Error),
    /// It is no private key in OpenSSH's format.
    #[error("could not read the private key")]
    Read(#[source] russh::keys::ssh_key::Error),
    /// It could not be put into OpenSSH's format.
    #[error("could not write the private key")]
    Write(#[source] russh::keys::ssh_key::Error),
    /// Nobody is there to type a passphrase.
    #[error("the private key has a passphrase")]
    Passphrase,
}

/// The server's key pair of this purpose (`ssh_key` to log in, `host_key` to be known by): the one
/// that is kept, or a new one that is kept from now on, on disk, if the job with this lease may
/// still write.
pub async fn ensure(
    store: &Arc<dyn Store>,
    vault: &Vault,
    lease: &Lease,
    (server, purpose): (&ServerName, &str),
) -> Result<KeyPair, Failure> {
    if let Some(pair) = stored(store, vault, server, purpose).await? {
        return Ok(pair);
    }
    let name = secret_name(server, purpose);
    let broken = |error: KeyError| Failure::safe("internal", chain(&error));
    let pem = KeyPair::generate().and_then(|pair| pair.private_pem()).map_err(broken)?;
    let sealed = vault.seal(&name, pem.expose_secret().as_bytes());
    // Somebody else may have been faster: the pair that is kept counts.
    let kept = store.add_secret(lease, &name, &sealed).await;
    let kept = kept.map_err(|error| unread(&name, &error))?;
    // Its public half is sent away next: a power cut may not lose the private one then.
    let settled = store.append_durable(lease, Vec::new()).await;
    settled.map_err(|error| unread(&name, &error))?;
    opened(vault, &name, &kept)
}

/// The server's key pair of this purpose, if one is kept.
pub async fn stored(
    store: &Arc<dyn Store>,
    vault: &Vault,
    server: &ServerName,
    purpose: &str,
) -> Result<Option<KeyPair>, Failure> {
    let name = secret_name(server, purpose);
    let sealed = store.secret(&name).await.map_err(|error| unread(&name, &error))?;
    sealed.map(|sealed| opened(vault, &name, &sealed)).transpose()
}

/// What a machine has to know from its first boot on: the server's key pairs.
pub async fn boot(
    store: &Arc<dyn Store>,
    vault: &Vault,
    lease: &Lease,
    server: &ServerName,
) -> Result<Boot, Failure> {
    let login = ensure(store, vault, lease, (server, "ssh_key")).await?;
    let host = ensure(store, vault, lease, (server, "host_key")).await?;
    let host_key = host.private_pem();
    Ok(Boot {
        authorized_key: login.public_line(),
        host_key: host_key.map_err(|error| Failure::safe("internal", chain(&error)))?,
        host_key_public: host.public_line(),
    })
}

fn secret_name(server: &ServerName, purpose: &str) -> String {
    format!("server/{server}/{purpose}")
}

fn opened(vault: &Vault, name: &str, sealed: &[u8]) -> Result<KeyPair, Failure> {
    let pem = vault.unseal(name, sealed).map_err(|error| unread(name, &error))?;
    KeyPair::from_pem(&pem).map_err(|error| unread(name, &error))
}

fn unread(name: &str, error: &dyn std::error::Error) -> Failure {
    let message = format!("the host's secret `{name}` cannot be read: {}", chain(error));
    Failure::safe("unavailable", message)
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
