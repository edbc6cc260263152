//! Apps: the catalogue of what can be installed, and what is installed on servers.

mod configuration;
mod install;
pub mod live;
mod memory;
pub(super) mod names;
mod order;
pub(super) mod refusals;
mod remove;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::access::{Operator, Reader};
use crate::app::servers::RequestKey;
use crate::error::Error;
use crate::model::app::DEPLOY;
use crate::model::job::PluginPin;
use crate::model::names::{AppName, InvalidName, JobId, OperationName};
use crate::plugins::catalog::Catalog;
use crate::plugins::plugin::Plugin;
use crate::storage::IdempotencyKey;

/// Which apps of the catalogue are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueQuery {
    /// Only those of this category.
    pub category: Option<String>,
    /// Only those with these words in their name, title, description or category.
    pub text: Option<String>,
}

/// An app that can be installed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CatalogueApp {
    /// Its name.
    #[schema(example = "n8n")]
    pub name: String,
    /// A short name for people.
    #[schema(example = "n8n")]
    pub title: String,
    /// The recipe's version.
    #[schema(example = "1.0.0")]
    pub version: String,
    /// One or two sentences.
    pub description: String,
    /// Where it stands in lists.
    #[schema(example = "automation")]
    pub category: String,
    /// The apps that it needs; what is missing is installed with it.
    #[schema(example = json!(["postgres", "redis"]))]
    pub dependencies: Vec<String>,
    /// Memory that it needs on the server, in MB.
    #[schema(example = 1024)]
    pub min_memory_mb: u64,
    /// The names that it takes in the server's domain.
    #[schema(example = json!(["edt", "whk"]))]
    pub dns_prefixes: Vec<String>,
    /// JSON Schema of its `config`; what is `writeOnly` in it is sealed and never shown.
    #[schema(value_type = Object)]
    pub params: Value,
    /// What its recipe may ask of the host.
    #[schema(value_type = Object)]
    pub grants: Value,
    /// Where to read more, by name.
    pub links: BTreeMap<String, String>,
    /// The plugin that deploys it.
    pub plugin: PluginPin,
}

/// An app that somebody wants on a server.
#[derive(Clone, Debug)]
pub struct WantedApp {
    /// Which.
    pub name: String,
    /// Its configuration; none means the one that it was installed with, or the defaults.
    pub config: Option<Value>,
}

/// What came of asking for an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The job that deploys it.
    pub job: JobId,
    /// The jobs that it waits for.
    pub depends_on: Vec<JobId>,
    /// Whether that job was asked for before.
    pub deduplicated: bool,
    /// What may go wrong, as sentences.
    pub warnings: Vec<String>,
}

impl Reader {
    /// The apps that can be installed, by name.
    pub fn app_catalogue(&self, query: &CatalogueQuery) -> Vec<CatalogueApp> {
        let mut apps: Vec<CatalogueApp> = recipes(&self.app.catalog)
            .iter()
            .filter(|plugin| query.fits(plugin))
            .map(|plugin| CatalogueApp::of(plugin))
            .collect();
        apps.sort_by(|a, b| a.name.cmp(&b.name));
        apps
    }
}

impl CatalogueQuery {
    fn fits(&self, plugin: &Plugin) -> bool {
        let it = &plugin.descriptor;
        let text = format!("{} {} {} {}", it.name, it.title, it.description, it.category);
        let text = text.to_lowercase();
        let has_words = |words: &String| {
            words.to_lowercase().split_whitespace().all(|word| text.contains(word))
        };
        self.category.as_ref().is_none_or(|category| it.category == *category)
            && self.text.as_ref().is_none_or(has_words)
    }
}

impl CatalogueApp {
    fn of(plugin: &Plugin) -> Self {
        let it = &plugin.descriptor;
        Self {
            name: it.name.clone(),
            title: it.title.clone(),
            version: it.version.to_string(),
            description: it.description.clone(),
            category: it.category.clone(),
            dependencies: it.dependencies.clone(),
            min_memory_mb: it.min_memory_mb,
            dns_prefixes: it.dns_prefixes.clone(),
            params: it.params.clone(),
            grants: serde_json::to_value(&it.grants).unwrap_or_default(),
            links: it.links.clone(),
            plugin: plugin.pin(),
        }
    }
}

impl Operator {
    fn remember(&self, key: Option<RequestKey>, now: Timestamp) -> Option<IdempotencyKey> {
        key.map(|key| key.of(&self.by, now))
    }
}

/// The plugins that are apps.
fn recipes(catalog: &Catalog) -> Vec<Arc<Plugin>> {
    let is_app =
        |plugin: &Plugin| plugin.operations.iter().any(|it| it.as_str().starts_with(DEPLOY));
    catalog.all().into_iter().filter(|plugin| is_app(plugin)).collect()
}

/// The operation of an app.
fn operation(opening: &str, app: &AppName) -> Result<OperationName, Error> {
    format!("{opening}{app}").parse().map_err(|error: InvalidName| Error::internal(error))
}
