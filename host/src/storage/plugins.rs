//! What is kept about plugins: a part of [`Store`](crate::storage::Store) in a trait of its own. Their
//! bytes are files of the home.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::grants::GrantsWanted;
use crate::model::names::Digest;
use crate::model::plugin::{Activation, Canary, NewActivation, PluginVersion, Tally};
use crate::storage::StorageError;

/// Versions of plugins, which was active when, and which is being tried.
#[async_trait]
pub trait PluginStore {
    /// Writes all of this or nothing, durably. An activation ends its plugin's canary.
    async fn change_plugins(&self, change: PluginChange) -> Result<(), StorageError>;

    /// Every version that was ever there, by name, oldest first.
    async fn plugin_versions(&self) -> Result<Vec<PluginVersion>, StorageError>;

    /// The version with these bytes, or none.
    async fn plugin_version(&self, digest: &Digest) -> Result<Option<PluginVersion>, StorageError>;

    /// The last activation of each plugin, by name. The end of a trial is none: the active version
    /// stays.
    async fn active_plugins(&self) -> Result<Vec<Activation>, StorageError>;

    /// What was active when, newest first.
    async fn activations(&self, name: &str, limit: usize) -> Result<Vec<Activation>, StorageError>;

    /// The versions that are being tried.
    async fn canaries(&self) -> Result<Vec<Canary>, StorageError>;

    /// How the newest thousand jobs of a version ended, as far as they began since.
    async fn tally(&self, digest: &Digest, since: Timestamp) -> Result<Tally, StorageError>;

    /// Forgets the bytes of versions that nobody needs any more, durably, and answers which.
    async fn collect_plugins(&self, rules: CollectRules) -> Result<Vec<Digest>, StorageError>;
}

/// What one transaction writes.
#[derive(Clone, Debug, Default)]
pub struct PluginChange {
    /// Versions; one that is known is replaced.
    pub versions: Vec<PluginVersion>,
    /// Known versions whose bytes are in the home from now on.
    pub kept: Vec<Digest>,
    /// What is accepted of known versions from now on.
    pub accepted: Vec<(Digest, GrantsWanted)>,
    /// What becomes active, or is taken out of use.
    pub activations: Vec<NewActivation>,
    /// A version that is tried from now on.
    pub canary: Option<Canary>,
    /// The plugin whose trial ends.
    pub end_canary: Option<String>,
    /// Versions that are forgotten altogether.
    pub forget: Vec<Digest>,
}

/// Which versions somebody may still need.
#[derive(Clone, Debug)]
pub struct CollectRules {
    /// Those that are in use in this process.
    pub in_use: Vec<Digest>,
    /// So many activations of each plugin can be gone back to.
    pub recent: u32,
    /// What was never active is kept if it came after this.
    pub fresh_since: Timestamp,
}
