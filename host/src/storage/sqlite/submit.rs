//! New jobs: all that a submission does, in one transaction.

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::model::job::JobStatus;
use crate::model::journal::{Event, NewEntry};
use crate::model::names::ServerName;
use crate::model::server::{Server, ServerStatus};
use crate::storage::sqlite::fault::{Fault, parse, to_json};
use crate::storage::sqlite::writer::Writing;
use crate::storage::sqlite::{journal, order, servers};
use crate::storage::{Change, IdempotencyKey, NewJob, ServerChange, StorageError, Submitted};

/// Writes a new job, or says why there is none.
pub(super) fn submit(writing: &mut Writing<'_>, job: &NewJob) -> Result<Submitted, Fault> {
    if let Some(key) = &job.idempotency
        && let Some(before) = remembered(writing.connection, key)?
    {
        return Ok(before);
    }
    if let Some(refusal) = change_server(writing.connection, &job.server_change)? {
        return Ok(refusal);
    }
    let number = insert(writing.connection, job)?;
    if let Some(key) = &job.idempotency {
        remember(writing.connection, key, job)?;
    }
    let retry_of = job.retry_of.as_ref().map(|(before, _)| before.clone());
    let submitted = Event::Submitted { by: job.by.clone(), retry_of };
    journal::record(writing, number, &job.id, &[NewEntry { at: job.now, event: submitted }])?;
    depend(writing, number, job)?;
    Ok(Submitted::Job(job.id.clone()))
}

fn remembered(connection: &Connection, key: &IdempotencyKey) -> Result<Option<Submitted>, Fault> {
    connection
        .prepare_cached("DELETE FROM idempotency WHERE at < ?1")?
        .execute([key.since.as_microsecond()])?;
    let before: Option<(String, String)> = connection
        .prepare_cached("SELECT request, job FROM idempotency WHERE key = ?1")?
        .query_row([&key.key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match before {
        None => Ok(None),
        Some((request, job)) if request == key.request => Ok(Some(Submitted::Before(parse(&job)?))),
        Some(_) => Ok(Some(Submitted::KeyReused)),
    }
}

fn remember(connection: &Connection, key: &IdempotencyKey, job: &NewJob) -> Result<(), Fault> {
    connection
        .prepare_cached("INSERT INTO idempotency (key, request, job, at) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![key.key, key.request, job.id.as_str(), job.now.as_microsecond()])?;
    Ok(())
}

/// Changes the server's record, or gives the refusal.
fn change_server(
    connection: &Connection,
    change: &ServerChange,
) -> Result<Option<Submitted>, Fault> {
    match change {
        ServerChange::None => Ok(None),
        ServerChange::Create(server) => create_server(connection, server),
        ServerChange::Deleting(name) => mark_deleting(connection, name),
    }
}

fn create_server(connection: &Connection, server: &Server) -> Result<Option<Submitted>, Fault> {
    if let Some(found) = servers::server(connection, &server.name)? {
        return Ok(Some(Submitted::ServerExists(Box::new(found))));
    }
    servers::put(connection, server)?;
    Ok(None)
}

fn mark_deleting(connection: &Connection, name: &ServerName) -> Result<Option<Submitted>, Fault> {
    let Some(mut server) = servers::server(connection, name)? else {
        return Ok(Some(Submitted::NoSuchServer));
    };
    server.status = ServerStatus::Deleting;
    servers::put(connection, &server)?;
    Ok(None)
}

fn insert(connection: &Connection, job: &NewJob) -> Result<i64, Fault> {
    let (retry_of, root) = match &job.retry_of {
        Some((before, root)) => (Some(before.as_str()), root.as_str()),
        None => (None, job.id.as_str()),
    };
    let result = connection
        .prepare_cached(
            "INSERT INTO jobs (id, operation, params, server, retry_of, root, depends_on, status,
                               ready, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued', 0, ?8)",
        )?
        .execute(params![
            job.id.as_str(),
            job.operation.as_str(),
            to_json(&job.params)?,
            job.server.as_ref().map(ServerName::as_str),
            retry_of,
            root,
            to_json(&job.depends_on)?,
            job.now.as_microsecond(),
        ]);
    match result {
        Ok(_) => Ok(connection.last_insert_rowid()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(StorageError::Duplicate.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Notes what the job waits for. One that waits for something that will never come ends at once.
fn depend(writing: &mut Writing<'_>, job: i64, new: &NewJob) -> Result<(), Fault> {
    for needed in &new.depends_on {
        let found: Option<(i64, String)> = writing
            .connection
            .prepare_cached("SELECT number, status FROM jobs WHERE id = ?1 AND number < ?2")?
            .query_row(params![needed.as_str(), job], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let status = match &found {
            Some((_, status)) => Some(parse::<JobStatus>(status)?),
            None => None,
        };
        match (found, status) {
            (Some((number, _)), Some(status))
                if status == JobStatus::Completed || !status.is_finished() =>
            {
                writing
                    .connection
                    .prepare_cached(
                        "INSERT OR IGNORE INTO dependencies (job, needs) VALUES (?1, ?2)",
                    )?
                    .execute([job, number])?;
            }
            _ => return order::give_up(writing, job, needed, new.now),
        }
    }
    if order::make_ready(writing.connection, job)? {
        writing.changed(Change::Claimable);
    }
    Ok(())
}
