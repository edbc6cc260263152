//! The rows of jobs: a cache of their journals, which says something else only when somebody or
//! something changed it.

use jiff::Timestamp;
use serde_json::json;

use crate::app::database;
use crate::app::doctor::Check;
use crate::app::home::Home;
use crate::config::Config;
use crate::error::{Error, sentence};
use crate::storage::sqlite::Sqlite;
use crate::storage::sqlite::standings::Differing;
use crate::storage::{AuditRecord, ConfigStore as _, StorageError, Store as _};

const NAME: &str = "rows";

/// How many are named.
const NAMED: usize = 10;

/// What was found of them.
pub(super) fn check(found: &Result<Vec<Differing>, StorageError>) -> Check {
    match found {
        Ok(differing) if differing.is_empty() => {
            Check::ok(NAME, "each job is recorded as its journal tells")
        }
        Ok(differing) => Check::problem(
            NAME,
            format!(
                "{} whose rows are not what their journals tell: {}",
                jobs(differing),
                named(differing)
            ),
            "end the host if one runs, then windlass doctor --rebuild",
        ),
        Err(error) => unreadable(&error.to_string()),
    }
}

/// Makes them what their journals tell, and says of which that was needed.
pub(super) async fn rebuild(config: &Config) -> Check {
    match rebuilt(config).await {
        Ok(differing) if differing.is_empty() => {
            Check::ok(NAME, "each job was recorded as its journal tells; nothing was changed")
        }
        Ok(differing) => Check::warn(
            NAME,
            format!(
                "{} whose rows are again what their journals tell: {}",
                jobs(&differing),
                named(&differing)
            ),
            "see who or what changed them: no host does",
        ),
        Err(error) => Check::problem(NAME, error.message(), "nothing was changed"),
    }
}

async fn rebuilt(config: &Config) -> Result<Vec<Differing>, Error> {
    let home = Home::open(&config.home).await?;
    let rebuilt = correct(&home).await;
    home.leave();
    rebuilt
}

async fn correct(home: &Home) -> Result<Vec<Differing>, Error> {
    let file = database::of(home.path());
    if !file.exists() {
        return Ok(Vec::new());
    }
    let store = Sqlite::open(&file, &database::options(home.path()))?;
    let differing = store.correct_rows().await?;
    if !differing.is_empty() {
        let ids: Vec<&str> = differing.iter().map(|it| it.job.as_str()).collect();
        let record = AuditRecord {
            at: Timestamp::now(),
            by: "the command line".to_owned(),
            action: "doctor.rebuild".to_owned(),
            target: file.display().to_string(),
            detail: json!({ "jobs": ids }),
        };
        store.audit(record).await?;
    }
    store.close().await;
    Ok(differing)
}

fn unreadable(reason: &str) -> Check {
    let advice = "keep a copy of the home, then restore a backup: windlass restore FILE";
    Check::problem(NAME, sentence(reason), advice)
}

fn jobs(differing: &[Differing]) -> String {
    match differing.len() {
        1 => "1 job".to_owned(),
        many => format!("{many} jobs"),
    }
}

fn named(differing: &[Differing]) -> String {
    let named = differing.iter().take(NAMED);
    let mut named: Vec<String> =
        named.map(|it| format!("{} ({})", it.job, it.parts.join(", "))).collect();
    if differing.len() > NAMED {
        named.push("…".to_owned());
    }
    named.join("; ")
}
