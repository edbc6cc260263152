//! What a job's plugin may do. Asked in one place, for every effect.

use std::collections::BTreeSet;

use crate::model::failure::Failure;
use crate::model::grants::GrantsWanted;
use crate::model::names::ServerName;
use crate::model::secret::{Reference, SecretName};

/// What an effect needs to be allowed.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The interface of the contract.
    pub interface: &'static str,
    /// The server it works on, where it works on one.
    pub server: Option<&'a str>,
}

/// What was granted.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    interfaces: BTreeSet<String>,
    secrets: Vec<String>,
    server: Option<ServerName>,
}

impl Grants {
    /// What a plugin wants, for a job on one server.
    pub fn new(wanted: &GrantsWanted, server: Option<ServerName>) -> Self {
        let interfaces = wanted.interfaces.iter().cloned().collect();
        Self { interfaces, secrets: wanted.secrets.clone(), server }
    }

    /// Whether this secret of the job's server may be made and used.
    ///
    /// # Errors
    /// `access_denied` when it is not listed, by its name or as `prefix/*`.
    pub fn check_secret(&self, name: &SecretName) -> Result<(), Failure> {
        let name = name.as_str();
        let covers = |granted: &String| match granted.strip_suffix('*') {
            Some(prefix) => prefix.ends_with('/') && name.starts_with(prefix),
            None => granted == name,
        };
        if self.secrets.iter().any(covers) {
            return Ok(());
        }
        Err(denied(format!(
            "this plugin has no grant for the secret `{name}`: add it to `grants.secrets` of its \
             descriptor and have it accepted"
        )))
    }

    /// Whether the value of this secret may be put somewhere.
    ///
    /// # Errors
    /// `access_denied` when it is another server's, or not listed.
    pub fn check_reference(&self, reference: &Reference) -> Result<(), Failure> {
        if self.server.as_ref() != Some(&reference.server) {
            return Err(denied(format!(
                "`{reference}` is a secret of a server that this job is not about"
            )));
        }
        self.check_secret(&reference.name)
    }

    /// Whether this may be done.
    ///
    /// # Errors
    /// `access_denied`, with what is missing.
    pub fn check(&self, needed: &Grant<'_>) -> Result<(), Failure> {
        if !self.interfaces.contains(needed.interface) {
            return Err(denied(format!(
                "this plugin has no grant for `{}`: add it to `grants.interfaces` of its \
                 descriptor and have it accepted",
                needed.interface
            )));
        }
        match needed.server {
            Some(name) if self.server.as_ref().is_none_or(|own| own.as_str() != name) => {
                let shown: String = name.chars().take(70).collect();
                let shown = shown.escape_debug();
                Err(denied(format!("this job is not about server `{shown}` and may not touch it")))
            }
            _ => Ok(()),
        }
    }
}

fn denied(message: String) -> Failure {
    Failure::unsafe_to_retry("access_denied", message)
}
