//! Which plugin provides which operation now, which is tried, and every version by its digest: those
//! in use in memory, the others on disk until somebody needs them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};

use crate::model::grants::GrantsWanted;
use crate::model::names::{Digest, JobId, OperationName};
use crate::model::plugin::{PluginVersion, Source};
use crate::plugins::depot::Depot;
use crate::plugins::embedded;
use crate::plugins::plugin::{Plugin, PluginError};
use crate::storage::plugins::PluginChange;
use crate::storage::{self, StorageError, Store};

/// The loaded plugins. Many read it, and one replaces it whole.
pub struct Catalog {
    listing: ArcSwap<Listing>,
    /// Those that came with the program, by name.
    built_in: BTreeMap<String, Arc<Plugin>>,
    /// Whatever somebody holds.
    loaded: Mutex<HashMap<Digest, Weak<Plugin>>>,
    /// The rest; none in tests that need no more than memory.
    archive: Option<Archive>,
}

/// Versions that are not in memory.
struct Archive {
    depot: Depot,
    store: Arc<dyn Store>,
    /// Those that are known to be on disk.
    kept: Mutex<BTreeSet<Digest>>,
}

#[derive(Clone, Default)]
struct Listing {
    active: BTreeMap<OperationName, Arc<Plugin>>,
    tried: BTreeMap<OperationName, Tried>,
}

/// A version that some of the new jobs run.
#[derive(Clone)]
struct Tried {
    plugin: Arc<Plugin>,
    percent: u8,
}

