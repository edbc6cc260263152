//! A look at a database's file that changes nothing: is it whole, is it ours, and what waits in it.
//! It needs no host, and goes on where a host would refuse to begin.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use crate::model::job::JobStatus;
use crate::model::names::JobId;
use crate::storage::sqlite::fault::{Fault, number, parse, time};
use crate::storage::sqlite::standings::{self, Differing};
use crate::storage::sqlite::{config, mark, schema};
use crate::storage::{ProviderConfig, Sealed, StorageError};

/// How many jobs of a status are named.
const NAMED: i64 = 10;

/// How many findings of an integrity check are told.
const FINDINGS: i64 = 5;

const DOING: &str = "was examined";

/// How the file is looked at.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Whether no host writes to it meanwhile.
    pub is_alone: bool,
    /// Whether indexes are held against their tables too, which reads every page twice.
    pub is_full: bool,
    /// Whether the rows of jobs are held against their journals too.
    pub has_rows: bool,
    /// Files that are there only when the database was.
    pub traces: Vec<PathBuf>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The schema's number.
    pub schema: i64,
    /// The newest number that this program knows.
    pub known: i64,
    /// What is wrong with the file's structure; empty when nothing is.
    pub findings: Vec<String>,
    /// Why a host would not go on with it although its structure is whole.
    pub refusal: Option<StorageError>,
    /// What is in it, or why that cannot be read.
    pub contents: Result<Contents, StorageError>,
    /// The jobs whose rows are not what their journals tell, where that was looked at.
    pub rows: Option<Result<Vec<Differing>, StorageError>>,
}

/// What is in a database.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Jobs that are not finished, and those of which nobody knows whether they are.
    pub jobs: Vec<Waiting>,
    /// The newest time in it.
    pub newest: Option<Timestamp>,
    /// How providers are reached.
    pub providers: Vec<ProviderConfig>,
    /// Everything that is sealed.
    pub sealed: Vec<Sealed>,
}

/// The jobs of a status, in which jobs stay until somebody does something.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The status.
    pub status: JobStatus,
    /// How many.
    pub count: u64,
    /// The oldest of them.
    pub oldest: Vec<JobId>,
}

/// Looks at the database at `path`.
///
/// # Errors
/// When it is not there, or is nothing that can be looked at.
pub fn examine(path: &Path, look: &Look) -> Result<Examination, StorageError> {
    let shown = path.display().to_string();
    let told = |fault: Fault| fault.told(&shown, DOING);
    schema::missed(path, &look.traces)?;
    // What was promised is read first: a host may promise more meanwhile.
    let promised = mark::promised(path);
    let connection = open(path, look.is_alone).map_err(told)?;
    connection.execute_batch("BEGIN").map_err(|error| told(error.into()))?;
    let schema = schema::identify(&connection, &shown).map_err(told)?;
    let findings = findings(&connection, look.is_full).map_err(told)?;
    let refusal = lacks_commits(&connection, path, promised).err();
    let contents = contents(&connection).map_err(told);
    let rows = look.has_rows.then(|| standings::differing(&connection).map_err(told));
    Ok(Examination {
        schema: i64::try_from(schema).unwrap_or(i64::MAX),
        known: schema::known(),
        findings,
        refusal,
        contents,
        rows,
    })
}

/// A connection that writes nothing. Where nobody else has the file and its log is empty, it does
/// not even make the files that readers share.
pub(super) fn open(path: &Path, is_alone: bool) -> Result<Connection, Fault> {
    let log = std::fs::metadata(schema::beside(path, "-wal")).map_or(0, |found| found.len());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if is_alone && log == 0 {
        let flags = flags | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(address(path), flags)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// The file as an address that says that nobody changes it.
fn address(path: &Path) -> String {
    let escaped = |byte: &u8| match byte {
        b'/' | b'.' | b'_' | b'-' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    let path: String = path.as_os_str().as_encoded_bytes().iter().map(escaped).collect();
    format!("file:{path}?immutable=1")
}

fn findings(connection: &Connection, is_full: bool) -> Result<Vec<String>, Fault> {
    let check = if is_full { "integrity_check" } else { "quick_check" };
    let mut select = connection.prepare(&format!("PRAGMA {check}({FINDINGS})"))?;
    let found = select.query_map([], |row| row.get::<_, String>(0))?;
    let mut findings = Vec::new();
    for finding in found {
        let finding = finding?;
        findings.extend(schema::finding(&finding));
    }
    Ok(findings)
}

/// A schema from before commits were counted promises nothing.
fn lacks_commits(
    connection: &Connection,
    path: &Path,
    promised: Option<i64>,
) -> Result<(), StorageError> {
    match mark::commits(connection) {
        Ok(found) => mark::compare(path, promised, found),
        Err(_) => Ok(()),
    }
}

fn contents(connection: &Connection) -> Result<Contents, Fault> {
    let jobs = [JobStatus::Queued, JobStatus::Running, JobStatus::Uncertain];
    let jobs = jobs.into_iter().map(|status| waiting(connection, status));
    Ok(Contents {
        jobs: jobs.collect::<Result<_, _>>()?,
        newest: newest(connection)?,
        providers: config::providers(connection)?,
        sealed: config::sealed(connection)?,
    })
}

fn waiting(connection: &Connection, status: JobStatus) -> Result<Waiting, Fault> {
    let name = status.as_str();
    let count: i64 = connection
        .prepare("SELECT count(*) FROM jobs WHERE status = ?1")?
        .query_row([name], |row| row.get(0))?;
    let mut select =
        connection.prepare("SELECT id FROM jobs WHERE status = ?1 ORDER BY number LIMIT ?2")?;
    let mut rows = select.query(rusqlite::params![name, NAMED])?;
    let mut oldest = Vec::new();
    while let Some(row) = rows.next()? {
        oldest.push(parse(&row.get::<_, String>(0)?)?);
    }
    Ok(Waiting { status, count: number(count)?, oldest })
}

/// Of the newest job, and of what was done last.
fn newest(connection: &Connection) -> Result<Option<Timestamp>, Fault> {
    let mut select = connection.prepare(
        "SELECT max(coalesce((SELECT max(created_at, coalesce(completed_at, 0)) FROM jobs
                              ORDER BY number DESC LIMIT 1), 0),
                    coalesce((SELECT at FROM audit ORDER BY number DESC LIMIT 1), 0))",
    )?;
    let newest: i64 = select.query_row([], |row| row.get(0))?;
    Some(newest).filter(|&newest| newest > 0).map(time).transpose()
}
