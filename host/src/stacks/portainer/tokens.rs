//! What Portainers gave out at sign-in, each for its own server. More than ten sign-ins within a
//! second lock an address out for an hour, so jobs share what there is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

use crate::model::server::Server;

/// Sign-ins by server.
#[derive(Default)]
pub struct Tokens(Mutex<BTreeMap<String, Arc<Token>>>);

/// The sign-in at one server's Portainer. Held while somebody signs in, so that only one does.
pub type Token = tokio::sync::Mutex<Option<SecretString>>;

impl Tokens {
    /// The one of this server. Another machine under the same name has another host key, and gets
    /// nothing that was meant for the first.
    pub fn of(&self, server: &Server) -> Arc<Token> {
        let key = server.ssh.host_key_fingerprint.as_deref().unwrap_or_default();
        let key = format!("{} {key}", server.name);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(kept.entry(key).or_default())
    }
}

/// Whether both are the same sign-in.
pub(super) fn is_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}
