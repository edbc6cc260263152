//! Which operations this host can run.

use serde_json::Value;

use crate::app::access::Reader;

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
    /// What it is, in one line.
    pub title: String,
    /// What it does.
    pub description: String,
    /// What it may ask of the host.
    pub grants: Value,
    /// The steps that it reports.
    pub steps: Vec<String>,
    /// JSON Schema of its parameters.
    pub params: Value,
}

impl Reader {
    /// The plugins that are active, by name.
    pub fn plugins(&self) -> Vec<PluginInfo> {
        let mut plugins: Vec<PluginInfo> = Vec::new();
        for plugin in self.app.catalog.all() {
            let descriptor = &plugin.descriptor;
            plugins.push(PluginInfo {
                name: descriptor.name.clone(),
                version: descriptor.version.to_string(),
                digest: plugin.digest.to_string(),
                operation: plugin.operation.to_string(),
                title: descriptor.title.clone(),
                description: descriptor.description.clone(),
                grants: serde_json::to_value(&descriptor.grants).unwrap_or_default(),
                steps: descriptor.steps.clone(),
                params: descriptor.params.clone(),
            });
        }
        plugins.sort_by(|a, b| a.name.cmp(&b.name));
        plugins
    }
}
