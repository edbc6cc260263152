//! Which operations this host can run, by which versions of plugins, and since when.

mod changes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

pub use changes::{GrantsChange, PluginChanged, Upload};

pub use crate::plugins::compile::Allowance;

use crate::app::App;
use crate::app::access::Reader;
use crate::app::home;
use crate::config::Config;
use crate::effects::boundary::Boundaries;
use crate::error::{Error, ErrorKind, sentence};
use crate::model::grants::GrantsWanted;
use crate::model::names::{Digest, Origin};
use crate::model::plugin::{Activation, Canary, PluginVersion, Rejected, Source, Standing};
use crate::plugins::catalog::Catalog;
use crate::plugins::compile;
use crate::plugins::depot::Depot;
use crate::plugins::engine::Engine;
use crate::plugins::plugin::Plugin;
use crate::plugins::registrar::{Parts, Registrar};
use crate::storage::Store;

/// The watched directory, in the home.
const FOLDER: &str = "plugins";
/// Where the bytes of versions are, in the watched directory.
const STORE: &str = "store";

/// A loaded plugin.
#[derive(Clone, Debug)]
pub struct PluginInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its bytes.
    pub digest: String,
    /// What it can run.
    pub operation: String,
    /// All that it can run.
    pub operations: Vec<String>,
    /// What it is, in one line.
    pub title: String,
    /// What it does.
    pub description: String,
    /// What it asks of the host.
    pub grants: Value,
    /// The steps that it reports.
    pub steps: Vec<String>,
    /// JSON Schema of its parameters.
    pub params: Value,
}

/// All that there is to say about the plugins as a whole.
#[derive(Clone, Debug)]
pub struct PluginOverview {
    /// The active ones, by name, with how each came here.
    pub active: Vec<(PluginInfo, Source, Option<Origin>)>,
    /// Versions that some of the new jobs try.
    pub canaries: Vec<Canary>,
    /// Versions that wait until somebody accepts what they ask for.
    pub pending: Vec<PluginVersion>,
    /// Files of the watched directory that are of no use.
    pub rejected: Vec<Rejected>,
}

/// All that there is to say about one plugin.
#[derive(Clone, Debug)]
pub struct PluginDetail {
    /// Its name.
    pub name: String,
    /// The active version; none when it is out of use.
    pub active: Option<PluginInfo>,
    /// What the active version may do now.
    pub accepted: GrantsWanted,
    /// The version that some of the new jobs try.
    pub canary: Option<Canary>,
    /// Every version that was ever there, newest first.
    pub versions: Vec<(PluginVersion, Standing)>,
}

impl Reader {
    /// The plugins that are active, by name.
    pub fn plugins(&self) -> Vec<PluginInfo> {
        let mut plugins: Vec<PluginInfo> =
            self.app.catalog.all().iter().map(|plugin| info_of(plugin)).collect();
        plugins.sort_by(|a, b| a.name.cmp(&b.name));
        plugins
    }

    /// All that there is to say about the plugins as a whole.
    pub async fn plugin_overview(&self) -> Result<PluginOverview, Error> {
        let store = &self.app.store;
        let versions = store.plugin_versions().await?;
        let known: BTreeMap<&str, &PluginVersion> =
            versions.iter().map(|version| (version.digest.as_str(), version)).collect();
        // What lies in a folder of its author's is on no record.
        let came = |plugin: PluginInfo| match known.get(plugin.digest.as_str()) {
            Some(version) => (plugin, version.source, version.origin.clone()),
            None => (plugin, Source::Directory, None),
        };
        let active = self.plugins().into_iter().map(came).collect();
        let canaries = store.canaries().await?;
        let mut rejected = self.app.registrar.rejected();
        rejected.iter_mut().for_each(|it| it.reason = sentence(&it.reason));
        let pending = versions.into_iter().filter(|version| version.accepted.is_none()).collect();
        Ok(PluginOverview { active, canaries, pending, rejected })
    }

    /// All that there is to say about one plugin, by its name or the digest of one of its versions.
    pub async fn plugin(&self, name_or_digest: &str) -> Result<PluginDetail, Error> {
        self.app.plugin_detail(name_or_digest).await
    }

    /// What was active when, newest first.
    pub async fn plugin_history(&self, name: &str, limit: usize) -> Result<Vec<Activation>, Error> {
        let history = self.app.store.activations(name, limit).await?;
        if history.is_empty() && self.app.catalog.active_named(name).is_none() {
            return Err(no_such_plugin(name));
        }
        Ok(history)
    }
}

