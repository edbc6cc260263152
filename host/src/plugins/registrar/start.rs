//! The start: what is on record becomes what is in memory, and what a crash left is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tracing::info;

use crate::model::names::Digest;
use crate::model::plugin::{Activation, Cause, NewActivation, PluginVersion, Source};
use crate::plugins::catalog::record_of;
use crate::plugins::plugin::Plugin;
use crate::plugins::registrar::{Parts, Refusal, Registrar, blocking};
use crate::storage;
use crate::storage::plugins::PluginChange;

/// Who acts when no person does.
pub(super) const WINDLASS: &str = "windlass";

impl Registrar {
    /// Takes up what is on record.
    ///
    /// # Errors
    /// When the disk or the database fails. A version that cannot be loaded is no error: it is
    /// listed with its reason, and its plugin is out of use.
    pub async fn open(parts: Parts) -> Result<Self, Refusal> {
        let registrar = Self { parts, turn: Mutex::new(()), rejected: ArcSwap::default() };
        let versions = registrar.parts.store.plugin_versions().await?;
        let versions: BTreeMap<Digest, PluginVersion> =
            versions.into_iter().map(|version| (version.digest.clone(), version)).collect();
        registrar.sweep(&versions).await?;
        let active = registrar.parts.store.active_plugins().await?;
        let active: BTreeMap<String, Activation> =
            active.into_iter().map(|last| (last.entry.name.clone(), last)).collect();
        registrar.take_built_in(&versions, &active).await?;
        for last in active.values() {
            registrar.take_active(&last.entry).await?;
        }
        for canary in registrar.parts.store.canaries().await? {
            if let Some(plugin) = registrar.parts.catalog.find(&canary.digest).await? {
                registrar.parts.catalog.try_out(&plugin, canary.percent);
            }
        }
        Ok(registrar)
    }

    async fn sweep(&self, versions: &BTreeMap<Digest, PluginVersion>) -> Result<(), Refusal> {
        let kept = versions.values().filter(|version| version.is_kept);
        let kept: BTreeSet<Digest> = kept.map(|version| version.digest.clone()).collect();
        for digest in &kept {
            self.parts.catalog.note_kept(digest);
        }
        let depot = self.parts.depot.clone();
        Ok(blocking(move || depot.sweep(&kept)).await?)
    }

    /// Records what came with this program, and activates it where the active version came with an
    /// earlier one and nobody chose otherwise.
    async fn take_built_in(
        &self,
        versions: &BTreeMap<Digest, PluginVersion>,
        active: &BTreeMap<String, Activation>,
    ) -> Result<(), Refusal> {
        let mut change = PluginChange::default();
        for plugin in self.parts.catalog.all_embedded() {
            let last = active.get(&plugin.descriptor.name).map(|last| &last.entry);
            let before = last.and_then(|last| last.digest.as_ref());
            let known = versions.get(&plugin.digest);
            let version = known.cloned().unwrap_or_else(|| {
                inheriting(plugin, before.and_then(|before| versions.get(before)))
            });
            plugin.allowed().set(version.accepted.clone().unwrap_or_default());
            if known.is_none() {
                change.versions.push(version);
            }
            let follows = last.is_none_or(|last| last.cause.follows_program());
            if follows && before != Some(&plugin.digest) {
                change.activations.push(came_with_program(plugin, before));
            }
        }
        if !change.versions.is_empty() || !change.activations.is_empty() {
            self.parts.store.change_plugins(change).await?;
        }
        Ok(())
    }

    async fn take_active(&self, last: &NewActivation) -> Result<(), Refusal> {
        let catalog = &self.parts.catalog;
        let follows = last.cause.follows_program() && catalog.embedded(&last.name).is_some();
        if follows {
            return Ok(());
        }
        let Some(digest) = &last.digest else {
            catalog.deactivate(&last.name);
            return Ok(());
        };
        match catalog.find(digest).await {
            Ok(Some(plugin)) => catalog.activate(&plugin),
            Ok(None) if last.cause.follows_program() => {
                info!(plugin = last.name, "this program does not bring this plugin any more");
            }
            lost => {
                let why = lost.err().map_or_else(|| "is lost".to_owned(), |e| e.to_string());
                self.reject(
                    digest.as_str(),
                    format!(
                        "The active version of `{}` {why}: add it again, roll back, or remove it.",
                        last.name
                    ),
                );
                catalog.deactivate(&last.name);
            }
        }
        Ok(())
    }
}

/// A version that came with the program. What was revoked from the one before stays revoked.
fn inheriting(plugin: &Arc<Plugin>, before: Option<&PluginVersion>) -> PluginVersion {
    let version = record_of(plugin, Source::BuiltIn, WINDLASS);
    let Some((before, accepted)) = before.and_then(|it| Some((it, it.accepted.as_ref()?))) else {
        return version;
    };
    let revoked = before.wanted.beyond(accepted);
    let accepted = Some(version.wanted.beyond(&revoked));
    PluginVersion { accepted, ..version }
}

fn came_with_program(plugin: &Plugin, previous: Option<&Digest>) -> NewActivation {
    NewActivation {
        name: plugin.descriptor.name.clone(),
        digest: Some(plugin.digest.clone()),
        previous: previous.cloned(),
        cause: Cause::BuiltIn,
        at: storage::now(),
        by: WINDLASS.to_owned(),
        reason: format!("came with windlass {}", env!("CARGO_PKG_VERSION")),
    }
}
