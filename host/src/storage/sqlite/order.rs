//! Which queued jobs may run: the oldest unfinished one of each server, once all that it depends
//! on is completed. `jobs.ready` says so, and every transaction that ends a job keeps it true.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::model::failure::Failure;
use crate::model::job::JobStatus;
use crate::model::journal::{Event, NewEntry};
use crate::model::names::{JobId, ServerName};
use crate::model::server::ServerStatus;
use crate::storage::Change;
use crate::storage::sqlite::fault::{Fault, column, number, parse, to_json};
use crate::storage::sqlite::verb::Writing;
use crate::storage::sqlite::{apps, journal, servers};

/// How many waiting jobs are looked at in one transaction.
const LOOKED_AT: usize = 1_000;

/// Marks a queued job as claimable if it is. Answers whether it was not before and is now.
pub(super) fn make_ready(connection: &Connection, job: i64) -> Result<bool, Fault> {
    let changed = connection
        .prepare_cached(
            "UPDATE jobs SET ready = 1
             WHERE number = ?1 AND status = 'queued' AND ready = 0
               AND NOT EXISTS (
                   SELECT 1 FROM jobs AS older
                   WHERE older.server = jobs.server AND older.status IN ('queued', 'running')
                     AND older.number < ?1)
               AND NOT EXISTS (
                   SELECT 1 FROM dependencies
                   JOIN jobs AS needed ON needed.number = dependencies.needs
                   WHERE dependencies.job = ?1 AND needed.status <> 'completed')",
        )?
        .execute([job])?;
    Ok(changed > 0)
}

/// Lets those go on that waited for a job which just ended. What depends on one that did not
/// complete ends too: it would wait for ever.
pub(super) fn release(writing: &mut Writing<'_>, ended: i64, now: Timestamp) -> Result<(), Fault> {
    let (id, server, status, attempt): (String, Option<String>, String, u32) = writing
        .connection
        .prepare_cached("SELECT id, server, status, attempt FROM jobs WHERE number = ?1")?
        .query_row([ended], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let (id, status): (JobId, JobStatus) = (parse(&id)?, parse(&status)?);
    let server = server.as_deref().map(parse::<ServerName>).transpose()?;
    apps::settle(writing.connection, &id, (status, attempt > 0), now)?;
    if let (Some(name), false) = (&server, status == JobStatus::Completed) {
        settle(writing.connection, name, attempt > 0, now)?;
    }
    for dependant in dependants(writing.connection, ended)? {
        if status == JobStatus::Completed {
            wake(writing, dependant)?;
        } else {
            give_up(writing, dependant, &id, now)?;
        }
    }
    if let Some(next) = next_of(writing.connection, server.as_ref().map(ServerName::as_str))? {
        wake(writing, next)?;
    }
    Ok(())
}

/// A server that is being made or deleted although no job does so any more is in error. When the
/// job never began, nothing was made, or nothing was deleted.
fn settle(
    connection: &Connection,
    name: &ServerName,
    began: bool,
    now: Timestamp,
) -> Result<(), Fault> {
    let is_busy: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM jobs
             WHERE server = ?1 AND status IN ('queued', 'running'))",
        )?
        .query_row([name.as_str()], |row| row.get(0))?;
    let Some(mut server) = servers::server(connection, name)? else { return Ok(()) };
    if is_busy {
        return Ok(());
    }
    server.status = match (server.status, began) {
        (ServerStatus::Creating, false) if server.provider_id.is_none() => {
            return servers::remove(connection, name, now);
        }
        (ServerStatus::Deleting, false) if server.provider_id.is_some() => ServerStatus::Running,
        (ServerStatus::Creating | ServerStatus::Deleting, _) => ServerStatus::Error,
        _ => return Ok(()),
    };
    servers::put(connection, &server)
}

/// Ends a queued job because `needed`, which it depends on, will not complete.
pub(super) fn give_up(
    writing: &mut Writing<'_>,
    job: i64,
    needed: &JobId,
    now: Timestamp,
) -> Result<(), Fault> {
    let message = format!("it was not started: {needed}, which it depends on, did not complete");
    let failure = Failure::safe("dependency_failed", message);
    let id: Option<String> = writing
        .connection
        .prepare_cached(
            "UPDATE jobs SET status = 'failed', failure = ?2, completed_at = ?3, ready = 0
             WHERE number = ?1 AND status = 'queued' RETURNING id",
        )?
        .query_row(params![job, to_json(&failure)?, now.as_microsecond()], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(()) };
    let event = Event::Finished { status: JobStatus::Failed, failure: Some(failure), result: None };
    journal::record(writing, job, &parse(&id)?, &[NewEntry { at: now, event }])?;
    release(writing, job, now)
}

/// Looks at some queued jobs anew, when a mistake of an earlier version must not leave them waiting
/// for ever. A few at a time: there may be a million.
pub(super) fn wake_some(writing: &mut Writing<'_>, after: u64) -> Result<Option<u64>, Fault> {
    let waiting = {
        let mut select = writing.connection.prepare_cached(
            "SELECT number FROM jobs WHERE status = 'queued' AND number > ?1
             ORDER BY number LIMIT ?2",
        )?;
        let limit = i64::try_from(LOOKED_AT).unwrap_or(i64::MAX);
        numbers(select.query([column(after), limit])?)?
    };
    let last = waiting.last().filter(|_| waiting.len() == LOOKED_AT).copied();
    waiting.into_iter().try_for_each(|job| wake(writing, job))?;
    last.map(number).transpose()
}

/// The first column of every row.
pub(super) fn numbers(mut rows: rusqlite::Rows<'_>) -> Result<Vec<i64>, Fault> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(row.get(0)?);
    }
    Ok(found)
}

fn wake(writing: &mut Writing<'_>, job: i64) -> Result<(), Fault> {
    if make_ready(writing.connection, job)? {
        writing.changed(Change::Claimable);
    }
    Ok(())
}

fn dependants(connection: &Connection, needed: i64) -> Result<Vec<i64>, Fault> {
    let mut select =
        connection.prepare_cached("SELECT job FROM dependencies WHERE needs = ?1 ORDER BY job")?;
    numbers(select.query([needed])?)
}

fn next_of(connection: &Connection, server: Option<&str>) -> Result<Option<i64>, Fault> {
    let Some(server) = server else { return Ok(None) };
    let next = connection
        .prepare_cached(
            "SELECT number FROM jobs WHERE server = ?1 AND status = 'queued'
             ORDER BY number LIMIT 1",
        )?
        .query_row([server], |row| row.get(0))
        .optional()?;
    Ok(next)
}
