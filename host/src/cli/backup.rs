//! `windlass backup` and `windlass restore`: copies of the home's database.

use std::path::PathBuf;

use serde_json::json;

use crate::app::backup;
use crate::cli::Refusal;
use crate::cli::connection::usage;
use crate::cli::terminal::Terminal;
use crate::config::{Config, Flags};
use crate::model::names::JobId;

/// The help of `backup`, in full.
pub(super) const BACKUP: &str = "Copy the home's database into a new file, as it is at this moment, \
while the host goes on.\n\nJobs, servers, configuration, sealed secrets and added plugins are in \
it. The key is not: without the file `key` of the home (or `passphrase.json` and the passphrase, or \
WINDLASS_KEY) a backup is worth nothing, so keep that too, in another place. Files in the watched \
folder `plugins` and the machines of the sandbox are not in it either.";

/// Examples, after the help.
pub(super) const BACKUP_EXAMPLES: &str = "Examples:\n  windlass backup monday.db\n  windlass backup \
    /mnt/backups/windlass.db --json";
/// Examples, after the help.
pub(super) const RESTORE_EXAMPLES: &str =
    "Examples:\n  windlass restore monday.db\n  windlass restore monday.db --replace";
/// The help of `restore`, in full.
pub(super) const RESTORE: &str = "Put a backup in the place of the home's database; no host may run \
on it.\n\nA backup is older than the world. What was finished since is not known any more: servers \
made since are at their providers and nowhere here, servers deleted since are found `missing` a few \
seconds after the next start. Jobs that were not finished may have gone on since, so each goes on \
carefully: servers and other things that it makes are looked for by their labels first, and before \
it runs a command, or sends a request of which nobody can learn what came of it, it ends \
`uncertain`: `windlass job retry ID --resolve did_not_happen` lets it go on, `--resolve happened` \
lets it go past that one.";

/// Flags of `backup`.
#[derive(clap::Args)]
pub(super) struct Backup {
    /// The new file
    file: PathBuf,
}

/// Flags of `restore`.
#[derive(clap::Args)]
pub(super) struct Restore {
    /// What `windlass backup` made
    file: PathBuf,
    /// Move the database that is there aside
    #[arg(long)]
    replace: bool,
}

/// Takes a backup.
pub(super) async fn backup(
    arguments: Backup,
    flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let config = Config::read(&flags).map_err(|error| usage(&error))?;
    let taken = backup::take(&config, &arguments.file).await?;
    let missing: Vec<String> = taken.missing.iter().map(ToString::to_string).collect();
    let file = arguments.file.display().to_string();
    if terminal.is_json() {
        let (size, plugins) = (taken.size, taken.plugins);
        terminal
            .json(&json!({ "file": file, "bytes": size, "plugins": plugins, "missing": missing }));
        return Ok(());
    }
    terminal.say(&format!(
        "{file} has all that is in the database ({} bytes, {} added plugins).\n\
         Without the home's key it is worth nothing: keep that too, in another place.",
        taken.size, taken.plugins
    ));
    for digest in missing {
        terminal.say(&format!("not in it, since its file is not in the home: plugin {digest}"));
    }
    Ok(())
}

/// Puts one back.
pub(super) async fn restore(
    arguments: Restore,
    flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let config = Config::read(&flags).map_err(|error| usage(&error))?;
    let restored = backup::restore(&config, &arguments.file, arguments.replace).await?;
    let taken = restored.taken_at.map(|at| at.to_string());
    let ids: Vec<&str> = restored.unfinished.iter().map(JobId::as_str).collect();
    let replaced = restored.replaced.as_ref().map(|folder| folder.display().to_string());
    if terminal.is_json() {
        terminal.json(&json!({ "taken_at": taken, "unfinished": ids, "replaced": replaced }));
        return Ok(());
    }
    let taken = taken.unwrap_or_else(|| "a time that it does not say".to_owned());
    terminal.say(&format!("The database is as it was at {taken}."));
    if !ids.is_empty() {
        let (count, ids) = (ids.len(), ids.join(", "));
        terminal.say(&format!("{count} unfinished jobs go on carefully: {ids}"));
    }
    if let Some(folder) = replaced {
        terminal.say(&format!("What was there before is in {folder}."));
    }
    let next = if restored.has_token {
        "windlass doctor, then windlass serve"
    } else {
        "windlass token create NAME --scope admin, then windlass serve"
    };
    terminal.say(&format!("Try next:\n  {next}"));
    Ok(())
}
