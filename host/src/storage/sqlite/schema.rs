//! Opening the file: is it ours, is it whole, may we write to it, does it keep what it promises;
//! then the migrations that it lacks.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::storage::StorageError;
use crate::storage::sqlite::fault::{Cause, Fault};
use crate::storage::sqlite::mark;

/// In order; each takes the schema from its place in the list to the next number.
pub(super) const MIGRATIONS: [&str; 13] = [
    include_str!("../../../migrations/sqlite/0001_jobs.sql"),
    include_str!("../../../migrations/sqlite/0002_servers.sql"),
    include_str!("../../../migrations/sqlite/0003_config.sql"),
    include_str!("../../../migrations/sqlite/0004_apps.sql"),
    include_str!("../../../migrations/sqlite/0005_retries.sql"),
    include_str!("../../../migrations/sqlite/0006_plugins.sql"),
    include_str!("../../../migrations/sqlite/0007_counters.sql"),
    include_str!("../../../migrations/sqlite/0008_jobs_of_a_server.sql"),
    include_str!("../../../migrations/sqlite/0009_feed.sql"),
    include_str!("../../../migrations/sqlite/0010_plugin_origins.sql"),
    include_str!("../../../migrations/sqlite/0011_ended_waits.sql"),
    include_str!("../../../migrations/sqlite/0012_dns_owners.sql"),
    include_str!("../../../migrations/sqlite/0013_old_receipts.sql"),
];

/// "WNDL": tells our files from other programs' ones.
const APPLICATION_ID: i64 = 0x574e_444c;

/// Checking all of a larger file at every start would make starting slow.
const CHECKED_UP_TO: u64 = 16 * 1024 * 1024;

/// How much of the database each connection keeps in memory, in KiB. The system keeps what is read
/// often anyway; what stands here is taken for good, once enough jobs were seen. A reader begins
/// anew after each commit of the writer: what it keeps is of little use to it.
const CACHED_BY_WRITER: i64 = 2_000;
const CACHED_BY_READER: i64 = 250;

const OPENING: &str = "was opened";

/// The one connection that writes, with the schema as this host knows it.
pub(super) fn open_writer(path: &Path, traces: &[PathBuf]) -> Result<Connection, StorageError> {
    let shown = path.display().to_string();
    missed(path, traces)?;
    create_private(path, &shown)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|error| Cause::from(error).told(&shown, OPENING))?;
    prepare(&connection, path, &shown)?;
    Ok(connection)
}

/// A connection that only reads, beside the writer.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "cache_size", -CACHED_BY_READER)?;
    Ok(connection)
}

/// Refuses to begin anew where there was a database: its jobs and servers would be forgotten, and
/// nobody would know.
pub(super) fn missed(path: &Path, traces: &[PathBuf]) -> Result<(), StorageError> {
    let length = std::fs::metadata(path).map(|found| found.len());
    let (mark, log) = (mark::of(path), beside(path, "-wal"));
    let trace = [&mark, &log].into_iter().chain(traces).find(|trace| trace.exists());
    let (Some(trace), Ok(0) | Err(_)) = (trace, &length) else { return Ok(()) };
    Err(StorageError::Missing {
        path: path.display().to_string(),
        how: if length.is_ok() { "is empty" } else { "is missing" },
        trace: trace.display().to_string(),
    })
}

/// The file of this ending that belongs to a database.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The file holds sealed secrets and who did what: nobody else's business.
fn create_private(path: &Path, shown: &str) -> Result<(), StorageError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == ErrorKind::StorageFull => {
            Err(StorageError::DiskFull { path: shown.to_owned() })
        }
        Err(error) => {
            Err(StorageError::ReadOnly { path: shown.to_owned(), reason: error.to_string() })
        }
    }
}

/// Checks the file, sets the connection up, and brings the schema up to date.
pub(super) fn prepare(
    connection: &Connection,
    path: &Path,
    shown: &str,
) -> Result<(), StorageError> {
    let told = |fault: Fault| fault.told(shown, OPENING);
    connection.busy_timeout(Duration::from_secs(5)).map_err(|error| told(error.into()))?;
    let found = identify(connection, shown).map_err(told)?;
    // Read-only is what SQLite silently makes of a file that it may not write.
    if connection.is_readonly("main").map_err(|error| told(error.into()))? {
        return Err(StorageError::ReadOnly {
            path: shown.to_owned(),
            reason: "the file, or the disk it is on, is read-only".to_owned(),
        });
    }
    check(connection, path, shown).map_err(told)?;
    configure(connection).map_err(told)?;
    migrate(connection, found).map_err(told)
}

