//! How many commits were confirmed, noted beside the database. A log that was cut off looks like
//! one that was never longer: only who remembers what was promised can tell.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tracing::warn;

use crate::storage::StorageError;
use crate::storage::sqlite::fault::Fault;
use crate::storage::sqlite::schema::beside;

/// What the file is called, after the database's name.
const ENDING: &str = "-mark";

/// The note. It is written after each commit that reached the disk and is not synced itself, so
/// that it never says more than is true.
pub(super) struct Mark {
    file: Option<File>,
}

impl Mark {
    /// Opens the note of the database at `path`, and refuses a database that lacks commits which
    /// were confirmed.
    pub(super) fn open(path: &Path, connection: &Connection) -> Result<Self, StorageError> {
        let shown = path.display().to_string();
        let found = commits(connection).map_err(|fault| fault.told(&shown, "was opened"))?;
        compare(path, promised(path), found)?;
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(of(path));
        let file = file.inspect_err(|error| {
            warn!(%error, "how many commits were confirmed cannot be noted; a log that is cut off \
                  will not be noticed");
        });
        let mut mark = Self { file: file.ok() };
        mark.note(found);
        Ok(mark)
    }

    /// Notes that so many commits are on disk.
    pub(super) fn note(&mut self, commits: i64) {
        let Some(file) = &self.file else { return };
        if let Err(error) = file.write_all_at(format!("{commits:020}\n").as_bytes(), 0) {
            warn!(%error, "how many commits were confirmed cannot be noted any more");
            self.file = None;
        }
    }
}

/// How many commits the database knows of.
pub(super) fn commits(connection: &Connection) -> Result<i64, Fault> {
    let mut select = connection.prepare_cached("SELECT n FROM counters WHERE name = 'commits'")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// Refuses a database that knows of fewer commits than were confirmed.
pub(super) fn compare(path: &Path, promised: Option<i64>, found: i64) -> Result<(), StorageError> {
    match promised {
        Some(promised) if promised > found => Err(StorageError::CutOff {
            path: path.display().to_string(),
            missing: (promised - found).unsigned_abs(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// How many commits were confirmed; none when nobody noted it, or a power cut took the note.
pub(super) fn promised(path: &Path) -> Option<i64> {
    let mut text = String::new();
    File::open(of(path)).ok()?.take(64).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Takes the note away, with the database that it is about.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(of(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The note of the database at `path`.
pub(super) fn of(path: &Path) -> PathBuf {
    beside(path, ENDING)
}
