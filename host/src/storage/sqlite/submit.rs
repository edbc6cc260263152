//! New jobs: all that a submission does, in one transaction.

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use serde_json::Value;

use crate::model::job::JobStatus;
use crate::model::journal::{Event, NewEntry};
use crate::model::names::{AppName, ServerName};
use crate::model::server::{AppsOnIt, Protection, ServerStatus, domain_asked};
use crate::storage::apps::Batch;
use crate::storage::planned::Planned;
use crate::storage::sqlite::fault::{Fault, from_json, parse, to_json};
use crate::storage::sqlite::verb::Writing;
use crate::storage::sqlite::{apps, config, journal, order, planned, servers};
use crate::storage::{Change, IdempotencyKey, NewJob, ServerChange, StorageError, Submitted};

/// How many old keys a request takes away at most.
const FORGOTTEN: i64 = 8;

/// Writes a new job, or says why there is none.
pub(super) fn submit(writing: &mut Writing<'_>, job: &NewJob) -> Result<Submitted, Fault> {
    if let Some(before) = before(writing.connection, job)? {
        return Ok(before);
    }
    if let Some(refusal) = refusal(writing.connection, job, &[])? {
        return Ok(refusal);
    }
    write(writing, job, None)
}

/// Writes several new jobs, or says why there are none.
pub(super) fn submit_all(writing: &mut Writing<'_>, batch: &Batch) -> Result<Submitted, Fault> {
    for key in batch.jobs.iter().filter_map(|job| job.idempotency.as_ref()) {
        if let Some(before) = first_of(writing.connection, key)? {
            return Ok(before);
        }
    }
    if let Some(plan) = &batch.planned
        && !planned::holds(writing.connection, plan)?
    {
        return Ok(Submitted::Outdated);
    }
    let together: Vec<&AppName> = batch.jobs.iter().filter_map(deployed).collect();
    // A refusal must come before the first thing is written.
    for job in &batch.jobs {
        if let Some(refusal) = refusal(writing.connection, job, &together)? {
            return Ok(refusal);
        }
    }
    for (name, sealed) in &batch.secrets {
        config::put_secret(writing.connection, name, sealed)?;
    }
    let mut written = Err(StorageError::Failed {
        doing: "wrote new jobs",
        reason: "there were none to write".to_owned(),
    }
    .into());
    for job in &batch.jobs {
        written = Ok(write(writing, job, batch.planned.as_deref())?);
    }
    written
}

fn deployed(job: &NewJob) -> Option<&AppName> {
    match &job.server_change {
        ServerChange::Deploying(record) => Some(&record.app_name),
        _ => None,
    }
}

/// Writes a job that nothing speaks against.
fn write(
    writing: &mut Writing<'_>,
    job: &NewJob,
    plan: Option<&Planned>,
) -> Result<Submitted, Fault> {
    change(writing.connection, job)?;
    let number = insert(writing.connection, job)?;
    note(writing, number, job)?;
    if let Some(plan) = plan {
        planned::pin(writing, plan, number, job)?;
    }
    depend(writing, number, job)?;
    Ok(Submitted::Job(job.id.clone()))
}

/// What came of the same request, if it came before.
pub(super) fn before(connection: &Connection, job: &NewJob) -> Result<Option<Submitted>, Fault> {
    job.idempotency.as_ref().map_or(Ok(None), |key| first_of(connection, key))
}

/// Notes who asked for the job, and with which key.
pub(super) fn note(writing: &mut Writing<'_>, number: i64, job: &NewJob) -> Result<(), Fault> {
    if let Some(key) = &job.idempotency {
        remember(writing.connection, key, job)?;
    }
    let retry_of = job.retry_of.as_ref().map(|(before, _)| before.clone());
    let submitted = Event::Submitted { by: job.by.clone(), retry_of, is_whole: true };
    journal::record(writing, number, &job.id, &[NewEntry { at: job.now, event: submitted }])
}

/// The same, with some old keys forgotten first: more than one comes with each request, and never
/// so many that somebody waits for it.
fn first_of(connection: &Connection, key: &IdempotencyKey) -> Result<Option<Submitted>, Fault> {
    connection
        .prepare_cached(
            "DELETE FROM idempotency WHERE key IN
                 (SELECT key FROM idempotency WHERE at < ?1 ORDER BY at LIMIT ?2)",
        )?
        .execute(params![key.since.as_microsecond(), FORGOTTEN])?;
    remembered(connection, key)
}

