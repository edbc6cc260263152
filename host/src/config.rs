//! What the host is told at its start. Flags beat the environment, and this is the only file that
//! reads the environment.

pub mod agents;
mod limits;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::effects::boundary::Points;
use crate::model::limits::{Limit, Limits};
use crate::vault::source::Source;

pub use agents::{AgentSettings, Language, TaskMode};

/// The most jobs that run together, unless told otherwise.
const WORKERS: usize = 64;
/// Between two looks whether the servers are still there, unless told otherwise.
const RECONCILE: Duration = Duration::from_secs(300);

/// Everything that the host is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is kept: `WINDLASS_HOME`, else `~/.livchat`.
    pub home: PathBuf,
    /// Where to listen: `WINDLASS_LISTEN`, else `127.0.0.1:8000`. Port 0 lets the system choose.
    pub listen: String,
    /// What is logged: `WINDLASS_LOG`, in the notation of `tracing`.
    pub log: Option<String>,
    /// Where compiled plugins are kept: `WINDLASS_CACHE`, else `<home>/cache`.
    pub cache: PathBuf,
    /// A folder of further plugins, for their authors: `WINDLASS_PLUGINS`. Read at the start; each
    /// takes the place of a built-in one of its operations.
    pub plugins: Option<PathBuf>,
    /// The base URL of Hetzner Cloud: `HCLOUD_ENDPOINT`.
    pub hcloud_endpoint: Option<String>,
    /// The base URL of DigitalOcean's API: `DIGITALOCEAN_ENDPOINT`.
    pub digitalocean_endpoint: Option<String>,
    /// The base URL of Cloudflare's API: `CLOUDFLARE_ENDPOINT`.
    pub cloudflare_endpoint: Option<String>,
    /// Whether the sandbox takes its time: `WINDLASS_SANDBOX_PACE`, `realistic` or `instant`.
    pub sandbox_instant: bool,
    /// Where the key of the secrets comes from: `WINDLASS_KEY`, `WINDLASS_PASSPHRASE` or a file with
    /// the passphrase, else a file in the home.
    pub key: Source,
    /// The most jobs that run together: `WINDLASS_WORKERS`. None are run when it is 0.
    pub workers: usize,
    /// At which points of the jobs' runs something happens on purpose; see `windlass torture`.
    pub points: Points,
    /// How often the providers are asked whether the servers are still there:
    /// `WINDLASS_RECONCILE_SECONDS`. Never when it is none.
    pub reconcile: Option<Duration>,
    /// How agents are treated: `WINDLASS_MCP_…`.
    pub agents: AgentSettings,
    /// What plugins may use up: `WINDLASS_LIMIT_…`.
    pub limits: Arc<Limits>,
}

/// What a client of a host is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Where the host is: `WINDLASS_URL`, or `LIVCHAT_API_URL` as agents know it.
    pub url: Option<String>,
    /// What it asks for: `WINDLASS_TOKEN`, or `LIVCHAT_API_KEY`.
    pub token: Option<String>,
}