/// Why a version could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Its file, or what is in it.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// What is recorded of it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Catalog {
    /// A catalogue of the plugins that the build embedded.
    ///
    /// # Errors
    /// When one of them cannot be read, which the build's tests would have shown.
    pub fn built_in() -> Result<Self, PluginError> {
        let mut listing = Listing::default();
        let mut built_in = BTreeMap::new();
        for content in embedded::components() {
            let plugin = Arc::new(Plugin::read(content)?);
            let name = plugin.descriptor.name.clone();
            listing.add(&plugin);
            if built_in.insert(name.clone(), plugin).is_some() {
                return Err(PluginError::Twice { name });
            }
        }
        Ok(Self {
            listing: ArcSwap::from_pointee(listing),
            built_in,
            loaded: Mutex::default(),
            archive: None,
        })
    }

    /// The same, with all versions that are kept in this depot.
    #[must_use]
    pub fn with_archive(self, depot: Depot, store: Arc<dyn Store>) -> Self {
        Self { archive: Some(Archive { depot, store, kept: Mutex::default() }), ..self }
    }

    /// Loads the components of a folder and makes each the active one of its operations.
    ///
    /// # Errors
    /// When one of them cannot be read; the message says which.
    pub fn load_folder(&self, folder: &Path) -> Result<(), PluginError> {
        let unreadable = |path: &Path, reason: &dyn std::fmt::Display| PluginError::File {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
            paths.push(entry.map_err(|error| unreadable(folder, &error))?.path());
        }
        // Of two that provide the same, the last by name counts, whatever the disk's order is.
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|it| it == "wasm")) {
            let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
            let plugin = Plugin::read(bytes).map_err(|error| unreadable(path, &error))?;
            plugin.check_schemas().map_err(|error| unreadable(path, &error))?;
            self.activate(&Arc::new(plugin));
        }
        Ok(())
    }

    /// The plugin that new jobs of this operation run, but for those that try another.
    pub fn active(&self, operation: &OperationName) -> Option<Arc<Plugin>> {
        self.listing.load().active.get(operation).cloned()
    }

    /// The plugin that this new job runs: the active one, or the one that is tried. The same job
    /// gets the same answer as long as nothing changes.
    pub fn for_job(&self, operation: &OperationName, job: &JobId) -> Option<Arc<Plugin>> {
        let listing = self.listing.load();
        let tried = listing.tried.get(operation).filter(|tried| share(job) < tried.percent);
        tried.map(|tried| &tried.plugin).or_else(|| listing.active.get(operation)).cloned()
    }

    /// The plugin with these bytes, if it is in memory.
    pub fn by_digest(&self, digest: &Digest) -> Option<Arc<Plugin>> {
        let built_in = self.built_in.values().find(|plugin| plugin.digest == *digest);
        built_in.cloned().or_else(|| self.loaded().get(digest).and_then(Weak::upgrade))
    }

    /// The plugin with these bytes, from memory or disk. None when nobody kept it.
    ///
    /// # Errors
    /// When the disk or the database cannot be read.
    pub async fn find(&self, digest: &Digest) -> Result<Option<Arc<Plugin>>, CatalogError> {
        if let Some(plugin) = self.by_digest(digest) {
            return Ok(Some(plugin));
        }
        let Some(archive) = &self.archive else { return Ok(None) };
        let (depot, wanted) = (archive.depot.clone(), digest.clone());
        let read = move || depot.read(&wanted)?.map(Plugin::read).transpose();
        let read = tokio::task::spawn_blocking(read).await;
        let read = read.map_err(|error| PluginError::Engine { reason: error.to_string() })??;
        let Some(plugin) = read else { return Ok(None) };
        plugin.allowed().set(archive.accepted(digest).await?);
        let plugin = self.share(Arc::new(plugin));
        // Once more, now that it can be found: what was revoked in between would not have reached it.
        plugin.allowed().set(archive.accepted(digest).await?);
        Ok(Some(plugin))
    }

    /// The active plugins, by operation.
    pub fn all(&self) -> Vec<Arc<Plugin>> {
        let listing = self.listing.load();
        let first = |(operation, plugin): (&OperationName, &Arc<Plugin>)| {
            (plugin.operations.first() == Some(operation)).then(|| Arc::clone(plugin))
        };
        listing.active.iter().filter_map(first).collect()
    }

    /// The plugin of this name that is active.
    pub fn active_named(&self, name: &str) -> Option<Arc<Plugin>> {
        let listing = self.listing.load();
        listing.active.values().find(|plugin| plugin.descriptor.name == name).cloned()
    }

    /// The plugin of this name that came with the program.
    pub fn embedded(&self, name: &str) -> Option<&Arc<Plugin>> {
        self.built_in.get(name)
    }

    /// All plugins that came with the program, by name.
    pub fn all_embedded(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.built_in.values()
    }

    /// Makes a plugin the active one of its operations, for all jobs that start from now on.
    pub fn activate(&self, plugin: &Arc<Plugin>) {
        let plugin = self.share(Arc::clone(plugin));
        self.listing.rcu(|listing| {
            let mut next = listing.as_ref().clone();
            next.without(&plugin.descriptor.name);
            next.add(&plugin);
            next
        });
    }

    /// Takes a plugin out of use for new jobs. Those that began with it go on.
    pub fn deactivate(&self, name: &str) {
        self.listing.rcu(|listing| {
            let mut next = listing.as_ref().clone();
            next.without(name);
            next
        });
    }

    /// Lets so many of a hundred new jobs run this version.
    pub fn try_out(&self, plugin: &Arc<Plugin>, percent: u8) {
        let plugin = self.share(Arc::clone(plugin));
        self.listing.rcu(|listing| {
            let mut next = listing.as_ref().clone();
            for operation in &plugin.operations {
                let tried = Tried { plugin: Arc::clone(&plugin), percent };
                next.tried.insert(operation.clone(), tried);
            }
            next
        });
    }

    /// Lets all new jobs run the active version again.
    pub fn end_trial(&self, name: &str) {
        self.listing.rcu(|listing| {
            let mut next = listing.as_ref().clone();
            next.tried.retain(|_, tried| tried.plugin.descriptor.name != name);
            next
        });
    }

    /// Whether any version is tried.
    pub fn has_trials(&self) -> bool {
        !self.listing.load().tried.is_empty()
    }

    /// What somebody holds now.
    pub fn in_use(&self) -> Vec<Digest> {
        let mut loaded = self.loaded();
        loaded.retain(|_, plugin| plugin.strong_count() > 0);
        loaded.keys().chain(self.built_in.values().map(|plugin| &plugin.digest)).cloned().collect()
    }

    /// Sees that the bytes are on disk before a job depends on them: the next program may bring
    /// others.
    ///
    /// # Errors
    /// When the disk or the database does not take them.
    pub async fn keep(&self, plugin: &Arc<Plugin>) -> Result<(), CatalogError> {
        let Some(archive) = &self.archive else { return Ok(()) };
        if archive.kept().contains(&plugin.digest) {
            return Ok(());
        }
        let (depot, kept) = (archive.depot.clone(), Arc::clone(plugin));
        let put = tokio::task::spawn_blocking(move || depot.put(&kept.digest, &kept.bytes())).await;
        put.map_err(|error| PluginError::Engine { reason: error.to_string() })??;
        let mut change = PluginChange::default();
        if archive.store.plugin_version(&plugin.digest).await?.is_some() {
            change.kept.push(plugin.digest.clone());
        } else {
            let is_embedded = self.is_embedded(plugin);
            let source = if is_embedded { Source::BuiltIn } else { Source::Directory };
            let version = record_of(plugin, source, "windlass");
            change.versions.push(PluginVersion { is_kept: true, ..version });
        }
        archive.store.change_plugins(change).await?;
        self.note_kept(&plugin.digest);
        Ok(())
    }

    /// The bytes of this version are on disk.
    pub fn note_kept(&self, digest: &Digest) {
        if let Some(archive) = &self.archive {
            archive.kept().insert(digest.clone());
        }
    }

    /// They are not any more.
    pub fn note_gone(&self, digest: &Digest) {
        if let Some(archive) = &self.archive {
            archive.kept().remove(digest);
        }
    }

    fn is_embedded(&self, plugin: &Plugin) -> bool {
        let embedded = self.embedded(&plugin.descriptor.name);
        embedded.is_some_and(|embedded| embedded.digest == plugin.digest)
    }

    /// One plugin for all who want these bytes, so that there is one place to say what it may.
    fn share(&self, plugin: Arc<Plugin>) -> Arc<Plugin> {
        if self.is_embedded(&plugin) {
            return self.embedded(&plugin.descriptor.name).cloned().unwrap_or(plugin);
        }
        let mut loaded = self.loaded();
        if let Some(known) = loaded.get(&plugin.digest).and_then(Weak::upgrade) {
            return known;
        }
        loaded.retain(|_, plugin| plugin.strong_count() > 0);
        loaded.insert(plugin.digest.clone(), Arc::downgrade(&plugin));
        plugin
    }

    fn loaded(&self) -> MutexGuard<'_, HashMap<Digest, Weak<Plugin>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Archive {
    async fn accepted(&self, digest: &Digest) -> Result<GrantsWanted, StorageError> {
        let version = self.store.plugin_version(digest).await?;
        Ok(version.and_then(|version| version.accepted).unwrap_or_default())
    }

    fn kept(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listing {
    fn add(&mut self, plugin: &Arc<Plugin>) {
        for operation in &plugin.operations {
            self.active.insert(operation.clone(), Arc::clone(plugin));
        }
    }

    fn without(&mut self, name: &str) {
        self.active.retain(|_, plugin| plugin.descriptor.name != name);
        self.tried.retain(|_, tried| tried.plugin.descriptor.name != name);
    }
}

/// What is recorded of a version that has all it wants, and is nowhere but in memory.
pub(super) fn record_of(plugin: &Plugin, source: Source, by: &str) -> PluginVersion {
    PluginVersion {
        digest: plugin.digest.clone(),
        name: plugin.descriptor.name.clone(),
        version: plugin.descriptor.version.to_string(),
        source,
        origin: None,
        size: u64::try_from(plugin.size()).unwrap_or(u64::MAX),
        added_at: storage::now(),
        added_by: by.to_owned(),
        wanted: plugin.descriptor.grants.clone(),
        accepted: Some(plugin.descriptor.grants.clone()),
        is_kept: false,
    }
}

/// A job's place among a hundred, the same whenever it is asked for.
fn share(job: &JobId) -> u8 {
    let hash = Sha256::digest(job.as_str().as_bytes());
    let number = hash.iter().take(4).fold(0_u32, |sum, &byte| (sum << 8) | u32::from(byte));
    u8::try_from(number % 100).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn jobs_fall_evenly_on_a_hundred_places() {
        let job = |n: u32| JobId::new(Timestamp::UNIX_EPOCH, n);
        let below = (0..10_000).filter(|&n| share(&job(n)) < 10).count();
        assert!((900..1_100).contains(&below), "{below} of 10000 jobs");
        assert!((0..10_000).all(|n| share(&job(n)) < 100));
    }
}
