//! One SSH connection to one server, made when it is needed and made anew when it broke. Only the
//! pinned host key is spoken to.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use russh::client::{self, AuthResult, Handle, Msg};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelOpenFailure, Disconnect};
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::debug;

use crate::ssh::SshError;
use crate::ssh::keys::KeyPair;

/// How long a connection may take until it takes commands.
const CONNECT: Duration = Duration::from_secs(10);
/// After so long without a word the server is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Where a server is, and how the host gets into it.
#[derive(Clone)]
pub struct Access {
    /// Whom to log in as.
    pub user: String,
    /// Its address.
    pub address: String,
    /// Where its sshd listens.
    pub port: u16,
    /// The private key, as PEM in OpenSSH's format.
    pub key: SecretString,
    /// The only host key that is spoken to: `SHA256:…`.
    pub host_key_fingerprint: String,
}

/// A connection that is made when it is needed.
pub(super) struct Connection {
    access: Access,
    key: KeyPair,
    config: Arc<client::Config>,
    live: Mutex<Option<Arc<Handle<Pinned>>>>,
}

impl Connection {
    /// Nothing is connected yet.
    pub(super) fn new(access: Access) -> Result<Self, SshError> {
        let key = KeyPair::from_pem(&access.key).map_err(|error| SshError::LoginRefused {
            target: target(&access),
            reason: format!("{error}: this host's own copy of the key is damaged"),
        })?;
        let config = client::Config {
            keepalive_interval: Some(KEEPALIVE),
            keepalive_max: 2,
            nodelay: true,
            ..client::Config::default()
        };
        Ok(Self { access, key, config: Arc::new(config), live: Mutex::default() })
    }

    /// `user@address:port`.
    pub(super) fn target(&self) -> String {
        target(&self.access)
    }

    /// Nobody answers, or not any more.
    pub(super) fn unreachable(&self, reason: impl Into<String>) -> SshError {
        SshError::Unreachable { target: self.target(), reason: reason.into() }
    }

    /// A channel for one command. A connection that turns out to be dead before anything was sent
    /// is replaced once.
    pub(super) async fn channel(&self) -> Result<Channel<Msg>, SshError> {
        self.open(&Wanted::Command).await
    }

    /// A connection that the server makes to this address and port, seen from there.
    pub(super) async fn tunnel(&self, address: &str, port: u16) -> Result<Channel<Msg>, SshError> {
        self.open(&Wanted::Tunnel { address, port }).await
    }

    async fn open(&self, wanted: &Wanted<'_>) -> Result<Channel<Msg>, SshError> {
        let mut live = self.live.lock().await;
        if let Some(handle) = live.as_ref().filter(|handle| !handle.is_closed()) {
            match wanted.of(handle).await {
                Ok(channel) => return Ok(channel),
                Err(russh::Error::ChannelOpenFailure(reason)) if wanted.is_tunnel() => {
                    return Err(wanted.refused(&reason));
                }
                Err(error) => debug!(target = self.target(), %error, "the connection is gone"),
            }
        }
        *live = None;
        let handle = Arc::new(self.connect().await?);
        let opened = wanted.of(&handle).await;
        *live = Some(handle);
        opened.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(reason) if wanted.is_tunnel() => {
                wanted.refused(&reason)
            }
            other => self.unreachable(other.to_string()),
        })
    }

    /// Says good-bye, so that the server need not wait for a time-out.
    pub(super) async fn close(&self) {
        if let Some(handle) = self.live.lock().await.take()
            && let Err(error) = handle.disconnect(Disconnect::ByApplication, "", "").await
        {
            debug!(target = self.target(), %error, "the connection was gone already");
        }
    }

    async fn connect(&self) -> Result<Handle<Pinned>, SshError> {
        let too_long = |_| self.unreachable(format!("no answer within {} s", CONNECT.as_secs()));
        timeout(CONNECT, self.logged_in()).await.map_err(too_long)?
    }

    async fn logged_in(&self) -> Result<Handle<Pinned>, SshError> {
        let shown = Arc::new(OnceLock::new());
        let expected = self.access.host_key_fingerprint.clone();
        let pinned = Pinned { expected: expected.clone(), shown: shown.clone() };
        let place = (self.access.address.as_str(), self.access.port);
        let mut handle = client::connect(self.config.clone(), place, pinned).await.map_err(
            |error| match shown.get().filter(|found| **found != expected) {
                Some(found) => SshError::HostKeyMismatch {
                    target: self.target(),
                    found: found.clone(),
                    expected,
                },
                None => self.unreachable(words(&error)),
            },
        )?;
        let key = PrivateKeyWithHashAlg::new(self.key.signer(), None);
        let answer = handle.authenticate_publickey(self.access.user.as_str(), key).await;
        match answer.map_err(|error| self.unreachable(words(&error)))? {
            AuthResult::Success => return Ok(handle),
            // The library's word for a connection that ended meanwhile: a server that refuses says
            // how else one may log in.
            AuthResult::Failure { remaining_methods, .. } if remaining_methods.is_empty() => {
                return Err(self.unreachable("the connection was cut while logging in"));
            }
            AuthResult::Failure { .. } => {}
        }
        let reason = format!("{} may not log in with {}", self.access.user, self.key.fingerprint());
        Err(SshError::LoginRefused { target: self.target(), reason })
    }
}

/// What a channel is for.
enum Wanted<'a> {
    Command,
    Tunnel { address: &'a str, port: u16 },
}

impl Wanted<'_> {
    async fn of(&self, handle: &Handle<Pinned>) -> Result<Channel<Msg>, russh::Error> {
        match *self {
            Self::Command => handle.channel_open_session().await,
            Self::Tunnel { address, port } => {
                let port = u32::from(port);
                handle.channel_open_direct_tcpip(address, port, "127.0.0.1", 0).await
            }
        }
    }

    const fn is_tunnel(&self) -> bool {
        matches!(self, Self::Tunnel { .. })
    }

    /// The server is there and does not make the connection.
    fn refused(&self, reason: &ChannelOpenFailure) -> SshError {
        let place = match self {
            Self::Command => "a shell".to_owned(),
            Self::Tunnel { address, port } => format!("{address}:{port}"),
        };
        let message = match reason {
            ChannelOpenFailure::AdministrativelyProhibited => format!(
                "the server's sshd makes no connection to {place} for this host: set \
                 `AllowTcpForwarding yes` in its sshd_config"
            ),
            _ => format!("the server cannot connect to {place}: nobody answers there"),
        };
        SshError::Refused { message }
    }
}

/// Knows the server by its host key.
struct Pinned {
    expected: String,
    shown: Arc<OnceLock<String>>,
}

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let found = key.fingerprint(HashAlg::Sha256).to_string();
        let known = found == self.expected;
        self.shown.get_or_init(|| found);
        Ok(known)
    }
}

fn target(access: &Access) -> String {
    format!("{}@{}:{}", access.user, access.address, access.port)
}

fn words(error: &russh::Error) -> String {
    match error {
        russh::Error::IO(error) => error.to_string(),
        russh::Error::Disconnect | russh::Error::HUP => {
            "the server closed the connection".to_owned()
        }
        other => other.to_string(),
    }
}
