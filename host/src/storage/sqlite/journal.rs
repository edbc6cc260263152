//! Journals: numbered entries, written only by who has the job; what is read from them.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::model::job::{Lease, PluginPin, View};
use crate::model::journal::{Entry, Event, LogLevel, NewEntry};
use crate::model::names::{Identity, JobId, ServerName};
use crate::storage::parts::{Most, Part, PartStore};
use crate::storage::sqlite::Sqlite;
use crate::storage::sqlite::fault::{Fault, column, from_json, number, time, to_json};
use crate::storage::sqlite::verb::Writing;
use crate::storage::sqlite::{feed, receipts};
use crate::storage::{Change, LogLine, StorageError};

#[async_trait]
impl PartStore for Sqlite {
    async fn journal_part(&self, id: &JobId, after: u64, most: Most) -> Result<Part, StorageError> {
        let (id, doing) = (id.clone(), "read a journal");
        let verb = move |reader: &Connection| part(reader, &id, after, most);
        if most.entries <= FEW {
            self.read_short(doing, verb).await
        } else {
            self.read(doing, verb).await
        }
    }
}

/// So many entries are read on the thread that asks.
const FEW: usize = 64;

/// A write that nobody waits for.
#[derive(Clone, Debug)]
pub(super) enum Deferred {
    /// Entries, and the view that follows from them.
    Append {
        /// Who writes.
        lease: Lease,
        /// In order.
        entries: Vec<NewEntry>,
        /// Steps and percent.
        view: Option<View>,
    },
    /// What the job runs.
    Pin {
        /// Who writes.
        lease: Lease,
        /// The plugin.
        pin: PluginPin,
        /// When that was chosen.
        at: Timestamp,
    },
    /// Receipts that are to be removed once the job has ended.
    Leave {
        /// Who writes.
        lease: Lease,
        /// Where they are.
        server: ServerName,
        /// Which.
        receipts: Vec<Identity>,
    },
}

impl Deferred {
    /// Who writes.
    pub(super) const fn lease(&self) -> &Lease {
        match self {
            Self::Append { lease, .. } | Self::Pin { lease, .. } | Self::Leave { lease, .. } => {
                lease
            }
        }
    }

    /// Writes it.
    pub(super) fn write(&self, writing: &mut Writing<'_>) -> Result<(), Fault> {
        match self {
            Self::Append { lease, entries, view } => {
                append(writing, lease, entries)?;
                view.as_ref().map_or(Ok(()), |view| show(writing, lease, view))
            }
            Self::Pin { lease, pin: plugin, at } => {
                hold(writing.connection, lease)?;
                pin(writing, (column(lease.number), &lease.job), plugin, *at)
            }
            Self::Leave { lease, server, receipts: left } => {
                hold(writing.connection, lease)?;
                receipts::leave(writing.connection, server, left)
            }
        }
    }
}

/// Lets a job run this plugin.
pub(super) fn pin(
    writing: &mut Writing<'_>,
    (job, id): (i64, &JobId),
    plugin: &PluginPin,
    at: Timestamp,
) -> Result<(), Fault> {
    writing
        .connection
        .prepare_cached(
            "UPDATE jobs SET plugin_name = ?2, plugin_version = ?3, plugin_digest = ?4
             WHERE number = ?1",
        )?
        .execute(params![job, plugin.name, plugin.version, plugin.digest.as_str()])?;
    let event = Event::Pinned { plugin: plugin.clone() };
    record(writing, job, id, &[NewEntry { at, event }])
}

/// Adds entries in the name of who has the job.
pub(super) fn append(
    writing: &mut Writing<'_>,
    lease: &Lease,
    entries: &[NewEntry],
) -> Result<(), Fault> {
    hold(writing.connection, lease)?;
    record(writing, column(lease.number), &lease.job, entries)
}

/// Adds entries with the next numbers.
pub(super) fn record(
    writing: &mut Writing<'_>,
    job: i64,
    id: &JobId,
    entries: &[NewEntry],
) -> Result<(), Fault> {
    let mut last: i64 = writing
        .connection
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM journal WHERE job = ?1")?
        .query_row([job], |row| row.get(0))?;
    let mut insert = writing.connection.prepare_cached(
        "INSERT INTO journal (job, seq, at, kind, level, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for NewEntry { at, event } in entries {
        last += 1;
        let level = match event {
            Event::Log { level, .. } => Some(rank(*level)),
            _ => None,
        };
        let body = to_json(event)?;
        insert.execute(params![job, last, at.as_microsecond(), event.kind(), level, body])?;
        feed::add(writing.connection, job, last)?;
    }
    drop(insert);
    writing.changed(Change::Job(id.clone()));
    Ok(())
}

