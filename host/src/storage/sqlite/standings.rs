//! Rows of jobs held against their journals, and made what those tell. Nobody claims a job
//! meanwhile.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::model::job::JobStatus;
use crate::model::journal::Entry;
use crate::model::standing::{Standing, Tells};
use crate::storage::sqlite::fault::{Fault, from_json, number, time, to_json};
use crate::storage::sqlite::{jobs, order};

/// How many jobs are looked for at once.
const AT_ONCE: i64 = 1_000;

/// A job whose row is not what its journal tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// Its id.
    pub job: String,
    /// What of its record.
    pub parts: Vec<&'static str>,
}

/// Every job whose row is not what its journal tells, in order.
pub(super) fn differing(connection: &Connection) -> Result<Vec<Differing>, Fault> {
    let mut found = Vec::new();
    each(connection, |place, standing| {
        found.extend(difference(connection, place, standing)?);
        Ok(())
    })?;
    Ok(found)
}

/// Makes each row what its journal tells. Answers which were not.
pub(super) fn correct(connection: &Connection) -> Result<Vec<Differing>, Fault> {
    let mut found = Vec::new();
    each(connection, |place, standing| {
        if let Some(differing) = difference(connection, place, standing)? {
            write(connection, place, standing)?;
            found.push(differing);
        }
        Ok(())
    })?;
    Ok(found)
}

fn each(
    connection: &Connection,
    mut what: impl FnMut(i64, &Standing) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut after = 0;
    loop {
        let mut select = connection
            .prepare_cached("SELECT number FROM jobs WHERE number > ?1 ORDER BY number LIMIT ?2")?;
        let places = order::numbers(select.query([after, AT_ONCE])?)?;
        let Some(&last) = places.last() else { return Ok(()) };
        for place in places {
            what(place, &standing(connection, place)?)?;
        }
        after = last;
    }
}

/// How a job stands by its journal.
fn standing(connection: &Connection, place: i64) -> Result<Standing, Fault> {
    // The others tell nothing of it, and are most of it.
    let mut select = connection.prepare_cached(
        "SELECT seq, at, body FROM journal
         WHERE job = ?1 AND kind IN ('submitted', 'claimed', 'pinned', 'plan', 'step', 'progress',
                                     'cancel_requested', 'requeued', 'finished')
         ORDER BY seq",
    )?;
    let mut rows = select.query([place])?;
    let mut standing = Standing::unknown();
    while let Some(row) = rows.next()? {
        let (seq, at) = (number(row.get(0)?)?, time(row.get(1)?)?);
        let event = from_json(&row.get::<_, String>(2)?)?;
        standing.follow(&Entry { seq, at, event });
    }
    Ok(standing)
}

fn difference(
    connection: &Connection,
    place: i64,
    standing: &Standing,
) -> Result<Option<Differing>, Fault> {
    let parts = match jobs::record(connection, place) {
        Ok(Some(record)) => standing.differences(&record),
        // What cannot even be read is not what the journal tells.
        Err(Fault::Stored(_)) if standing.tells == Tells::All => vec!["all"],
        Ok(None) => Vec::new(),
        Err(fault) => return Err(fault),
    };
    if parts.is_empty() {
        return Ok(None);
    }
    let job = connection
        .prepare_cached("SELECT id FROM jobs WHERE number = ?1")?
        .query_row([place], |row| row.get(0))
        .optional()?;
    Ok(job.map(|job| Differing { job, parts }))
}

fn write(connection: &Connection, place: i64, standing: &Standing) -> Result<(), Fault> {
    let Standing { status, failure, completed_at, .. } = standing;
    // Whoever had it runs no more: it is put back at the next start, and looked at by what wakes
    // those that wait.
    let lease_until = (*status == JobStatus::Running).then_some(0);
    connection
        .prepare_cached(
            "UPDATE jobs SET status = ?2, cancel_requested = ?3, failure = ?4, completed_at = ?5,
                             worker = NULL, lease_until = ?6, ready = 0
             WHERE number = ?1",
        )?
        .execute(params![
            place,
            status.as_str(),
            standing.cancel_requested,
            failure.as_ref().map(to_json).transpose()?,
            completed_at.map(Timestamp::as_microsecond),
            lease_until,
        ])?;
    if standing.tells != Tells::All {
        return Ok(());
    }
    let plugin = standing.plugin.as_ref();
    connection
        .prepare_cached(
            "UPDATE jobs SET attempt = ?2, plugin_name = ?3, plugin_version = ?4,
                             plugin_digest = ?5, view = ?6, result = ?7, started_at = ?8
             WHERE number = ?1",
        )?
        .execute(params![
            place,
            standing.attempt,
            plugin.map(|pin| &pin.name),
            plugin.map(|pin| &pin.version),
            plugin.map(|pin| pin.digest.as_str()),
            to_json(&standing.view)?,
            standing.result.as_ref().map(to_json).transpose()?,
            standing.started_at.map(Timestamp::as_microsecond),
        ])?;
    Ok(())
}
