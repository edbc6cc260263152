//! Backups of the home's database: taken while a host works or while none does, and put back while
//! none does. The key is not in them; without it they are worth nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::app::home::{self, Home};
use crate::app::{database, plugins, tokens};
use crate::config::Config;
use crate::error::{Error, ErrorKind, sentence};
use crate::model::names::{Digest, JobId};
use crate::plugins::depot::Depot;
use crate::storage::StorageError;
use crate::storage::sqlite::backup::{self, PutBack};
use crate::storage::sqlite::examination::{self, Contents, Look};
use crate::vault::source;

/// What a backup is called until it is whole.
const UNFINISHED: &str = "part";

/// A backup that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its size in bytes.
    pub size: u64,
    /// How many added plugins are in it.
    pub plugins: usize,
    /// Added plugins that are on record and whose bytes are not in the home.
    pub missing: Vec<Digest>,
}

/// A backup that was put back.
#[derive(Clone, Debug)]
pub struct Restored {
    /// When it was taken, if it says so.
    pub taken_at: Option<Timestamp>,
    /// Jobs that were not finished then, and go on carefully.
    pub unfinished: Vec<JobId>,
    /// Where what was in the home before is now.
    pub replaced: Option<PathBuf>,
    /// Whether the home has a token for its owner.
    pub has_token: bool,
}

/// Copies the home's database, as it is at this moment, into a new file.
///
/// # Errors
/// When there is no home, or the file is there already or cannot be written.
#[tracing::instrument(skip_all, fields(home = %config.home.display()))]
pub async fn take(config: &Config, file: &Path) -> Result<Taken, Error> {
    let (from, to) = (database::of(&config.home), file.to_owned());
    if to.exists() {
        let message = format!("There is a file {} already: choose another name.", to.display());
        return Err(Error::new(ErrorKind::Conflict, "file_exists", message));
    }
    if !from.exists() {
        let message = format!("There is no database at {}: nothing to back up.", from.display());
        return Err(Error::new(ErrorKind::NotFound, "no_home", message));
    }
    let depot = plugins::depot(config)?;
    blocking(move || {
        let part = with_ending(&to, UNFINISHED);
        // One that was cut off before is of no use.
        remove(&part)?;
        let taken = take_into(&from, &part, &depot);
        if taken.is_err() {
            fs::remove_file(&part).unwrap_or_default();
        }
        let taken = taken?;
        fs::rename(&part, &to).map_err(|error| unwritten(&to, &error))?;
        Ok(taken)
    })
    .await
}

fn take_into(from: &Path, part: &Path, depot: &Depot) -> Result<Taken, Error> {
    backup::take(from, part, Timestamp::now())?;
    let (mut kept, mut missing) = (Vec::new(), Vec::new());
    for digest in backup::plugins_of(part)? {
        match depot.read(&digest).map_err(home::unusable)? {
            Some(bytes) => kept.push((digest, bytes)),
            None => missing.push(digest),
        }
    }
    backup::seal(part, &kept)?;
    let size = fs::metadata(part).map_err(|error| unwritten(part, &error))?.len();
    Ok(Taken { size, plugins: kept.len(), missing })
}

/// Puts a backup in the place of the home's database. What is there is moved aside, if that was
/// said; otherwise there must be none.
///
/// # Errors
/// When a host uses the home, the file is no whole backup, or its key is not at hand.
#[tracing::instrument(skip_all, fields(home = %config.home.display()))]
pub async fn restore(config: &Config, file: &Path, replaces: bool) -> Result<Restored, Error> {
    let contents = whole(file).await?;
    let vault = source::look(&config.home, &config.key, &contents.sealed).await;
    vault.map_err(|error| {
        let why = sentence(&error.to_string());
        let message = format!("This backup cannot be opened with the key at hand. {why}");
        Error::new(ErrorKind::Conflict, "wrong_key", message)
    })?;
    let home = Home::open(&config.home).await?;
    let (there, file) = (database::of(home.path()), file.to_owned());
    if there.exists() && !replaces {
        let message = format!(
            "There is a database at {}: with --replace it is moved aside.",
            there.display()
        );
        return Err(Error::new(ErrorKind::Conflict, "home_in_use", message));
    }
    let depot = plugins::depot(config)?;
    let restored = blocking(move || {
        let made = with_ending(&there, UNFINISHED);
        remove(&made)?;
        let PutBack { taken_at, unfinished, plugins } =
            backup::put_back(&file, &made, "the command line")?;
        for (digest, bytes) in plugins {
            depot.put(&digest, &bytes).map_err(home::unusable)?;
        }
        let replaced = move_aside(&there).map_err(|error| unwritten(&there, &error))?;
        backup::forget_log(&there)?;
        fs::rename(&made, &there).map_err(|error| unwritten(&there, &error))?;
        let has_token = there.with_file_name(tokens::FILE).exists();
        Ok(Restored { taken_at, unfinished, replaced, has_token })
    })
    .await;
    home.leave();
    restored
}

/// What is in a backup, when nothing is wrong with it.
async fn whole(file: &Path) -> Result<Contents, Error> {
    let path = file.to_owned();
    let refused = |why: String| {
        let message = format!("`{}` is no backup that can be restored: {why}", file.display());
        Error::new(ErrorKind::Invalid, "bad_backup", sentence(&message))
    };
    if !path.is_file() {
        return Err(refused("there is no such file".to_owned()));
    }
    if fs::metadata(with_suffix(&path, "-wal")).is_ok_and(|log| log.len() > 0) {
        let why = "it has a log beside it, so it is a database in use; `windlass backup` makes a \
                   whole one of it";
        return Err(refused(why.to_owned()));
    }
    let look = Look { is_alone: true, is_full: true, ..Look::default() };
    let found = blocking(move || Ok(examination::examine(&path, &look)?)).await;
    let found = found.map_err(|error| refused(error.message().to_owned()))?;
    if let Some(finding) = found.findings.into_iter().next() {
        return Err(refused(finding));
    }
    if let Some(refusal) = found.refusal {
        return Err(refused(refusal.to_string()));
    }
    found.contents.map_err(|error| refused(error.to_string()))
}

/// Moves the database and what belongs to it into a folder of its own. Answers which.
fn move_aside(database: &Path) -> io::Result<Option<PathBuf>> {
    if !database.exists() {
        return Ok(None);
    }
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S%.6fZ").to_string();
    let folder = database.with_file_name(format!("replaced-{stamp}"));
    fs::create_dir(&folder)?;
    // The log first: without it, and with its mark, what is left is known to lack something.
    for ending in ["-wal", "-shm", ""] {
        let from = with_suffix(database, ending);
        if let (true, Some(name)) = (from.exists(), from.file_name()) {
            fs::rename(&from, folder.join(name))?;
        }
    }
    Ok(Some(folder))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritten(path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Error {
    let path = path.display().to_string();
    StorageError::ReadOnly { path, reason: error.to_string() }.into()
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    with_suffix(path, &format!(".{ending}"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