impl App {
    /// The most bytes that a component may have here.
    pub fn largest_component(&self) -> usize {
        self.registrar.limits().component_bytes
    }

    async fn plugin_detail(&self, name_or_digest: &str) -> Result<PluginDetail, Error> {
        let all = self.store.plugin_versions().await?;
        let named = all.iter().find(|it| it.digest.as_str() == name_or_digest);
        let name = named.map_or(name_or_digest, |version| &version.name).to_owned();
        let plugin = self.catalog.active_named(&name);
        let canaries = self.store.canaries().await?;
        let canary = canaries.into_iter().find(|canary| canary.name == name);
        let active = plugin.as_ref().map(|plugin| plugin.digest.clone());
        let mut versions: Vec<(PluginVersion, Standing)> = all
            .into_iter()
            .filter(|version| version.name == name)
            .map(|version| {
                let standing = standing(&version, active.as_ref(), canary.as_ref(), &self.catalog);
                (version, standing)
            })
            .collect();
        versions.reverse();
        if versions.is_empty() && plugin.is_none() {
            return Err(no_such_plugin(name_or_digest));
        }
        let accepted = plugin.as_ref().map(|plugin| (*plugin.allowed().now()).clone());
        Ok(PluginDetail {
            name,
            active: plugin.as_deref().map(info_of),
            accepted: accepted.unwrap_or_default(),
            canary,
            versions,
        })
    }
}

/// Opens what is kept of plugins, and takes up what is on record.
pub(super) async fn open(
    config: &Config,
    store: &Arc<dyn Store>,
    engine: &Arc<Engine>,
    boundaries: Boundaries,
) -> Result<(Arc<Catalog>, Arc<Registrar>), Error> {
    let depot = depot(config)?;
    let catalog = Catalog::built_in().map_err(Error::internal)?;
    let catalog = Arc::new(catalog.with_archive(depot.clone(), store.clone()));
    let parts = Parts {
        store: store.clone(),
        catalog: catalog.clone(),
        engine: engine.clone(),
        depot,
        boundaries,
        limits: config.limits.clone(),
    };
    let registrar = Registrar::open(parts).await.map_err(changes::refused)?;
    if let Some(folder) = &config.plugins {
        catalog.load_folder(folder).map_err(home::unusable)?;
    }
    Ok((catalog, Arc::new(registrar)))
}

/// Compiles the component on standard input for another process, into its cache, and answers what
/// to tell it.
pub fn compile_here(cache: &Path, allowance: Allowance) -> String {
    compile::here(cache, allowance)
}

/// Where the bytes of versions are.
pub(super) fn depot(config: &Config) -> Result<Depot, Error> {
    Depot::open(&folder(config).join(STORE)).map_err(home::unusable)
}

/// The watched directory.
pub(super) fn folder(config: &Config) -> PathBuf {
    config.home.join(FOLDER)
}

fn info_of(plugin: &Plugin) -> PluginInfo {
    let descriptor = &plugin.descriptor;
    let operations: Vec<String> = plugin.operations.iter().map(ToString::to_string).collect();
    PluginInfo {
        name: descriptor.name.clone(),
        version: descriptor.version.to_string(),
        digest: plugin.digest.to_string(),
        operation: operations.first().cloned().unwrap_or_default(),
        operations,
        title: descriptor.title.clone(),
        description: descriptor.description.clone(),
        grants: serde_json::to_value(&descriptor.grants).unwrap_or_default(),
        steps: descriptor.steps.clone(),
        params: descriptor.params.clone(),
    }
}

fn standing(
    version: &PluginVersion,
    active: Option<&Digest>,
    canary: Option<&Canary>,
    catalog: &Catalog,
) -> Standing {
    if active == Some(&version.digest) {
        Standing::Active
    } else if canary.is_some_and(|canary| canary.digest == version.digest) {
        Standing::Canary
    } else if version.accepted.is_none() {
        Standing::Pending
    } else if version.is_kept || catalog.by_digest(&version.digest).is_some() {
        Standing::Kept
    } else {
        Standing::Collected
    }
}

fn no_such_plugin(name: &str) -> Error {
    let shown: String = name.chars().take(80).collect();
    let message = format!("There is no plugin `{}`.", shown.escape_debug());
    Error::new(ErrorKind::NotFound, "no_such_plugin", message)
        .with_next("GET /api/plugins")
        .with_next("windlass plugin list")
}
