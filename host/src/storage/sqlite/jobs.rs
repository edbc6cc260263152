//! What is recorded of jobs, read back.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::model::job::{JobRecord, JobStatus, PluginPin};
use crate::model::names::{JobId, OperationName, ServerName};
use crate::storage::sqlite::fault::{Fault, column, from_json, number, parse, time};
use crate::storage::sqlite::order::numbers;
use crate::storage::{JobCounts, JobFilter, Page};

/// The job with this number, or none.
pub(super) fn record(connection: &Connection, place: i64) -> Result<Option<JobRecord>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT id, number, operation, params, server, retry_of, root, depends_on, status, attempt,
                plugin_name, plugin_version, plugin_digest, cancel_requested, view, result,
                failure, created_at, started_at, completed_at
         FROM jobs WHERE number = ?1",
    )?;
    let mut rows = select.query([place])?;
    rows.next()?.map(decode).transpose()
}

/// The job with this id, or none.
pub(super) fn record_by_id(
    connection: &Connection,
    id: &JobId,
) -> Result<Option<JobRecord>, Fault> {
    let place: Option<i64> = connection
        .prepare_cached("SELECT number FROM jobs WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    place.map_or(Ok(None), |place| record(connection, place))
}

/// One page of jobs, newest first.
pub(super) fn page(connection: &Connection, filter: &JobFilter) -> Result<Page<JobRecord>, Fault> {
    let mut places = places(connection, filter)?;
    let has_more = places.len() > filter.limit;
    places.truncate(filter.limit);
    let mut items = Vec::with_capacity(places.len());
    for &place in &places {
        items.extend(record(connection, place)?);
    }
    let next = places.last().filter(|_| has_more).map(|&last| number(last)).transpose()?;
    Ok(Page { items, next })
}

/// How many jobs wait, and how many run.
pub(super) fn counts(connection: &Connection) -> Result<JobCounts, Fault> {
    let mut select = connection.prepare_cached("SELECT n FROM counters WHERE name = ?1")?;
    let mut count = |status: JobStatus| -> Result<u64, Fault> {
        number(select.query_row([status.as_str()], |row| row.get(0))?)
    };
    Ok(JobCounts { queued: count(JobStatus::Queued)?, running: count(JobStatus::Running)? })
}

/// The numbers of the jobs of a page and of the one after it. Each status is a range of an index
/// in the order of numbers; merged, they never need a sort of all jobs.
fn places(connection: &Connection, filter: &JobFilter) -> Result<Vec<i64>, Fault> {
    let before = filter.before.map_or(i64::MAX, column);
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX).saturating_add(1);
    let operation = filter.operation.as_ref().map(OperationName::as_str);
    let server = filter.server.as_ref().map(ServerName::as_str);
    if filter.status.is_empty() && operation.is_none() && server.is_none() {
        let mut select = connection.prepare_cached(
            "SELECT number FROM jobs WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
        )?;
        return numbers(select.query([before, limit])?);
    }
    let wanted = if filter.status.is_empty() { &JobStatus::ALL[..] } else { &filter.status };
    let mut found = Vec::new();
    for status in wanted {
        let status = status.as_str();
        let mut select = connection.prepare_cached(match (server, operation) {
            (Some(_), Some(_)) => {
                "SELECT number FROM jobs
                 WHERE server = ?2 AND operation = ?3 AND status = ?1 AND number < ?4
                 ORDER BY number DESC LIMIT ?5"
            }
            (Some(_), None) => {
                "SELECT number FROM jobs
                 WHERE server = ?2 AND status = ?1 AND number < ?4 AND ?3 IS NULL
                 ORDER BY number DESC LIMIT ?5"
            }
            (None, Some(_)) => {
                "SELECT number FROM jobs
                 WHERE operation = ?3 AND status = ?1 AND number < ?4 AND ?2 IS NULL
                 ORDER BY number DESC LIMIT ?5"
            }
            (None, None) => {
                "SELECT number FROM jobs
                 WHERE status = ?1 AND number < ?4 AND ?2 IS NULL AND ?3 IS NULL
                 ORDER BY number DESC LIMIT ?5"
            }
        })?;
        found.extend(numbers(select.query(params![status, server, operation, before, limit])?)?);
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.dedup();
    Ok(found)
}

fn decode(row: &Row<'_>) -> Result<JobRecord, Fault> {
    let text = |index: usize| -> Result<String, Fault> { Ok(row.get(index)?) };
    let maybe = |index: usize| -> Result<Option<String>, Fault> { Ok(row.get(index)?) };
    let moment = |index: usize| -> Result<Option<_>, Fault> {
        row.get::<_, Option<i64>>(index)?.map(time).transpose()
    };
    let plugin = match (maybe(10)?, maybe(11)?, maybe(12)?) {
        (Some(name), Some(version), Some(digest)) => {
            Some(PluginPin { name, version, digest: parse(&digest)? })
        }
        _ => None,
    };
    Ok(JobRecord {
        id: parse(&text(0)?)?,
        number: number(row.get(1)?)?,
        operation: parse(&text(2)?)?,
        params: from_json(&text(3)?)?,
        server: maybe(4)?.map(|server| parse(&server)).transpose()?,
        retry_of: maybe(5)?.map(|id| parse(&id)).transpose()?,
        root: parse(&text(6)?)?,
        depends_on: from_json(&text(7)?)?,
        status: parse(&text(8)?)?,
        attempt: row.get(9)?,
        plugin,
        cancel_requested: row.get(13)?,
        view: maybe(14)?.map_or_else(|| Ok(Default::default()), |view| from_json(&view))?,
        result: maybe(15)?.map(|result| from_json(&result)).transpose()?,
        failure: maybe(16)?.map(|failure| from_json(&failure)).transpose()?,
        created_at: time(row.get(17)?)?,
        started_at: moment(18)?,
        completed_at: moment(19)?,
    })
}