/// The schema's number, if the file is ours and not newer than this host.
pub(super) fn identify(connection: &Connection, shown: &str) -> Result<usize, Fault> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let owner: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if tables > 0 && owner != APPLICATION_ID {
        return Err(Fault::Stored("it is a database of another program".to_owned()));
    }
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match usize::try_from(found) {
        Ok(found) if found <= MIGRATIONS.len() => Ok(found),
        _ => {
            Err(StorageError::NewerSchema { path: shown.to_owned(), found, known: known() }.into())
        }
    }
}

/// The newest schema that this host knows.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn check(connection: &Connection, path: &Path, shown: &str) -> Result<(), Fault> {
    let length = std::fs::metadata(path).map(|found| found.len()).map_err(|error| {
        StorageError::ReadOnly { path: shown.to_owned(), reason: error.to_string() }
    })?;
    if length == 0 {
        return Ok(());
    }
    if length <= CHECKED_UP_TO {
        return sound(connection, "PRAGMA quick_check(1)");
    }
    for table in small_tables(connection)? {
        sound(connection, &format!("PRAGMA quick_check('{table}')"))?;
    }
    Ok(())
}

/// The tables that do not grow with the jobs. Without one of their pages nothing goes on, while a
/// page of an old job is missed by who asks for it.
fn small_tables(connection: &Connection) -> Result<Vec<String>, Fault> {
    let mut select = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN
             ('jobs', 'journal', 'dependencies', 'idempotency', 'audit', 'deleted_servers',
              'feed', 'ended_waits')
             AND name NOT LIKE 'sqlite%'",
    )?;
    let names = select.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn sound(connection: &Connection, check: &str) -> Result<(), Fault> {
    let verdict: String = connection.query_row(check, [], |row| row.get(0))?;
    finding(&verdict).map_or(Ok(()), |finding| Err(Fault::Stored(finding)))
}

/// What SQLite's check says, in one line and without its heading; none when nothing is wrong.
pub(super) fn finding(verdict: &str) -> Option<String> {
    let lines = verdict.lines().filter(|line| !line.starts_with("***"));
    let told = lines.collect::<Vec<_>>().join("; ");
    Some(told).filter(|told| told != "ok")
}

/// What durability rests on is read back: SQLite answers a refused setting with silence.
fn configure(connection: &Connection) -> Result<(), Fault> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(refused("journal_mode", &mode));
    }
    set_synchronous(connection, Synchronous::Full)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let keys: bool = connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
    if !keys {
        return Err(refused("foreign_keys", "off"));
    }
    // A log that is overwritten syncs faster than one that grows: it is not cut down to nothing
    // after each checkpoint, but only from a size to which a slow reader can let it grow.
    connection.pragma_update(None, "wal_autocheckpoint", 2_000)?;
    connection.query_row("PRAGMA journal_size_limit = 33554432", [], |_| Ok(()))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -CACHED_BY_WRITER)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// How much a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Synchronous {
    /// The log is written; the next full commit syncs it. Outlives the process, not a power cut.
    Normal,
    /// The log is on disk.
    Full,
}

/// Sets how much a commit waits for, outside of a transaction.
pub(super) fn set_synchronous(connection: &Connection, wanted: Synchronous) -> Result<(), Fault> {
    let level: i64 = match wanted {
        Synchronous::Normal => 1,
        Synchronous::Full => 2,
    };
    connection.pragma_update(None, "synchronous", level)?;
    let found: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if found == level { Ok(()) } else { Err(refused("synchronous", &found.to_string())) }
}

fn refused(setting: &str, found: &str) -> Fault {
    Fault::Sql(Cause::other(&format!(
        "`{setting}` stays `{found}`; this file system, or this SQLite, cannot keep jobs safely"
    )))
}

/// Runs the migrations that the file lacks.
pub(super) fn migrate(connection: &Connection, found: usize) -> Result<(), Fault> {
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(found) {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let number = index + 1;
        let result = connection.execute_batch(migration).and_then(|()| {
            connection.execute_batch(&format!(
                "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}; COMMIT"
            ))
        });
        if let Err(error) = result {
            connection.execute_batch("ROLLBACK").ok();
            return Err(error.into());
        }
    }
    Ok(())
}
