//! What a job's plugin may do. Asked in one place, for every effect.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::model::dns::DnsName;
use crate::model::failure::Failure;
use crate::model::grants::GrantsWanted;
use crate::model::names::{AppName, ServerName};
use crate::model::secret::{Reference, SecretName};
use crate::stacks::StackName;

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
    allowed: Arc<Allowed>,
    server: Option<ServerName>,
    app: Option<AppScope>,
}

/// What is accepted now of what a plugin wants: one for all its runs, so that what is revoked is
/// refused from their next effect on.
#[derive(Debug, Default)]
pub struct Allowed(ArcSwap<GrantsWanted>);

impl Allowed {
    /// This, until somebody says otherwise.
    pub fn new(accepted: GrantsWanted) -> Self {
        Self(ArcSwap::from_pointee(accepted))
    }

    /// From now on this.
    pub fn set(&self, accepted: GrantsWanted) {
        self.0.store(Arc::new(accepted));
    }

    /// What is accepted now.
    pub fn now(&self) -> Arc<GrantsWanted> {
        self.0.load_full()
    }
}

/// What the jobs of an app are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppScope {
    /// The app, and its stack.
    pub name: AppName,
    /// The names that it may have.
    pub names: Vec<DnsName>,
    /// Whether the job was told to remove the app's data.
    pub delete_data: bool,
}

impl Grants {
    /// What a plugin is allowed, for a job on one server.
    pub const fn new(allowed: Arc<Allowed>, server: Option<ServerName>) -> Self {
        Self { allowed, server, app: None }
    }

    /// The same, for a job about this app and nothing else.
    #[must_use]
    pub fn for_app(self, app: AppScope) -> Self {
        Self { app: Some(app), ..self }
    }

    /// The app that the job is about; none for a job that is about a server as a whole.
    pub const fn app(&self) -> Option<&AppScope> {
        self.app.as_ref()
    }

    /// What the plugin's stacks may do beyond the policy for all.
    pub fn stack(&self) -> Vec<String> {
        self.allowed.now().stack.clone()
    }

    /// Whether the record of the job's server may be changed.
    ///
    /// # Errors
    /// `access_denied` when the job is about an app on it.
    pub fn check_whole_server(&self) -> Result<(), Failure> {
        match &self.app {
            Some(app) => Err(denied(format!(
                "this job is about the app `{}`, and may not change its server's record",
                app.name
            ))),
            None => Ok(()),
        }
    }

    /// Whether the record of this server may be read: by a job about an app, only its own server's.
    pub fn shows_server(&self, name: &ServerName) -> bool {
        self.app.is_none() || self.server.as_ref() == Some(name)
    }

    /// Where it may send HTTP requests.
    pub fn http_hosts(&self) -> Vec<String> {
        self.allowed.now().http_hosts.clone()
    }

    /// Whether this stack may be touched. A job about a server may touch any.
    ///
    /// # Errors
    /// `access_denied` when the job is about an app whose stack this is not.
    pub fn check_stack(&self, name: &StackName) -> Result<(), Failure> {
        match &self.app {
            Some(app) if app.name.as_str() != name.as_str() => Err(denied(format!(
                "this job is about the app `{0}` and may touch its stack `{0}` only, not `{name}`",
                app.name
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the record of this app may be changed.
    ///
    /// # Errors
    /// `access_denied` when the job is not about it.
    pub fn check_app(&self, name: &AppName) -> Result<(), Failure> {
        match &self.app {
            Some(app) if app.name == *name => Ok(()),
            _ => {
                Err(denied(format!("this job is not about the app `{name}` and may not touch it")))
            }
        }
    }

    /// Whether this name may be changed. A job about a server may change any: its operator gave the
    /// host the zone for that.
    ///
    /// # Errors
    /// `access_denied` when the job is about an app whose name this is not.
    pub fn check_name(&self, name: &DnsName) -> Result<(), Failure> {
        match &self.app {
            Some(app) if !app.names.contains(name) => {
                let own: Vec<&str> = app.names.iter().map(DnsName::as_str).collect();
                let own = if own.is_empty() { "none".to_owned() } else { own.join(", ") };
                Err(denied(format!(
                    "`{name}` is no name of the app `{}`, whose names are: {own}",
                    app.name
                )))
            }
            Some(_) | None => Ok(()),
        }
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
        // What its operator configured an app with is there for the app, and so are the passwords
        // of its databases, which the host makes.
        let is_own = self.app.as_ref().is_some_and(|app| {
            let rest = name.strip_prefix(app.name.as_str());
            rest.is_some_and(|it| it.starts_with("/config-") || it.starts_with("/database-"))
        });
        if is_own || self.allowed.now().secrets.iter().any(covers) {
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
        if !self.allowed.now().interfaces.iter().any(|granted| granted == needed.interface) {
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