/// What was said on the command line.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--home`
    pub home: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--url`
    pub url: Option<String>,
    /// `--passphrase-file`
    pub passphrase_file: Option<PathBuf>,
    /// `--die-at`
    pub die_at: Option<u64>,
    /// `--cancel-at`
    pub cancel_at: Option<u64>,
}

/// The key that a rotation goes to, as the command line names it.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// A file with the key.
    pub key_file: Option<PathBuf>,
    /// A file with the passphrase.
    pub passphrase_file: Option<PathBuf>,
}

/// A setting that can't be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Nothing says where the home is.
    #[error("there is no home directory: set WINDLASS_HOME, or use --home")]
    NoHome,
    /// A variable has a value that it can't have.
    #[error("`{value}` is no value for {variable}: {wanted}")]
    Variable {
        /// Which.
        variable: &'static str,
        /// What it has.
        value: String,
        /// What it may have.
        wanted: &'static str,
    },
    /// A limit has a value that it can't have.
    #[error("`{value}` is no value for {}: use {limit}", limit.setting)]
    Limit {
        /// Which.
        limit: &'static Limit,
        /// What it has.
        value: String,
    },
    /// There is no such limit.
    #[error("there is no limit {name}{}: `windlass serve --help` has them all", mean(*meant))]
    NoSuchLimit {
        /// What was set.
        name: String,
        /// What there is, and is called much the same.
        meant: Option<&'static str>,
    },
    /// Agents have no such setting.
    #[error("there is no setting {0}: `windlass serve --help` has them all")]
    NoSuchSetting(String),
    /// There are a key and a passphrase.
    #[error("both WINDLASS_KEY and a passphrase are given: use one of the two")]
    TwoKeys,
    /// A file with a passphrase or key cannot be read.
    #[error("{} cannot be read: {reason}", file.display())]
    SecretFile {
        /// The file.
        file: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
}

impl NewKey {
    /// Where the new key comes from; a new key file when today's key is one, else none.
    pub fn read(&self, today: &Source) -> Result<Option<Source>, ConfigError> {
        match (&self.key_file, &self.passphrase_file, today) {
            (Some(file), _, _) => secret_in(file).map(Source::Given).map(Some),
            (None, Some(file), _) => secret_in(file).map(Source::Passphrase).map(Some),
            (None, None, Source::File) => Ok(Some(Source::File)),
            (None, None, Source::Given(_) | Source::Passphrase(_)) => Ok(None),
        }
    }
}

impl Config {
    /// Reads the process's environment.
    pub fn read(flags: &Flags) -> Result<Self, ConfigError> {
        limits::check_names(environment_names())?;
        agents::check_names(environment_names())?;
        Self::from_variables(flags, environment)
    }

    /// The same for a host of its own that is asked for nothing real: its clouds are the sandbox, at
    /// once, and no folder or key of another host is used.
    #[must_use]
    pub fn simulated(self) -> Self {
        Self {
            plugins: None,
            sandbox_instant: true,
            key: Source::File,
            points: Points::default(),
            reconcile: None,
            ..self
        }
    }

    fn from_variables(
        flags: &Flags,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let home = match (&flags.home, variable("WINDLASS_HOME"), variable("HOME")) {
            (Some(home), _, _) => home.clone(),
            (None, Some(home), _) => PathBuf::from(home),
            (None, None, Some(user)) => PathBuf::from(user).join(".livchat"),
            (None, None, None) => return Err(ConfigError::NoHome),
        };
        let listen = flags.listen.clone().or_else(|| variable("WINDLASS_LISTEN"));
        Ok(Self {
            key: key_source(flags, &variable)?,
            cache: variable("WINDLASS_CACHE").map_or_else(|| home.join("cache"), PathBuf::from),
            home,
            listen: listen.unwrap_or_else(|| "127.0.0.1:8000".to_owned()),
            log: variable("WINDLASS_LOG"),
            plugins: variable("WINDLASS_PLUGINS").map(PathBuf::from),
            hcloud_endpoint: variable("HCLOUD_ENDPOINT"),
            digitalocean_endpoint: variable("DIGITALOCEAN_ENDPOINT"),
            cloudflare_endpoint: variable("CLOUDFLARE_ENDPOINT"),
            sandbox_instant: sandbox_instant(variable("WINDLASS_SANDBOX_PACE").as_deref())?,
            workers: workers(variable("WINDLASS_WORKERS"))?,
            points: Points { death: flags.die_at, cancel: flags.cancel_at },
            reconcile: reconcile(variable("WINDLASS_RECONCILE_SECONDS"))?,
            agents: agents::read(&variable)?,
            limits: Arc::new(limits::read(&variable)?),
        })
    }
}

/// Where Docker keeps what it logs in to registries with: `DOCKER_CONFIG`, else `~/.docker`.
pub fn docker_folder() -> Option<PathBuf> {
    let own = environment("DOCKER_CONFIG").map(PathBuf::from);
    own.or_else(|| Some(PathBuf::from(environment("HOME")?).join(".docker")))
}

impl Target {
    /// Reads the process's environment.
    pub fn read(flags: &Flags) -> Self {
        Self {
            url: flags
                .url
                .clone()
                .or_else(|| environment("WINDLASS_URL"))
                .or_else(|| environment("LIVCHAT_API_URL")),
            token: environment("WINDLASS_TOKEN").or_else(|| environment("LIVCHAT_API_KEY")),
        }
    }
}

fn key_source(
    flags: &Flags,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Source, ConfigError> {
    let file = flags.passphrase_file.as_deref().map(secret_in).transpose()?;
    let passphrase = file.or_else(|| variable("WINDLASS_PASSPHRASE").map(SecretString::from));
    match (variable("WINDLASS_KEY"), passphrase) {
        (None, None) => Ok(Source::File),
        (Some(key), None) => Ok(Source::Given(SecretString::from(key))),
        (None, Some(passphrase)) => Ok(Source::Passphrase(passphrase)),
        (Some(_), Some(_)) => Err(ConfigError::TwoKeys),
    }
}

/// The first line of a file.
fn secret_in(file: &Path) -> Result<SecretString, ConfigError> {
    let unreadable =
        |reason: std::io::Error| ConfigError::SecretFile { file: file.to_owned(), reason };
    let text = Zeroizing::new(std::fs::read_to_string(file).map_err(unreadable)?);
    Ok(SecretString::from(text.lines().next().unwrap_or_default()))
}

fn sandbox_instant(value: Option<&str>) -> Result<bool, ConfigError> {
    match value {
        None | Some("realistic") => Ok(false),
        Some("instant") => Ok(true),
        Some(other) => Err(ConfigError::Variable {
            variable: "WINDLASS_SANDBOX_PACE",
            value: other.to_owned(),
            wanted: "use realistic or instant",
        }),
    }
}

fn workers(value: Option<String>) -> Result<usize, ConfigError> {
    let Some(value) = value else { return Ok(WORKERS) };
    value.parse().ok().filter(|limit| (1..=10_000).contains(limit)).ok_or(ConfigError::Variable {
        variable: "WINDLASS_WORKERS",
        value,
        wanted: "use a number from 1 to 10000",
    })
}

/// None for 0, which is never.
fn reconcile(value: Option<String>) -> Result<Option<Duration>, ConfigError> {
    let Some(value) = value else { return Ok(Some(RECONCILE)) };
    let seconds = value.parse().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    let interval = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let wanted = "use seconds, at most 86400, or 0 for never";
    let variable = "WINDLASS_RECONCILE_SECONDS";
    let interval = interval.ok_or(ConfigError::Variable { variable, value, wanted })?;
    Ok(Some(interval).filter(|interval| !interval.is_zero()))
}

/// The end of a sentence about a name that is none.
fn mean(meant: Option<&str>) -> String {
    meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default()
}

/// The names of all variables that have a value.
fn environment_names() -> impl Iterator<Item = String> {
    let set = std::env::vars_os().filter(|(_, value)| !value.is_empty());
    set.filter_map(|(name, _)| name.into_string().ok())
}

/// An empty variable is none.
fn environment(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.into_string().ok()?;
    Some(value).filter(|value| !value.is_empty())
}
