//! Apps: what runs on servers by recipes, and what one app can have of another.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::model::job::PluginPin;
use crate::model::names::{AppName, JobId, OperationName, ServerName};

/// What the operation that makes an app run is called, up to the app's name.
pub const DEPLOY: &str = "deploy_app:";
/// What the operation that takes an app away is called, up to the app's name.
pub const DELETE: &str = "delete_app:";

/// Whether an operation makes an app run or takes one away.
pub fn is_about_app(operation: &OperationName) -> bool {
    [DEPLOY, DELETE].iter().any(|it| operation.as_str().starts_with(it))
}

/// The record of an app on a server. The host makes it when the job is submitted and keeps its
/// status; what is secret in its configuration stands here as references.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppRecord {
    /// The recipe's name, and its stack's.
    pub app_name: AppName,
    /// Where it is.
    pub server: ServerName,
    /// A short name for people.
    pub title: String,
    /// The recipe's version.
    pub version: String,
    /// Where it stands in lists.
    pub category: String,
    /// How it stands, as far as jobs know.
    pub status: AppStatus,
    /// The newest job that changes it.
    pub job_id: JobId,
    /// Which recipe it was deployed with.
    pub plugin: PluginPin,
    /// What it was configured with, defaults filled in.
    pub config: Value,
    /// The apps that it needs.
    pub dependencies: Vec<AppName>,
    /// What other apps of the server can have of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provides: Option<Provides>,
    /// The names that it takes in its domain.
    #[serde(default)]
    pub dns_prefixes: Vec<String>,
    /// Memory that it needs, in MB.
    #[serde(default)]
    pub min_memory_mb: u64,
    /// Where it is to be reached; set by its recipe.
    #[serde(default)]
    pub urls: Vec<String>,
    /// What its users should know; set by its recipe.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The DNS records that its jobs made.
    #[serde(default)]
    pub dns: Vec<AppDnsRecord>,
    /// Whether the job that takes it away takes its secrets too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forgets: bool,
    /// When somebody first asked for it.
    pub created_at: Timestamp,
    /// When it was last deployed to the end.
    pub deployed_at: Option<Timestamp>,
}

/// How an app stands, as far as jobs know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AppStatus {
    /// A job makes it run.
    Deploying,
    /// The last job made it run.
    Running,
    /// A job takes it away.
    Removing,
    /// The last job failed; something of it may be there.
    Error,
}

/// A record in a zone that an app's job made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppDnsRecord {
    /// In which zone.
    pub zone: String,
    /// Its id there.
    pub id: String,
    /// Its full name.
    pub name: String,
    /// `A`, `CNAME` …
    pub kind: String,
}

impl AppRecord {
    /// The names that it takes, on a server whose apps are under this domain.
    pub fn names(&self, server_domain: Option<&str>) -> Vec<String> {
        let own = self.config.get("domain").and_then(Value::as_str);
        let Some(domain) = own.or(server_domain) else { return Vec::new() };
        self.dns_prefixes.iter().map(|prefix| format!("{prefix}.{domain}")).collect()
    }
}

impl AppStatus {
    /// The name that APIs use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deploying => "deploying",
            Self::Running => "running",
            Self::Removing => "removing",
            Self::Error => "error",
        }
    }

    /// Whether a job is about to change it.
    pub const fn is_busy(self) -> bool {
        matches!(self, Self::Deploying | Self::Removing)
    }
}

/// What other apps of the same server can have of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Provides {
    /// Databases of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub databases: Option<Engine>,
}

/// How databases are made in an app. In arguments and standard input, `{{database}}`, `{{role}}` and
/// `{{password}}` stand for those of the app that asks; the first two are 1 to 63 of `[a-z0-9_]`,
/// the last is a secret reference of characters that need no quoting, and goes to standard input
/// only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// The service of the app's stack that the commands run in.
    pub service: String,
    /// The port that other apps reach it at.
    pub port: u16,
    /// Ends with 0 once the engine takes commands.
    pub ready: EngineCommand,
    /// Makes the database and its role, or says `conflict` in its last line when another role owns
    /// it. The same again changes nothing but the role's password.
    pub ensure: EngineCommand,
    /// Removes both.
    pub drop: EngineCommand,
}

/// A command in a container of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineCommand {
    /// The program and its arguments.
    pub arguments: Vec<String>,
    /// What it reads on its standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
}