/// What came of an earlier request with this key, or none.
pub(super) fn remembered(
    connection: &Connection,
    key: &IdempotencyKey,
) -> Result<Option<Submitted>, Fault> {
    let before: Option<(String, String)> = connection
        .prepare_cached("SELECT request, job FROM idempotency WHERE key = ?1 AND at >= ?2")?
        .query_row(params![key.key, key.since.as_microsecond()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    match before {
        None => Ok(None),
        Some((request, job)) if request == key.request => Ok(Some(Submitted::Before(parse(&job)?))),
        Some(_) => Ok(Some(Submitted::KeyReused)),
    }
}

/// One of the same name is there only when it does not count any more.
fn remember(connection: &Connection, key: &IdempotencyKey, job: &NewJob) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO idempotency (key, request, job, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (key) DO UPDATE SET request = excluded.request, job = excluded.job,
                 at = excluded.at",
        )?
        .execute(params![key.key, key.request, job.id.as_str(), job.now.as_microsecond()])?;
    Ok(())
}

/// What speaks against a change of the records. `together` are the apps that are deployed with it.
fn refusal(
    connection: &Connection,
    job: &NewJob,
    together: &[&AppName],
) -> Result<Option<Submitted>, Fault> {
    match &job.server_change {
        ServerChange::None | ServerChange::SettingUp { domain: None, .. } => Ok(None),
        ServerChange::Create(server) => {
            let found = servers::server(connection, &server.name)?;
            Ok(found.map(|found| Submitted::ServerExists(Box::new(found))))
        }
        ServerChange::Deleting { server, apps } => refuse_deleting(connection, server, *apps),
        ServerChange::SettingUp { server, domain: Some(domain) } => {
            let others = others(connection, job, server)?;
            let holder = others.into_iter().find(|(_, it)| it == domain);
            Ok(holder.map(|(name, _)| Submitted::DomainTaken(name)))
        }
        ServerChange::Deploying(app) => apps::refuse_deploying(connection, app, together),
        ServerChange::Removing { server, app, .. } => {
            apps::refuse_removing(connection, server, app)
        }
    }
}

/// The domains of other servers, and those that unfinished jobs like this one give to others. What
/// is simulated has zones of its own.
fn others(
    connection: &Connection,
    job: &NewJob,
    name: &ServerName,
) -> Result<Vec<(ServerName, String)>, Fault> {
    let servers = servers::servers(connection)?;
    let is_simulated = servers.iter().any(|it| it.name == *name && it.simulated);
    let mut select = connection.prepare_cached(
        "SELECT params FROM jobs
         WHERE server = ?1 AND status IN ('queued', 'running') AND operation = ?2",
    )?;
    let mut found = Vec::new();
    for other in servers {
        if other.name == *name || other.simulated != is_simulated {
            continue;
        }
        found.extend(other.domain().map(|domain| (other.name.clone(), domain)));
        let mut rows = select.query([other.name.as_str(), job.operation.as_str()])?;
        while let Some(row) = rows.next()? {
            let params: Value = from_json(&row.get::<_, String>(0)?)?;
            found.extend(domain_asked(&params).map(|domain| (other.name.clone(), domain)));
        }
    }
    Ok(found)
}

/// Apps hold data as long as their machine is there.
fn refuse_deleting(
    connection: &Connection,
    name: &ServerName,
    wanted: AppsOnIt,
) -> Result<Option<Submitted>, Fault> {
    let Some(server) = servers::server(connection, name)? else {
        return Ok(Some(Submitted::NoSuchServer));
    };
    if server.deletion_protection == Protection::On {
        return Ok(Some(Submitted::ServerProtected(server.apps)));
    }
    // What is gone holds nothing any more.
    if server.apps.is_empty() || server.status == ServerStatus::Missing {
        return Ok(None);
    }
    Ok(match wanted {
        AppsOnIt::Refuse => Some(Submitted::ServerHasApps(server.apps)),
        AppsOnIt::LoseUnprotected if server.protected => {
            Some(Submitted::ServerProtected(server.apps))
        }
        AppsOnIt::Lose | AppsOnIt::LoseUnprotected => None,
    })
}

/// Changes the records that a job is about.
fn change(connection: &Connection, job: &NewJob) -> Result<(), Fault> {
    match &job.server_change {
        ServerChange::None | ServerChange::SettingUp { .. } => Ok(()),
        ServerChange::Create(server) => servers::put(connection, server),
        ServerChange::Deleting { server, .. } => mark_deleting(connection, server),
        ServerChange::Deploying(app) => apps::begin_deploying(connection, app, &job.id),
        ServerChange::Removing { server, app, forgets } => {
            apps::begin_removing(connection, server, app, (&job.id, *forgets))
        }
    }
}

fn mark_deleting(connection: &Connection, name: &ServerName) -> Result<(), Fault> {
    let Some(mut server) = servers::server(connection, name)? else { return Ok(()) };
    server.status = ServerStatus::Deleting;
    servers::put(connection, &server)
}

/// Writes the job's row.
pub(super) fn insert(connection: &Connection, job: &NewJob) -> Result<i64, Fault> {
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
pub(super) fn depend(writing: &mut Writing<'_>, job: i64, new: &NewJob) -> Result<(), Fault> {
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
