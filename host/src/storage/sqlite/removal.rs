//! Removing old jobs with their journals, a little at a time: nobody waits long for the writer.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::model::job::JobStatus;
use crate::storage::removal::{OldJobs, OldPlace, Removed};
use crate::storage::sqlite::fault::{Fault, column, number, time};
use crate::storage::sqlite::verb::Writing;

/// How long one transaction may take, give or take a job.
const MOMENT: Duration = Duration::from_millis(10);

/// How many jobs are looked at in one transaction.
const MOST: usize = 500;

/// When a job ended, and its number.
type Place = (i64, i64);

/// Removes the oldest of these jobs. Those that another one needs stay.
pub(super) fn remove(writing: &Writing<'_>, old: &OldJobs) -> Result<Removed, Fault> {
    let began = Instant::now();
    let places = places(writing.connection, old)?;
    let (mut count, mut looked, mut last) = (0, 0, None);
    for &(ended, job) in &places {
        if !is_needed(writing.connection, job, old)? {
            delete(writing.connection, job)?;
            count += 1;
        }
        looked += 1;
        last = Some(OldPlace { at: time(ended)?, number: number(job)? });
        if began.elapsed() >= MOMENT {
            break;
        }
    }
    let has_more = looked < places.len() || places.len() == MOST;
    Ok(Removed { count, next: last.filter(|_| has_more) })
}

/// The oldest jobs first: what is tried again before what tries it again.
fn places(connection: &Connection, old: &OldJobs) -> Result<Vec<Place>, Fault> {
    let after = old.after.map_or((i64::MIN, 0), |it| (it.at.as_microsecond(), column(it.number)));
    let limit = i64::try_from(MOST).unwrap_or(i64::MAX);
    let mut select = connection.prepare_cached(
        "SELECT completed_at, number FROM jobs
         WHERE status = ?1 AND completed_at < ?2 AND (completed_at, number) > (?3, ?4)
         ORDER BY completed_at, number LIMIT ?5",
    )?;
    let mut found = Vec::new();
    for status in &old.status {
        let before = old.before.as_microsecond();
        let mut rows = select.query(params![status.as_str(), before, after.0, after.1, limit])?;
        while let Some(row) = rows.next()? {
            found.push((row.get(0)?, row.get(1)?));
        }
    }
    found.sort_unstable();
    found.truncate(MOST);
    Ok(found)
}

/// Whether a job that goes on, or that can still be tried again and is not removed with this one,
/// depends on it or is of the same chain of retries.
fn is_needed(connection: &Connection, job: i64, old: &OldJobs) -> Result<bool, Fault> {
    let names: Vec<&str> = old.status.iter().map(|status| JobStatus::as_str(*status)).collect();
    let (names, before) = (names.join(","), old.before.as_microsecond());
    let mut needed = false;
    for statement in [
        "SELECT EXISTS (
             SELECT 1 FROM dependencies JOIN jobs AS other ON other.number = dependencies.job
             WHERE dependencies.needs = ?1
               AND (other.status IN ('queued', 'running')
                    OR (other.status <> 'completed'
                        AND (other.completed_at >= ?2 OR instr(?3, other.status) = 0)
                        AND NOT EXISTS (SELECT 1 FROM jobs AS again
                                        WHERE again.retry_of = other.id))))",
        "SELECT EXISTS (
             SELECT 1 FROM jobs AS other
             WHERE other.retry_of IS NOT NULL AND other.number > ?1
               AND other.root = (SELECT root FROM jobs WHERE number = ?1)
               AND (other.status IN ('queued', 'running')
                    OR (other.status <> 'completed'
                        AND (other.completed_at >= ?2 OR instr(?3, other.status) = 0)
                        AND NOT EXISTS (SELECT 1 FROM jobs AS again
                                        WHERE again.retry_of = other.id))))",
        "SELECT EXISTS (
             SELECT 1 FROM jobs AS earlier
             WHERE earlier.id = (SELECT retry_of FROM jobs WHERE number = ?1)
               AND ?2 IS NOT NULL AND ?3 IS NOT NULL)",
    ] {
        let mut select = connection.prepare_cached(statement)?;
        needed = needed || select.query_row(params![job, before, names], |row| row.get(0))?;
    }
    Ok(needed)
}

fn delete(connection: &Connection, job: i64) -> Result<(), Fault> {
    for statement in [
        "DELETE FROM journal WHERE job = ?1",
        "DELETE FROM dependencies WHERE job = ?1",
        "DELETE FROM dependencies WHERE needs = ?1",
        "DELETE FROM ended_waits WHERE job = ?1",
        "DELETE FROM jobs WHERE number = ?1",
    ] {
        connection.prepare_cached(statement)?.execute([job])?;
    }
    Ok(())
}
