//! Copies of the database: taken while a host works, and put back later. A copy is one file without
//! a log, made in one read of one state; added plugins travel in it.
//!
//! What is put back is older than the world: jobs that were not finished then may have gone on
//! since. Each gets an entry that says so, and its effects are careful from there on.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::model::journal::{Event, NewEntry};
use crate::model::names::{Digest, JobId};
use crate::storage::sqlite::fault::{Fault, parse, time};
use crate::storage::sqlite::verb::Writing;
use crate::storage::sqlite::{config, examination, journal, mark, schema};
use crate::storage::{AuditRecord, StorageError};

const TAKING: &str = "was copied";
const PUTTING: &str = "was put back";

/// A plugin that was added, as the copy has it.
pub type Kept = (Digest, Vec<u8>);

/// What was put back.
#[derive(Clone, Debug)]
pub struct PutBack {
    /// When the copy was taken; none when something else made it.
    pub taken_at: Option<Timestamp>,
    /// The jobs that were not finished then.
    pub unfinished: Vec<JobId>,
    /// The plugins in it.
    pub plugins: Vec<Kept>,
}

/// Copies the database at `from`, as it is at this moment, into the new file `to`. A host may write
/// to it meanwhile.
///
/// # Errors
/// When it cannot be read, or `to` cannot be written. What was begun of `to` stays.
pub fn take(from: &Path, to: &Path, now: Timestamp) -> Result<(), StorageError> {
    let shown = from.display().to_string();
    create(to)?;
    let connection = examination::open(from, false).map_err(|fault| fault.told(&shown, TAKING))?;
    let target = to.to_string_lossy();
    connection
        .execute("VACUUM INTO ?1", [&*target])
        .map_err(|error| Fault::from(error).told(&shown, TAKING))?;
    let note = || -> Result<(), Fault> {
        let copy = Connection::open(to)?;
        copy.execute_batch(
            "CREATE TABLE backup (taken_at INTEGER NOT NULL) STRICT;
             CREATE TABLE backup_plugins (digest TEXT NOT NULL PRIMARY KEY, bytes BLOB NOT NULL)
                 STRICT",
        )?;
        copy.execute("INSERT INTO backup (taken_at) VALUES (?1)", [now.as_microsecond()])?;
        Ok(())
    };
    note().map_err(|fault| fault.told(&target, TAKING))
}

/// The added plugins whose bytes a copy needs.
///
/// # Errors
/// When the copy cannot be read.
pub fn plugins_of(copy: &Path) -> Result<Vec<Digest>, StorageError> {
    let read = || -> Result<Vec<Digest>, Fault> {
        let copy = Connection::open(copy)?;
        let mut select = copy.prepare("SELECT digest FROM plugin_versions WHERE is_kept = 1")?;
        let mut rows = select.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(parse(&row.get::<_, String>(0)?)?);
        }
        Ok(found)
    };
    read().map_err(|fault| fault.told(&copy.display().to_string(), TAKING))
}

/// Puts plugins into a copy, and the copy on disk.
///
/// # Errors
/// When it cannot be written.
pub fn seal(copy: &Path, plugins: &[Kept]) -> Result<(), StorageError> {
    let write = || -> Result<(), Fault> {
        let connection = Connection::open(copy)?;
        for (digest, bytes) in plugins {
            connection.execute(
                "INSERT INTO backup_plugins (digest, bytes) VALUES (?1, ?2)",
                params![digest.as_str(), bytes],
            )?;
        }
        let verdict: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict == "ok" { Ok(()) } else { Err(Fault::Stored(verdict)) }
    };
    write().map_err(|fault| fault.told(&copy.display().to_string(), TAKING))?;
    synced(copy).map_err(|error| refused(copy, &error))
}

/// Makes the new file `to` of a copy, with the newest schema, and a note in each job that was not
/// finished. Nobody uses `to` yet.
///
/// # Errors
/// When the copy is none of ours, or `to` cannot be written.
pub fn put_back(copy: &Path, to: &Path, by: &str) -> Result<PutBack, StorageError> {
    create(to)?;
    std::fs::copy(copy, to).map_err(|error| refused(to, &error))?;
    let shown = copy.display().to_string();
    let put = put(to, &shown, by).map_err(|fault| fault.told(&shown, PUTTING))?;
    synced(to).map_err(|error| refused(to, &error))?;
    Ok(put)
}

/// Takes away what is beside a database that went: its log, and what was promised of it.
///
/// # Errors
/// When one of them stays.
pub fn forget_log(path: &Path) -> Result<(), StorageError> {
    let forget = || -> io::Result<()> {
        for ending in ["-wal", "-shm"] {
            match std::fs::remove_file(schema::beside(path, ending)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        mark::remove(path)
    };
    forget().map_err(|error| refused(path, &error))
}

fn put(to: &Path, shown: &str, by: &str) -> Result<PutBack, Fault> {
    let connection = Connection::open(to)?;
    let found = schema::identify(&connection, shown)?;
    schema::migrate(&connection, found)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let taken_at = taken_at(&connection)?;
    let plugins = plugins(&connection)?;
    connection.execute_batch("DROP TABLE IF EXISTS backup; DROP TABLE IF EXISTS backup_plugins")?;
    let unfinished = note_unfinished(&connection, taken_at)?;
    let now = Timestamp::now();
    let detail = serde_json::json!({ "taken_at": taken_at, "unfinished_jobs": unfinished.len() });
    let (by, action, target) = (by.to_owned(), "restore".to_owned(), shown.to_owned());
    config::audit(&connection, &AuditRecord { at: now, by, action, target, detail })?;
    connection.execute_batch("COMMIT")?;
    Ok(PutBack { taken_at, unfinished, plugins })
}

/// A file that is no copy of [`take`] says nothing of when it was taken.
fn taken_at(connection: &Connection) -> Result<Option<Timestamp>, Fault> {
    if !has_table(connection, "backup")? {
        return Ok(None);
    }
    let taken: Option<i64> =
        connection.query_row("SELECT taken_at FROM backup", [], |row| row.get(0)).optional()?;
    taken.map(time).transpose()
}

fn plugins(connection: &Connection) -> Result<Vec<Kept>, Fault> {
    if !has_table(connection, "backup_plugins")? {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare("SELECT digest, bytes FROM backup_plugins")?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((parse(&row.get::<_, String>(0)?)?, row.get(1)?));
    }
    Ok(found)
}

fn has_table(connection: &Connection, name: &str) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
    Ok(connection.query_row(sql, [name], |row| row.get(0))?)
}

fn note_unfinished(
    connection: &Connection,
    taken_at: Option<Timestamp>,
) -> Result<Vec<JobId>, Fault> {
    let mut select =
        connection.prepare("SELECT number, id FROM jobs WHERE status IN ('queued', 'running')")?;
    let mut rows = select.query([])?;
    let mut writing = Writing { connection, changes: Vec::new() };
    let mut noted = Vec::new();
    while let Some(row) = rows.next()? {
        let id: JobId = parse(&row.get::<_, String>(1)?)?;
        let entry = NewEntry { at: Timestamp::now(), event: Event::Restored { taken_at } };
        journal::record(&mut writing, row.get(0)?, &id, &[entry])?;
        noted.push(id);
    }
    Ok(noted)
}

/// A new file, for its owner alone.
fn create(path: &Path) -> Result<(), StorageError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map(drop).map_err(|error| refused(path, &error))
}

fn synced(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn refused(path: &Path, error: &io::Error) -> StorageError {
    let path = path.display().to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StorageError::DiskFull { path }
        }
        _ => StorageError::ReadOnly { path, reason: error.to_string() },
    }
}
