//! Jobs that try another one again: whether they may, and what they begin with, in one transaction.

use rusqlite::{Connection, OptionalExtension, params};

use crate::model::job::{JobRecord, JobStatus};
use crate::model::names::{JobId, ServerName};
use crate::model::server::{Server, ServerStatus, SshAccess};
use crate::storage::retry::{NewRetry, RetriedServer, Retry};
use crate::storage::sqlite::fault::{Fault, from_json, parse, to_json};
use crate::storage::sqlite::verb::Writing;
use crate::storage::sqlite::{apps, jobs, journal, servers, submit};
use crate::storage::{NewJob, Submitted};

/// Writes the retry, or says why there is none.
pub(super) fn retry(writing: &mut Writing<'_>, wanted: &NewRetry) -> Result<Retry, Fault> {
    let mut job = wanted.job.clone();
    if let Some(before) = submit::before(writing.connection, &job)? {
        return Ok(match before {
            Submitted::Before(id) => Retry::Before(id),
            _ => Retry::KeyReused,
        });
    }
    let Some((of, _)) = &job.retry_of else { return Ok(Retry::NoSuchJob) };
    let Some(record) = jobs::record_by_id(writing.connection, of)? else {
        return Ok(Retry::NoSuchJob);
    };
    if let Some(refusal) = refusal(writing.connection, &record)? {
        return Ok(refusal);
    }
    match newest_needed(writing.connection, &record)? {
        Ok(needed) => job.depends_on = needed,
        Err(refusal) => return Ok(refusal),
    }
    if !apps::may_try_again(writing.connection, &record)? {
        return Ok(Retry::AppChanged);
    }
    if let Some(name) = &record.server
        && let Some(refusal) = take_server(writing.connection, name, &record, wanted.server)?
    {
        return Ok(refusal);
    }
    apps::try_again(writing.connection, &record, &job)?;
    write(writing, &job, wanted)?;
    Ok(Retry::Job(job.id))
}

/// The same, and takes it back.
pub(super) fn would_retry(writing: &mut Writing<'_>, wanted: &NewRetry) -> Result<Retry, Fault> {
    let mark = writing.changes.len();
    writing.connection.execute_batch("SAVEPOINT would")?;
    let answer = retry(writing, wanted);
    writing.changes.truncate(mark);
    writing.connection.execute_batch("ROLLBACK TO would; RELEASE would")?;
    answer
}

fn write(writing: &mut Writing<'_>, job: &NewJob, wanted: &NewRetry) -> Result<(), Fault> {
    let number = submit::insert(writing.connection, job)?;
    writing
        .connection
        .prepare_cached("UPDATE jobs SET view = ?2 WHERE number = ?1")?
        .execute(params![number, to_json(&wanted.view)?])?;
    submit::note(writing, number, job)?;
    if let Some(pin) = &wanted.pin {
        journal::pin(writing, (number, &job.id), pin, job.now)?;
    }
    journal::record(writing, number, &job.id, &wanted.entries)?;
    submit::depend(writing, number, job)
}

/// Why this job cannot be tried again, if it cannot.
fn refusal(connection: &Connection, record: &JobRecord) -> Result<Option<Retry>, Fault> {
    if matches!(record.status, JobStatus::Queued | JobStatus::Running | JobStatus::Completed) {
        return Ok(Some(Retry::NotNow(record.status)));
    }
    let again: Option<String> = connection
        .prepare_cached("SELECT id FROM jobs WHERE retry_of = ?1")?
        .query_row([record.id.as_str()], |row| row.get(0))
        .optional()?;
    again.map(|id| Ok(Retry::Again(parse(&id)?))).transpose()
}

/// What the job depended on, each as it was tried last.
fn newest_needed(
    connection: &Connection,
    record: &JobRecord,
) -> Result<Result<Vec<JobId>, Retry>, Fault> {
    let mut newest = Vec::new();
    for needed in &record.depends_on {
        let found: Option<(String, String)> = connection
            .prepare_cached(
                "SELECT id, status FROM jobs
                 WHERE retry_of IS NOT NULL AND root = (SELECT root FROM jobs WHERE id = ?1)
                 ORDER BY number DESC LIMIT 1",
            )?
            .query_row([needed.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (id, status) = match found {
            Some((id, status)) => (parse(&id)?, Some(parse(&status)?)),
            None => {
                let record = jobs::record_by_id(connection, needed)?;
                (needed.clone(), record.map(|record| record.status))
            }
        };
        match status {
            Some(JobStatus::Completed | JobStatus::Queued | JobStatus::Running) => newest.push(id),
            _ => return Ok(Err(Retry::Needs(id))),
        }
    }
    Ok(Ok(newest))
}

/// Sees that the server is the one that the job was about, and that nobody works on it.
fn take_server(
    connection: &Connection,
    name: &ServerName,
    job: &JobRecord,
    wanted: RetriedServer,
) -> Result<Option<Retry>, Fault> {
    let busy: Option<String> = connection
        .prepare_cached(
            "SELECT id FROM jobs WHERE server = ?1 AND status IN ('queued', 'running') LIMIT 1",
        )?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(busy) = busy {
        return Ok(Some(Retry::ServerBusy(parse(&busy)?)));
    }
    let Some(mut server) = servers::server(connection, name)? else {
        return if wanted == RetriedServer::Made {
            make_again(connection, name, job)
        } else {
            Ok(Some(Retry::ServerGone))
        };
    };
    // A name can be given anew; the job is about the server that had it then.
    if server.created_at.as_microsecond() > job.created_at.as_microsecond() {
        return Ok(Some(Retry::OtherServer));
    }
    match wanted {
        RetriedServer::Made => server.status = ServerStatus::Creating,
        RetriedServer::Deleted => server.status = ServerStatus::Deleting,
        RetriedServer::Used => return Ok(None),
    }
    servers::put(connection, &server)?;
    Ok(None)
}

/// The record as it was before anything was made.
fn make_again(
    connection: &Connection,
    name: &ServerName,
    job: &JobRecord,
) -> Result<Option<Retry>, Fault> {
    let record: Option<String> = connection
        .prepare_cached(
            "SELECT record FROM deleted_servers WHERE name = ?1 ORDER BY number DESC LIMIT 1",
        )?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    let Some(record) = record else { return Ok(Some(Retry::ServerGone)) };
    let mut server: Server = from_json(&record)?;
    if server.created_at.as_microsecond() > job.created_at.as_microsecond() {
        return Ok(Some(Retry::OtherServer));
    }
    server.status = ServerStatus::Creating;
    server.provider_id = None;
    (server.ipv4, server.ipv6) = (None, None);
    server.ssh = SshAccess::default();
    servers::put(connection, &server)?;
    Ok(None)
}
