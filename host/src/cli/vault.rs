//! `windlass vault`: the key that secrets are sealed with. No host may run meanwhile.

use std::path::PathBuf;

use serde_json::json;

use crate::app::vault;
use crate::cli::connection::usage;
use crate::cli::terminal::Terminal;
use crate::cli::{Exit, Refusal};
use crate::config::{Config, Flags, NewKey};

/// What can be done with the vault.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Seal every secret with a new key; the host must not run
    #[command(long_about = ROTATE, after_help = ROTATE_EXAMPLES)]
    Rotate {
        /// A file with the new key, for a host that gets it in `WINDLASS_KEY`
        #[arg(long, value_name = "FILE")]
        new_key_file: Option<PathBuf>,
        /// A file with the new passphrase
        #[arg(long, value_name = "FILE", conflicts_with = "new_key_file")]
        new_passphrase_file: Option<PathBuf>,
    },
}

/// Examples, after the help.
pub(super) const EXAMPLES: &str = "Examples:\n  windlass vault rotate";
const ROTATE_EXAMPLES: &str = "Examples:\n  windlass vault rotate\n  windlass vault rotate \
    --new-passphrase-file passphrase.txt";

/// The help of `rotate`.
const ROTATE: &str = "Seal every secret with a new key.\n\nWith a key file in the home, a new one is \
made. A host that is given its key or a passphrase needs the new one in a file; that also takes a \
home from one kind of key to another. It may be killed at any point: the next start goes on with \
the old key or with the new one. Backups made before need the old key.";

/// Does it.
pub(super) async fn run(
    command: Command,
    flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let Command::Rotate { new_key_file, new_passphrase_file } = command;
    let config = Config::read(&flags).map_err(|error| usage(&error))?;
    let new = NewKey { key_file: new_key_file, passphrase_file: new_passphrase_file };
    let to = new.read(&config.key).map_err(|error| usage(&error))?;
    let Some(to) = to else {
        let message = "This home's key is given to the host: give the new one too.";
        let next = "windlass vault rotate --new-key-file FILE, or --new-passphrase-file FILE";
        return Err(Refusal::new(Exit::Usage, message).with_next(next));
    };
    let rotated = vault::rotate(&config, to).await?;
    let (old, new, values) = (rotated.old, rotated.new, rotated.values);
    if terminal.is_json() {
        let (old, new) = (old.to_string(), new.to_string());
        terminal.json(&json!({ "old": old, "new": new, "values": values }));
    } else {
        terminal.say(&format!(
            "{values} values are sealed with the key {new}; {old} opens only backups from before."
        ));
    }
    Ok(())
}
