//! What plugins are allowed: asked for, accepted, denied, taken away while their jobs run.

use tracing::info;

use crate::model::grants::GrantsWanted;
use crate::model::names::Digest;
use crate::model::plugin::{Cause, PluginVersion, Standing};
use crate::plugins::registrar::{Receipt, Refusal, Registrar, blocking, receipt};
use crate::storage::plugins::PluginChange;

impl Registrar {
    /// Lets a waiting version have what it asks for, and new jobs run it.
    ///
    /// # Errors
    /// When it does not wait, or cannot be loaded.
    #[tracing::instrument(skip_all, fields(plugin = name, %digest, by = by))]
    pub async fn accept(&self, name: &str, digest: &Digest, by: &str) -> Result<Receipt, Refusal> {
        let _turn = self.turn().await;
        let version = self.waiting(name, digest).await?;
        let (name, digest) = (name.to_owned(), digest.clone());
        let Some(plugin) = self.parts.catalog.find(&digest).await? else {
            return Err(Refusal::NotKept { name, digest });
        };
        plugin.prepared(&self.parts.engine).await?;
        let reason = format!("{by} accepted what {} asks for", version.version);
        let activation = self.activation(&plugin, Cause::Directory, by, reason);
        let change = PluginChange {
            accepted: vec![(digest, version.wanted.clone())],
            activations: vec![activation],
            ..PluginChange::default()
        };
        self.parts.store.change_plugins(change).await?;
        self.allow(&plugin, version.wanted);
        self.parts.catalog.activate(&plugin);
        Ok(receipt(&plugin, Standing::Active))
    }

    /// Forgets a waiting version.
    ///
    /// # Errors
    /// When it does not wait.
    #[tracing::instrument(skip_all, fields(plugin = name, %digest, by = by))]
    pub async fn deny(&self, name: &str, digest: &Digest, by: &str) -> Result<(), Refusal> {
        let _turn = self.turn().await;
        let version = self.waiting(name, digest).await?;
        let forget = vec![version.digest];
        let change = PluginChange { forget: forget.clone(), ..PluginChange::default() };
        self.parts.store.change_plugins(change).await?;
        info!("a plugin that waited was denied what it asks for");
        self.drop_files(&forget).await
    }

    /// Takes grants away from every version of a plugin. Jobs that run are refused them from their
    /// next call on. Answers what the active version has left.
    ///
    /// # Errors
    /// When it has none of them.
    #[tracing::instrument(skip_all, fields(plugin = name, by = by))]
    pub async fn revoke(
        &self,
        name: &str,
        what: &GrantsWanted,
        by: &str,
    ) -> Result<GrantsWanted, Refusal> {
        let _turn = self.turn().await;
        let versions = self.versions(name).await?;
        let has = versions.iter().filter_map(|it| it.accepted.as_ref());
        let has = has.fold(GrantsWanted::default(), |all, accepted| all.with(accepted));
        if has.within(what).is_empty() {
            let (name, named) = (name.to_owned(), what.clone());
            let (named, there) = (Box::new(named), Box::new(has));
            return Err(Refusal::NoSuchGrant { name, named, whose: "has", there });
        }
        self.change_all(name, &versions, |version, accepted| {
            // What a version does not ask for it does not have.
            accepted.beyond(what).within(&version.wanted)
        })
        .await
    }

    /// Gives back what was revoked.
    ///
    /// # Errors
    /// When no version asks for it that does not have it.
    #[tracing::instrument(skip_all, fields(plugin = name, by = by))]
    pub async fn restore(
        &self,
        name: &str,
        what: &GrantsWanted,
        by: &str,
    ) -> Result<GrantsWanted, Refusal> {
        let _turn = self.turn().await;
        let versions = self.versions(name).await?;
        let lacks = versions.iter().filter_map(|it| Some(it.wanted.beyond(it.accepted.as_ref()?)));
        let lacks = lacks.fold(GrantsWanted::default(), |all, lacking| all.with(&lacking));
        if lacks.within(what).is_empty() {
            let (name, named) = (name.to_owned(), what.clone());
            let whose = "asks for and does not have";
            let (named, there) = (Box::new(named), Box::new(lacks));
            return Err(Refusal::NoSuchGrant { name, named, whose, there });
        }
        self.change_all(name, &versions, |version, accepted| {
            accepted.with(&version.wanted.within(what))
        })
        .await
    }

    /// Disk first, then those in memory: whoever is told that it is so can rely on it.
    async fn change_all(
        &self,
        name: &str,
        versions: &[PluginVersion],
        changed: impl Fn(&PluginVersion, &GrantsWanted) -> GrantsWanted,
    ) -> Result<GrantsWanted, Refusal> {
        let accepted: Vec<(Digest, GrantsWanted)> = versions
            .iter()
            .filter_map(|it| Some((it.digest.clone(), changed(it, it.accepted.as_ref()?))))
            .collect();
        let change = PluginChange { accepted: accepted.clone(), ..PluginChange::default() };
        self.parts.store.change_plugins(change).await?;
        for (digest, accepted) in accepted {
            if let Some(plugin) = self.parts.catalog.by_digest(&digest) {
                plugin.allowed().set(accepted);
            }
        }
        info!("what a plugin may do has changed");
        let active = self.parts.catalog.active_named(name);
        Ok(active.map(|active| (*active.allowed().now()).clone()).unwrap_or_default())
    }

    async fn waiting(&self, name: &str, digest: &Digest) -> Result<PluginVersion, Refusal> {
        let version = self.parts.store.plugin_version(digest).await?;
        let (name, digest) = (name.to_owned(), digest.clone());
        match version.filter(|version| version.name == name) {
            Some(version) if version.accepted.is_none() => Ok(version),
            Some(_) => Err(Refusal::NotPending { name, digest }),
            None => Err(Refusal::NoSuchVersion { name, digest }),
        }
    }

    pub(super) async fn pending(&self, name: &str) -> Result<Vec<PluginVersion>, Refusal> {
        let mut versions = self.parts.store.plugin_versions().await?;
        versions.retain(|version| version.name == name && version.accepted.is_none());
        Ok(versions)
    }

    /// Removes the bytes of versions that are not on record any more.
    pub(super) async fn drop_files(&self, digests: &[Digest]) -> Result<(), Refusal> {
        for digest in digests {
            self.parts.catalog.note_gone(digest);
            let (depot, gone) = (self.parts.depot.clone(), digest.clone());
            blocking(move || depot.remove(&gone)).await?;
        }
        Ok(())
    }

    async fn versions(&self, name: &str) -> Result<Vec<PluginVersion>, Refusal> {
        let mut versions = self.parts.store.plugin_versions().await?;
        versions.retain(|version| version.name == name);
        if versions.is_empty() {
            return Err(Refusal::NoSuchPlugin { name: name.to_owned() });
        }
        Ok(versions)
    }
}
