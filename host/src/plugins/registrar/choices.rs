//! Which version new jobs run: chosen, gone back from, tried, taken out of use.

use std::sync::Arc;

use tracing::{info, warn};

use crate::model::names::Digest;
use crate::model::plugin::{Canary, Cause, NewActivation, PluginVersion, Standing};
use crate::plugins::canary::{self, Verdict};
use crate::plugins::plugin::Plugin;
use crate::plugins::registrar::start::WINDLASS;
use crate::plugins::registrar::{Receipt, Refusal, Registrar, receipt};
use crate::storage;
use crate::storage::plugins::PluginChange;

/// How far back a version to go back to is looked for.
const LOOKED_AT: usize = 500;

impl Registrar {
    /// Lets new jobs run this version.
    ///
    /// # Errors
    /// When there is no such version, or it waits for an answer, or cannot be loaded.
    #[tracing::instrument(skip_all, fields(plugin = name, %digest, by = by))]
    pub async fn activate(
        &self,
        name: &str,
        digest: &Digest,
        by: &str,
    ) -> Result<Receipt, Refusal> {
        let _turn = self.turn().await;
        let (_, plugin) = self.loaded(name, digest).await?;
        let reason = format!("{by} chose {}", plugin.descriptor.version);
        self.switch(&plugin, Cause::Operator, by, reason).await
    }

    /// Lets new jobs run the version that was active before the present one was chosen.
    ///
    /// # Errors
    /// When there is none, or its bytes are gone.
    #[tracing::instrument(skip_all, fields(plugin = name, by = by))]
    pub async fn rollback(&self, name: &str, by: &str) -> Result<Receipt, Refusal> {
        let _turn = self.turn().await;
        let history = self.parts.store.activations(name, LOOKED_AT).await?;
        if history.is_empty() {
            return Err(Refusal::NoSuchPlugin { name: name.to_owned() });
        }
        // A rollback is no choice of its own: after one, the next goes further back.
        let choices = history.iter().map(|it| &it.entry);
        let mut choices = choices.filter(|it| !it.cause.is_way_back());
        let now = self.parts.catalog.active_named(name).map(|it| it.digest.clone());
        let chosen = choices.find(|it| it.digest == now);
        let before = chosen.and_then(|chosen| chosen.previous.clone());
        let before = before.ok_or_else(|| Refusal::NothingBefore { name: name.to_owned() })?;
        let (_, plugin) = self.loaded(name, &before).await?;
        let reason = format!("{by} went back to {}", plugin.descriptor.version);
        self.switch(&plugin, Cause::Rollback, by, reason).await
    }

    /// Takes a plugin out of use for new jobs; the one that came with the program, if there is one
    /// of this name, is back. Answers what is active then.
    ///
    /// # Errors
    /// When there is none, or it came with the program.
    #[tracing::instrument(skip_all, fields(plugin = name, by = by))]
    pub async fn remove(&self, name: &str, by: &str) -> Result<Option<Receipt>, Refusal> {
        let _turn = self.turn().await;
        let catalog = &self.parts.catalog;
        let pending = self.pending(name).await?;
        let active = catalog.active_named(name);
        if active.is_none() && pending.is_empty() && catalog.embedded(name).is_none() {
            return Err(Refusal::NoSuchPlugin { name: name.to_owned() });
        }
        if let Some(embedded) = catalog.embedded(name).cloned() {
            if active.is_some_and(|active| active.digest == embedded.digest) {
                return Err(Refusal::IsBuiltIn { name: name.to_owned() });
            }
            let reason = format!("{by} removed the one that had taken its place");
            return self.switch(&embedded, Cause::Removal, by, reason).await.map(Some);
        }
        let removal = NewActivation {
            name: name.to_owned(),
            digest: None,
            previous: active.map(|active| active.digest.clone()),
            cause: Cause::Removal,
            at: storage::now(),
            by: by.to_owned(),
            reason: format!("{by} took it out of use"),
        };
        let forget: Vec<Digest> = pending.into_iter().map(|it| it.digest).collect();
        let change = PluginChange {
            activations: vec![removal],
            forget: forget.clone(),
            ..PluginChange::default()
        };
        self.parts.store.change_plugins(change).await?;
        catalog.deactivate(name);
        self.drop_files(&forget).await?;
        info!("a plugin was taken out of use");
        Ok(None)
    }

