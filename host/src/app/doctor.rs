//! Looking at a home from outside, whether a host runs on it or none can: what is as it should be,
//! what is not, and what to do about it. Nothing is changed, but permissions and the rows of jobs
//! when told to.

mod contents;
mod files;
mod host;
mod rows;

use std::path::Path;

use serde::Serialize;

use crate::app::database;
use crate::app::home;
use crate::config::{AgentSettings, Config};
use crate::error::sentence;
use crate::model::limits::Limits;
use crate::storage::StorageError;
use crate::storage::sqlite::examination::{self, Examination, Look};

/// How closely is looked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Reads every page of the database, its indexes too.
    pub full: bool,
    /// Takes from others what is the owner's alone.
    pub fix: bool,
    /// Makes the rows of jobs what their journals tell.
    pub rebuild: bool,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not as it should be, and nothing fails by it yet.
    Warn,
    /// Something fails, or will.
    Problem,
}

impl Verdict {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, found: found.into(), advice: None }
    }

    fn warn(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warn, found: found.into(), advice: Some(advice.into()) }
    }

    fn problem(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, ..Self::warn(name, found, advice) }
    }
}

/// All that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// The worst that was found.
    pub verdict: Verdict,
    /// One after another.
    pub checks: Vec<Check>,
}

/// Looks at the home of this configuration.
pub async fn examine(config: &Config, wanted: Wanted) -> Diagnosis {
    let mut checks = Vec::new();
    if config.home.is_dir() {
        let occupant = home::occupant(&config.home);
        checks.extend(files::permissions(&config.home, wanted.fix));
        checks.push(files::room(&config.home));
        if wanted.rebuild {
            checks.push(rows::rebuild(config).await);
        }
        let look = Look {
            is_alone: occupant.is_none(),
            is_full: wanted.full,
            has_rows: wanted.full && !wanted.rebuild,
            traces: database::traces(&config.home),
        };
        match look_at(&config.home, look).await {
            Ok(examination) => {
                checks.extend(structure(&config.home, &examination, wanted));
                checks.extend(contents::of(config, &examination, occupant.is_some()).await);
                checks.extend(examination.rows.as_ref().map(rows::check));
            }
            Err(error) => checks.push(unusable(&error)),
        }
        checks.push(files::cache(&config.cache));
        checks.push(files::plugins(config));
        checks.push(limits(&config.limits));
        checks.push(agents(&config.agents));
        checks.extend(host::checks(config, occupant).await);
    } else {
        let found = format!("there is no home at {} yet", config.home.display());
        checks.push(Check::warn("home", found, "windlass init, or name another one with --home"));
        checks.extend(host::checks(config, None).await);
    }
    let verdict = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok);
    Diagnosis { verdict, checks }
}

/// What plugins may use up, where somebody changed it.
fn limits(limits: &Limits) -> Check {
    let changed: Vec<String> = limits
        .changed()
        .map(|(limit, number)| {
            let usual = limit.shown(limit.default);
            format!("{} {} ({usual} unless set)", limit.setting, limit.shown(number))
        })
        .collect();
    if changed.is_empty() {
        return Check::ok("limits", "plugins have the usual ones: windlass serve --help");
    }
    Check::ok("limits", format!("of plugins: {}", changed.join(", ")))
}

/// How agents are treated, where somebody changed it.
fn agents(settings: &AgentSettings) -> Check {
    let changed: Vec<String> = settings.changed().collect();
    if changed.is_empty() {
        return Check::ok("agents", "they are treated as usual: windlass serve --help");
    }
    Check::ok("agents", changed.join(", "))
}

async fn look_at(home: &Path, look: Look) -> Result<Examination, StorageError> {
    let path = database::of(home);
    let looking = tokio::task::spawn_blocking(move || examination::examine(&path, &look));
    looking.await.unwrap_or(Err(StorageError::Closed))
}

fn structure(home: &Path, examination: &Examination, wanted: Wanted) -> Vec<Check> {
    let Examination { schema, known, findings, refusal, .. } = examination;
    let path = database::of(home);
    let shown = path.display();
    let depth = if wanted.full { "full check" } else { "quick check, --full looks closer" };
    let whole = match (findings.as_slice(), refusal) {
        ([], None) => Check::ok("database", format!("{shown} is whole ({depth})")),
        ([], Some(refusal)) => unusable(refusal),
        (findings, _) => Check::problem(
            "database",
            format!("{shown} is damaged: {}", findings.join("; ")),
            "stop the host, keep a copy of the home, and restore a backup: windlass restore FILE",
        ),
    };
    let version = if schema < known {
        let found = format!("schema {schema}, this program knows {known}");
        Check::warn("schema", found, "make a backup; the next start brings it up to date")
    } else {
        Check::ok("schema", format!("{schema}, the newest that this program knows"))
    };
    vec![whole, version]
}

/// What a host would say, and what to do.
fn unusable(error: &StorageError) -> Check {
    let advice = match error {
        StorageError::NewerSchema { .. } => "run the newer windlass on this home",
        StorageError::ReadOnly { .. } => {
            "start windlass once, or see who owns the file and whether its disk is writable"
        }
        StorageError::DiskFull { .. } => "free some space",
        StorageError::CutOff { .. } => {
            "restore a backup (windlass restore FILE), or, to go on without the lost commits, \
             remove the -mark file beside the database and start windlass"
        }
        _ => "keep a copy of the home, then restore a backup: windlass restore FILE",
    };
    Check::problem("database", sentence(&error.to_string()), advice)
}
