//! A recipe's own file, `recipe.yaml`: what it is called, what it needs, and where it can be reached.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A recipe as its file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Lower-case with dashes; the app's name, and its stack's.
    pub name: String,
    /// What the recipe's versions are compared by.
    pub version: String,
    /// A short name for people.
    pub title: String,
    /// One or two sentences.
    pub description: String,
    /// Where it stands in lists.
    pub category: String,
    /// Memory that it needs on the server, in MB.
    pub min_memory_mb: u64,
    /// Apps that must be there before.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// Where to read more, by name.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// What the operator can choose: a JSON Schema for each, by name.
    #[serde(default)]
    pub config: BTreeMap<String, Value>,
    /// What of that the operator must choose.
    #[serde(default)]
    pub required: Vec<String>,
    /// Made once, by name. One of another app is named with that app: `redis/password`.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    /// The engine of each database, by the database's name.
    #[serde(default)]
    pub databases: BTreeMap<String, String>,
    /// What Traefik routes to it.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Commands to run once its services are healthy. They run at every deployment.
    #[serde(default)]
    pub after: Vec<Command>,
    /// How long its services may take to be healthy, in seconds.
    #[serde(default = "a_quarter")]
    pub healthy_s: u64,
    /// Values that the code of a recipe with code of its own sets.
    #[serde(default)]
    pub values: Vec<String>,
    /// What the operator should know.
    #[serde(default)]
    pub notes: String,
    /// What other apps can have of it.
    #[serde(default)]
    pub provides: Option<Value>,
    /// What its stack may do beyond the policy for all.
    #[serde(default)]
    pub stack_grants: Vec<String>,
    /// Services without a health check, and why.
    #[serde(default)]
    pub unchecked: BTreeMap<String, String>,
    /// Where the images' versions were read: for those who renew them.
    pub pins: String,
}

/// What a secret is like.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Characters; 32 where nothing is said.
    pub length: Option<u32>,
    /// `alphanumeric` (where nothing is said), `hex`, `base64` or `printable`.
    pub alphabet: Option<String>,
}

/// One name at which Traefik routes to a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// What stands before the domain.
    pub prefix: String,
    /// The service of the Compose file.
    pub service: String,
    /// The port that it listens at.
    pub port: u16,
    /// Only paths that begin so.
    pub path: Option<String>,
    /// The path that answers once the app works; none where nothing is asked.
    pub health: Option<String>,
}

/// A command in a container of the app.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The service of the Compose file.
    pub service: String,
    /// The program and its arguments; no shell is in between.
    pub arguments: Vec<String>,
    /// What it reads. Secrets may stand in it.
    pub stdin: Option<String>,
    /// How long it may take, in seconds.
    #[serde(default = "ten_minutes")]
    pub timeout_s: u64,
}

const fn a_quarter() -> u64 {
    900
}

const fn ten_minutes() -> u64 {
    600
}