    /// Lets so many of a hundred new jobs run this version; all of them at 100, and then it is the
    /// active one.
    ///
    /// # Errors
    /// When there is no such version, or it is active already, or the share is none.
    #[tracing::instrument(skip_all, fields(plugin = name, %digest, percent = percent, by = by))]
    pub async fn try_out(
        &self,
        name: &str,
        digest: &Digest,
        percent: u8,
        by: &str,
    ) -> Result<Receipt, Refusal> {
        let _turn = self.turn().await;
        if !(1..=100).contains(&percent) {
            return Err(Refusal::BadShare { percent });
        }
        let (_, plugin) = self.loaded(name, digest).await?;
        let active = self.parts.catalog.active_named(name);
        let active = active.ok_or_else(|| Refusal::NoSuchPlugin { name: name.to_owned() })?;
        if active.digest == *digest {
            return Err(Refusal::IsActive { name: name.to_owned(), digest: digest.clone() });
        }
        if percent == 100 {
            let reason = format!("{by} gave {} all new jobs", plugin.descriptor.version);
            return self.switch(&plugin, Cause::Operator, by, reason).await;
        }
        let since = storage::now();
        let canary = Canary { name: name.to_owned(), digest: digest.clone(), percent, since };
        let change = PluginChange { canary: Some(canary), ..PluginChange::default() };
        self.parts.store.change_plugins(change).await?;
        self.parts.catalog.end_trial(name);
        self.parts.catalog.try_out(&plugin, percent);
        Ok(receipt(&plugin, Standing::Canary))
    }

    /// Ends a trial: all new jobs run the active version again.
    ///
    /// # Errors
    /// When nothing is tried.
    #[tracing::instrument(skip_all, fields(plugin = name, by = by))]
    pub async fn end_trial(&self, name: &str, by: &str) -> Result<(), Refusal> {
        let _turn = self.turn().await;
        let canaries = self.parts.store.canaries().await?;
        let canary = canaries.into_iter().find(|canary| canary.name == name);
        let canary = canary.ok_or_else(|| Refusal::NoCanary { name: name.to_owned() })?;
        self.back_from(&canary, by, format!("{by} ended the trial")).await
    }

    /// Ends the trials that go worse than the active versions.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn judge(&self) -> Result<(), Refusal> {
        if !self.parts.catalog.has_trials() {
            return Ok(());
        }
        let store = &self.parts.store;
        for canary in store.canaries().await? {
            let Some(active) = self.parts.catalog.active_named(&canary.name) else { continue };
            let tried = store.tally(&canary.digest, canary.since).await?;
            let usual = store.tally(&active.digest, canary.since).await?;
            if let Verdict::Worse(why) = canary::judge(tried, usual) {
                let _turn = self.turn().await;
                warn!(plugin = canary.name, digest = %canary.digest, why, "a canary ended");
                self.back_from(&canary, WINDLASS, format!("the canary did worse: {why}")).await?;
            }
        }
        Ok(())
    }

    async fn back_from(&self, canary: &Canary, by: &str, reason: String) -> Result<(), Refusal> {
        let active = self.parts.catalog.active_named(&canary.name);
        let note = NewActivation {
            name: canary.name.clone(),
            digest: active.map(|active| active.digest.clone()),
            previous: Some(canary.digest.clone()),
            cause: Cause::Canary,
            at: storage::now(),
            by: by.to_owned(),
            reason,
        };
        let change = PluginChange { activations: vec![note], ..PluginChange::default() };
        self.parts.store.change_plugins(change).await?;
        self.parts.catalog.end_trial(&canary.name);
        Ok(())
    }

    /// A version that new jobs can run.
    pub(super) async fn loaded(
        &self,
        name: &str,
        digest: &Digest,
    ) -> Result<(PluginVersion, Arc<Plugin>), Refusal> {
        let (name, digest) = (name.to_owned(), digest.clone());
        let version = self.parts.store.plugin_version(&digest).await?;
        let Some(version) = version.filter(|version| version.name == name) else {
            return Err(Refusal::NoSuchVersion { name, digest });
        };
        if version.accepted.is_none() {
            let more = version.wanted;
            return Err(Refusal::GrantsNeeded { name, digest, more: Box::new(more) });
        }
        let Some(plugin) = self.parts.catalog.find(&digest).await? else {
            return Err(Refusal::NotKept { name, digest });
        };
        plugin.prepared(&self.parts.engine).await?;
        Ok((version, plugin))
    }

    /// One row, one pointer.
    async fn switch(
        &self,
        to: &Arc<Plugin>,
        cause: Cause,
        by: &str,
        reason: String,
    ) -> Result<Receipt, Refusal> {
        let embedded = self.parts.catalog.embedded(&to.descriptor.name);
        let is_embedded = embedded.is_some_and(|embedded| embedded.digest == to.digest);
        // Whoever goes to the one of the program goes on with the next program's.
        let cause = match cause {
            _ if !is_embedded => cause,
            Cause::Operator => Cause::BuiltIn,
            _ => Cause::Return,
        };
        let activation = self.activation(to, cause, by, reason);
        let change = PluginChange { activations: vec![activation], ..PluginChange::default() };
        self.parts.store.change_plugins(change).await?;
        self.parts.catalog.activate(to);
        info!(plugin = to.descriptor.name, digest = %to.digest, "a plugin was activated");
        Ok(receipt(to, Standing::Active))
    }
}
