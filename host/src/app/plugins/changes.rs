//! What an admin does with plugins. Each is checked and carried out by the registrar; here it gets
//! its words, and its line in the audit log.

use serde_json::{Value, json};

use crate::app::access::Admin;
use crate::app::plugins::PluginDetail;
use crate::error::{Error, ErrorKind, sentence};
use crate::model::grants::GrantsWanted;
use crate::model::names::{Digest, Origin};
use crate::model::plugin::{Source, Standing};
use crate::plugins::plugin::PluginError;
use crate::plugins::registrar::{Offer, Receipt, Refusal};
use crate::storage::{self, AuditRecord};

/// A component that somebody sends.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The component.
    pub bytes: Vec<u8>,
    /// Where in a registry the sender fetched it.
    pub origin: Option<Origin>,
    /// Whether it gets what it wants beyond what its predecessor has.
    pub accept_grants: bool,
    /// Whether new jobs run it from now on.
    pub activate: bool,
    /// Whether it may take the place of one that came with the program.
    pub replace_built_in: bool,
}

/// What becomes of what a plugin may do.
#[derive(Clone, Debug)]
pub enum GrantsChange {
    /// A waiting version gets what it asks for.
    Accept(Digest),
    /// A waiting version is forgotten.
    Deny(Digest),
    /// Taken from every version, and from the jobs that run.
    Revoke(GrantsWanted),
    /// Given back.
    Restore(GrantsWanted),
}

/// What has changed.
#[derive(Clone, Debug)]
pub struct PluginChanged {
    /// As a sentence.
    pub message: String,
    /// The version that it is about.
    pub digest: Option<Digest>,
    /// How the plugin stands now; none when nothing is left of it.
    pub plugin: Option<PluginDetail>,
}

/// The end of every sentence about a switch.
const RUNNING: &str = "jobs that run keep the version they began with";

impl Admin {
    /// Adds a version of a plugin.
    pub async fn add_plugin(&self, upload: Upload) -> Result<PluginChanged, Error> {
        let Upload { bytes, origin, accept_grants, activate, replace_built_in } = upload;
        let source = if origin.is_some() { Source::Registry } else { Source::Upload };
        let (by, told) = (self.by.clone(), json!(origin));
        let offer = Offer { bytes, source, origin, by, accept_grants, activate, replace_built_in };
        let receipt = self.app.registrar.add(offer).await.map_err(refused)?;
        let Receipt { version, standing, .. } = &receipt;
        let detail = json!({ "version": version, "standing": standing, "origin": told });
        self.note_plugin("plugin.add", &receipt.name, &receipt.digest, detail).await?;
        let Receipt { name, version, .. } = &receipt;
        let message = match receipt.standing {
            Standing::Active => format!("`{name}` {version} is active; {RUNNING}."),
            _ => format!("`{name}` {version} is there and not active."),
        };
        self.changed(&receipt.name, Some(receipt.digest), message).await
    }

    /// Lets new jobs run this version.
    pub async fn activate_plugin(
        &self,
        name: &str,
        digest: &Digest,
    ) -> Result<PluginChanged, Error> {
        let receipt = self.app.registrar.activate(name, digest, &self.by).await.map_err(refused)?;
        self.switched("plugin.activate", receipt).await
    }

    /// Lets new jobs run the version before.
    pub async fn roll_back_plugin(&self, name: &str) -> Result<PluginChanged, Error> {
        let receipt = self.app.registrar.rollback(name, &self.by).await.map_err(refused)?;
        self.switched("plugin.rollback", receipt).await
    }

    /// Takes a plugin out of use for new jobs.
    pub async fn remove_plugin(&self, name: &str) -> Result<PluginChanged, Error> {
        let back = self.app.registrar.remove(name, &self.by).await.map_err(refused)?;
        let digest = back.as_ref().map(|back| back.digest.clone());
        self.note_plugin_as("plugin.remove", name, json!({ "back_to": digest })).await?;
        let message = match &back {
            Some(back) => {
                format!("`{name}` {} that came with windlass is back; {RUNNING}.", back.version)
            }
            None => format!("`{name}` is out of use for new jobs; {RUNNING}."),
        };
        self.changed(name, digest, message).await
    }

    /// Lets so many of a hundred new jobs run this version.
    pub async fn try_plugin(
        &self,
        name: &str,
        digest: &Digest,
        percent: u8,
    ) -> Result<PluginChanged, Error> {
        let registrar = &self.app.registrar;
        let receipt = registrar.try_out(name, digest, percent, &self.by).await.map_err(refused)?;
        if receipt.standing == Standing::Active {
            return self.switched("plugin.canary", receipt).await;
        }
        let detail = json!({ "percent": percent });
        self.note_plugin("plugin.canary", name, digest, detail).await?;
        let message = format!(
            "{percent} of 100 new jobs run `{name}` {}; it ends by itself when it does worse.",
            receipt.version
        );
        self.changed(name, Some(receipt.digest), message).await
    }

    /// Ends a trial.
    pub async fn end_plugin_trial(&self, name: &str) -> Result<PluginChanged, Error> {
        self.app.registrar.end_trial(name, &self.by).await.map_err(refused)?;
        self.note_plugin_as("plugin.canary.end", name, Value::Null).await?;
        let message = format!("All new jobs run the active version of `{name}` again.");
        self.changed(name, None, message).await
    }

