//! What a plugin says of itself, read from its bytes without running them.

mod app;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmparser::{Parser, Payload};

use crate::model::app::{DELETE, DEPLOY, Provides};
use crate::model::grants::GrantsWanted;
use crate::model::names::{InvalidName, OperationName};
use crate::plugins::plugin::PluginError;

/// The custom section that holds the descriptor, in the component or a module of it.
pub const SECTION: &str = "windlass:descriptor";

/// The largest descriptor that is read, in bytes.
const MOST_BYTES: usize = 256 * 1024;

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// Lower-case with dashes; unique among plugins.
    pub name: String,
    /// Which world of the contract it was built for.
    #[serde(default)]
    pub kind: Kind,
    /// What its versions are compared by.
    pub version: semver::Version,
    /// A short name for people.
    pub title: String,
    /// One or two sentences.
    pub description: String,
    /// Where it stands in lists: `operation`, or an app category.
    pub category: String,
    /// JSON Schema of the parameters.
    pub params: Value,
    /// JSON Schema of the result.
    pub result: Value,
    /// The steps that it will report, in order.
    pub steps: Vec<String>,
    /// What it wants to be allowed.
    pub grants: GrantsWanted,
    /// How long one run may take, in seconds.
    #[serde(default = "an_hour")]
    pub timeout_s: u64,
    /// Apps that must be there before.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// Memory that the app needs on the server, in MB.
    #[serde(default)]
    pub min_memory_mb: u64,
    /// The names that it takes in a zone: those of an app, or those that an operation gives to
    /// servers and no app can have.
    #[serde(default)]
    pub dns_prefixes: Vec<String>,
    /// What other apps of the server can have of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provides: Option<Provides>,
    /// Where to read more, by name.
    #[serde(default)]
    pub links: std::collections::BTreeMap<String, String>,
}

/// The world of the contract that a plugin was built for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `operation`: exports `run`.
    #[default]
    Operation,
    /// `app`: exports `deploy` and `undeploy`.
    App,
}

const fn an_hour() -> u64 {
    3600
}

impl Descriptor {
    /// Reads the descriptor of a component.
    ///
    /// # Errors
    /// When the bytes are no component, or hold no descriptor or more than one, or one that is
    /// too large or not of the right shape.
    pub fn of(component: &[u8]) -> Result<Self, PluginError> {
        let mut found = None;
        for payload in Parser::new(0).parse_all(component) {
            let payload =
                payload.map_err(|e| PluginError::NotAComponent { reason: e.to_string() })?;
            if let Payload::CustomSection(section) = payload
                && section.name() == SECTION
            {
                if found.is_some() {
                    return Err(bad("there are two of them"));
                }
                found = Some(section.data());
            }
        }
        let bytes = found.ok_or_else(|| bad("there is none; build it with the SDK's macro"))?;
        if bytes.len() > MOST_BYTES {
            return Err(bad(&format!("it has {} bytes, at most {MOST_BYTES}", bytes.len())));
        }
        let descriptor: Self = serde_json::from_slice(bytes).map_err(|e| bad(&e.to_string()))?;
        descriptor.check()
    }

    /// The operations that it provides: its name with underscores; of an app, the one that makes
    /// it run, and the one that takes it away.
    ///
    /// # Errors
    /// When the name makes no operation.
    pub fn operations(&self) -> Result<Vec<OperationName>, PluginError> {
        let names = match self.kind {
            Kind::Operation => vec![self.name.replace('-', "_")],
            Kind::App => vec![format!("{DEPLOY}{}", self.name), format!("{DELETE}{}", self.name)],
        };
        let parsed = names.iter().map(|name| name.parse());
        parsed.collect::<Result<_, _>>().map_err(|e: InvalidName| bad(&format!("its name: {e}")))
    }

    fn check(self) -> Result<Self, PluginError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 63 || !self.name.chars().all(allowed) {
            return Err(bad("its name is not 1 to 63 of a-z, 0-9 and -"));
        }
        if self.steps.len() > 100 || self.steps.iter().any(|s| s.is_empty() || s.len() > 200) {
            return Err(bad("it has more than 100 steps, or one without or with a very long name"));
        }
        if self.kind == Kind::App {
            self.check_app().map_err(|reason| bad(&reason))?;
        }
        Ok(self)
    }
}

fn bad(reason: &str) -> PluginError {
    PluginError::BadDescriptor { reason: reason.to_owned() }
}