/// Refuses who no longer has the job.
pub(super) fn hold(connection: &Connection, lease: &Lease) -> Result<(), Fault> {
    let is_held: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM jobs
             WHERE number = ?1 AND worker = ?2 AND fence = ?3 AND status = 'running')",
        )?
        .query_row(
            params![column(lease.number), lease.worker.as_str(), column(lease.fence)],
            |row| row.get(0),
        )?;
    if is_held { Ok(()) } else { Err(StorageError::LeaseLost { job: lease.job.clone() }.into()) }
}

/// Takes the job from who has it: the next recovery puts it back in the queue.
pub(super) fn abandon(connection: &Connection, lease: &Lease) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE jobs SET worker = NULL, lease_until = 0
             WHERE number = ?1 AND worker = ?2 AND fence = ?3 AND status = 'running'",
        )?
        .execute(params![column(lease.number), lease.worker.as_str(), column(lease.fence)])?;
    Ok(())
}

/// The entries after `after`, in order.
pub(super) fn entries(
    connection: &Connection,
    id: &JobId,
    after: u64,
    limit: usize,
) -> Result<Vec<Entry>, Fault> {
    Ok(part(connection, id, after, Most { entries: limit, bytes: usize::MAX })?.entries)
}

/// The journal of a job from this entry on, as much as may be had at once; the first is always.
pub(super) fn part(
    connection: &Connection,
    id: &JobId,
    after: u64,
    most: Most,
) -> Result<Part, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT seq, at, body FROM journal
         WHERE job = (SELECT number FROM jobs WHERE id = ?1) AND seq > ?2
         ORDER BY seq LIMIT ?3",
    )?;
    let limit = i64::try_from(most.entries).unwrap_or(i64::MAX);
    let mut rows = select.query(params![id.as_str(), column(after), limit])?;
    let (mut entries, mut bytes) = (Vec::new(), 0_usize);
    while bytes < most.bytes {
        let Some(row) = rows.next()? else {
            return Ok(Part { is_last: entries.len() < most.entries, entries });
        };
        let body: String = row.get(2)?;
        bytes = bytes.saturating_add(body.len());
        entries.push(Entry {
            seq: number(row.get(0)?)?,
            at: time(row.get(1)?)?,
            event: from_json(&body)?,
        });
    }
    Ok(Part { entries, is_last: false })
}

/// The last lines that matter at least so much, and how many such lines there are.
pub(super) fn logs(
    connection: &Connection,
    id: &JobId,
    tail: usize,
    level: LogLevel,
) -> Result<(Vec<LogLine>, u64), Fault> {
    let total: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM journal
             WHERE job = (SELECT number FROM jobs WHERE id = ?1) AND level >= ?2",
        )?
        .query_row(params![id.as_str(), rank(level)], |row| row.get(0))?;
    let mut select = connection.prepare_cached(
        "SELECT seq, at, body FROM journal
         WHERE job = (SELECT number FROM jobs WHERE id = ?1) AND level >= ?2
         ORDER BY seq DESC LIMIT ?3",
    )?;
    let tail = i64::try_from(tail).unwrap_or(i64::MAX);
    let mut rows = select.query(params![id.as_str(), rank(level), tail])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let body: String = row.get(2)?;
        if let Event::Log { level, message, .. } = from_json(&body)? {
            lines.push(LogLine {
                seq: number(row.get(0)?)?,
                at: time(row.get(1)?)?,
                level,
                message,
            });
        }
    }
    lines.reverse();
    Ok((lines, number(total)?))
}

fn show(writing: &Writing<'_>, lease: &Lease, view: &View) -> Result<(), Fault> {
    writing
        .connection
        .prepare_cached("UPDATE jobs SET view = ?2 WHERE number = ?1")?
        .execute(params![column(lease.number), to_json(view)?])?;
    Ok(())
}

const fn rank(level: LogLevel) -> i64 {
    match level {
        LogLevel::Debug => 0,
        LogLevel::Info => 1,
        LogLevel::Warn => 2,
        LogLevel::Error => 3,
    }
}
