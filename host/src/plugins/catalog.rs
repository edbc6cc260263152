//! Which plugin provides which operation now, and every loaded one by its digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::model::names::{Digest, OperationName};
use crate::plugins::embedded;
use crate::plugins::plugin::{Plugin, PluginError};

/// The loaded plugins. Many read it, and one replaces it whole.
pub struct Catalog {
    listing: ArcSwap<Listing>,
}

#[derive(Default)]
struct Listing {
    active: BTreeMap<OperationName, Arc<Plugin>>,
    by_digest: BTreeMap<Digest, Arc<Plugin>>,
}

impl Catalog {
    /// A catalogue of the plugins that the build embedded.
    ///
    /// # Errors
    /// When one of them cannot be read, which the build's tests would have shown.
    pub fn built_in() -> Result<Self, PluginError> {
        let mut listing = Listing::default();
        for bytes in embedded::components() {
            let plugin = Arc::new(Plugin::read(bytes.to_vec())?);
            let name = plugin.descriptor.name.clone();
            listing.by_digest.insert(plugin.digest.clone(), Arc::clone(&plugin));
            if listing.active.insert(plugin.operation.clone(), plugin).is_some() {
                return Err(PluginError::Twice { name });
            }
        }
        Ok(Self { listing: ArcSwap::from_pointee(listing) })
    }

    /// The plugin that new jobs of this operation run.
    pub fn active(&self, operation: &OperationName) -> Option<Arc<Plugin>> {
        self.listing.load().active.get(operation).cloned()
    }

    /// The plugin with these bytes, active or not.
    pub fn by_digest(&self, digest: &Digest) -> Option<Arc<Plugin>> {
        self.listing.load().by_digest.get(digest).cloned()
    }

    /// The active plugins, by operation.
    pub fn all(&self) -> Vec<Arc<Plugin>> {
        self.listing.load().active.values().cloned().collect()
    }

    /// Loads one more and makes it the active one of its operation.
    pub fn activate(&self, plugin: &Arc<Plugin>) {
        self.listing.rcu(|listing| {
            let mut next =
                Listing { active: listing.active.clone(), by_digest: listing.by_digest.clone() };
            next.by_digest.insert(plugin.digest.clone(), Arc::clone(plugin));
            next.active.insert(plugin.operation.clone(), Arc::clone(plugin));
            next
        });
    }
}
