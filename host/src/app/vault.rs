//! The vault's key, changed while no host runs.

use jiff::Timestamp;
use serde_json::json;

use crate::app::database;
use crate::app::home::{self, Home};
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::storage::sqlite::Sqlite;
use crate::storage::{AuditRecord, Store};
use crate::vault::rotation::{Rotated, Rotation};
use crate::vault::source::Source;

/// Seals everything with a new key. Wherever it is cut off, the next start opens with the old key
/// or with the new one.
///
/// # Errors
/// When a host uses the home, or its key is not at hand.
#[tracing::instrument(skip_all, fields(home = %config.home.display()))]
pub async fn rotate(config: &Config, to: Source) -> Result<Rotated, Error> {
    let file = database::of(&config.home);
    if !file.exists() {
        let message =
            format!("There is nothing to seal anew: {} is no home yet.", { config.home.display() });
        return Err(Error::new(ErrorKind::NotFound, "no_home", message));
    }
    let home = Home::open(&config.home).await?;
    let store: std::sync::Arc<dyn Store> = Sqlite::open(&file, &database::options(home.path()))?;
    let rotated = seal_anew(&home, &store, config, to).await;
    store.close().await;
    home.leave();
    rotated
}

async fn seal_anew(
    home: &Home,
    store: &std::sync::Arc<dyn Store>,
    config: &Config,
    to: Source,
) -> Result<Rotated, Error> {
    let prepared = Rotation::prepare(home.path(), store, &config.key, to).await;
    let resealed = prepared.map_err(home::unusable)?.reseal().await.map_err(home::unusable)?;
    let rotated = resealed.finish().map_err(home::unusable)?;
    let record = AuditRecord {
        at: Timestamp::now(),
        by: "the command line".to_owned(),
        action: "vault.rotate".to_owned(),
        target: rotated.new.to_string(),
        detail: json!({ "old": rotated.old.to_string(), "values": rotated.values }),
    };
    store.audit(record).await?;
    Ok(rotated)
}