    /// Changes what a plugin may do.
    pub async fn change_grants(
        &self,
        name: &str,
        change: GrantsChange,
    ) -> Result<PluginChanged, Error> {
        let registrar = &self.app.registrar;
        match change {
            GrantsChange::Accept(digest) => {
                let accepted = registrar.accept(name, &digest, &self.by).await;
                self.switched("plugin.grants.accept", accepted.map_err(refused)?).await
            }
            GrantsChange::Deny(digest) => {
                registrar.deny(name, &digest, &self.by).await.map_err(refused)?;
                self.note_plugin("plugin.grants.deny", name, &digest, Value::Null).await?;
                let message = format!("That version of `{name}` is forgotten.");
                self.changed(name, None, message).await
            }
            GrantsChange::Revoke(what) => {
                let left = registrar.revoke(name, &what, &self.by).await.map_err(refused)?;
                self.note_plugin_as("plugin.grants.revoke", name, json!(what)).await?;
                let message = format!(
                    "Taken from `{name}`, and from its jobs that run: {what}. It has left: {left}."
                );
                self.changed(name, None, message).await
            }
            GrantsChange::Restore(what) => {
                let has = registrar.restore(name, &what, &self.by).await.map_err(refused)?;
                self.note_plugin_as("plugin.grants.restore", name, json!(what)).await?;
                self.changed(name, None, format!("`{name}` has now: {has}.")).await
            }
        }
    }

    async fn switched(&self, action: &str, receipt: Receipt) -> Result<PluginChanged, Error> {
        let Receipt { name, version, digest, .. } = receipt;
        self.note_plugin(action, &name, &digest, json!({ "version": version })).await?;
        let message = format!("`{name}` {version} is active; {RUNNING}.");
        self.changed(&name, Some(digest), message).await
    }

    async fn changed(
        &self,
        name: &str,
        digest: Option<Digest>,
        message: String,
    ) -> Result<PluginChanged, Error> {
        let plugin = match self.app.plugin_detail(name).await {
            Ok(plugin) => Some(plugin),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(PluginChanged { message, digest, plugin })
    }

    async fn note_plugin(
        &self,
        action: &str,
        name: &str,
        digest: &Digest,
        detail: Value,
    ) -> Result<(), Error> {
        self.note_plugin_as(action, name, json!({ "digest": digest, "detail": detail })).await
    }

    async fn note_plugin_as(&self, action: &str, name: &str, detail: Value) -> Result<(), Error> {
        let record = AuditRecord {
            at: storage::now(),
            by: self.by.clone(),
            action: action.to_owned(),
            target: name.to_owned(),
            detail,
        };
        Ok(self.app.store.audit(record).await?)
    }
}

/// What a caller is told.
pub(super) fn refused(refusal: Refusal) -> Error {
    let message = sentence(&refusal.to_string());
    let error = |kind: ErrorKind, code: &'static str| Error::new(kind, code, message.clone());
    match refusal {
        Refusal::Storage(storage) => storage.into(),
        Refusal::Plugin(plugin) => refused_plugin(plugin),
        Refusal::GrantsNeeded { name, digest, more } => error(ErrorKind::Conflict, "grants_needed")
            .with_detail("plugin", name.clone())
            .with_detail("digest", digest.as_str())
            .with_detail("grants", json!(more))
            .with_next("POST /api/plugins?accept_grants=true")
            .with_next("windlass plugin add FILE --accept-grants")
            .with_next(format!("windlass plugin grants {name} --accept {digest}")),
        Refusal::BuiltInName { .. } => error(ErrorKind::Conflict, "built_in_name")
            .with_next("POST /api/plugins?replace_built_in=true")
            .with_next("windlass plugin add FILE --replace-built-in"),
        Refusal::NoSuchPlugin { .. } => error(ErrorKind::NotFound, "no_such_plugin")
            .with_next("GET /api/plugins")
            .with_next("windlass plugin list"),
        Refusal::NoSuchVersion { name, .. } => error(ErrorKind::NotFound, "no_such_version")
            .with_next(format!("GET /api/plugins/{name}"))
            .with_next(format!("windlass plugin show {name}")),
        Refusal::NotKept { .. } => error(ErrorKind::Conflict, "version_collected")
            .with_next("POST /api/plugins")
            .with_next("windlass plugin add FILE"),
        Refusal::NothingBefore { name } => error(ErrorKind::Conflict, "no_earlier_version")
            .with_next(format!("GET /api/plugins/{name}/history")),
        Refusal::IsBuiltIn { .. } => error(ErrorKind::Conflict, "built_in"),
        Refusal::IsActive { .. } => error(ErrorKind::Conflict, "already_active"),
        Refusal::NotPending { .. } => error(ErrorKind::Conflict, "not_pending"),
        Refusal::NoCanary { .. } => error(ErrorKind::Conflict, "no_canary"),
        Refusal::NoSuchGrant { .. } => error(ErrorKind::Invalid, "no_such_grant"),
        Refusal::BadShare { .. } => Error::invalid_field("/percent", message),
    }
}

fn refused_plugin(plugin: PluginError) -> Error {
    let message = sentence(&plugin.to_string());
    match plugin {
        PluginError::NotAComponent { .. } => {
            Error::new(ErrorKind::Invalid, "not_a_component", message)
        }
        PluginError::BadDescriptor { .. } => {
            Error::new(ErrorKind::Invalid, "bad_descriptor", message)
        }
        PluginError::DoesNotFit { .. } => Error::new(ErrorKind::Invalid, "does_not_fit", message),
        PluginError::TooCostly { .. } => Error::new(ErrorKind::Invalid, "too_costly", message),
        PluginError::File { .. } => {
            Error::new(ErrorKind::Unavailable, "plugin_file", message).caused_by(plugin)
        }
        PluginError::Twice { .. } | PluginError::Engine { .. } => Error::internal(plugin),
    }
}
