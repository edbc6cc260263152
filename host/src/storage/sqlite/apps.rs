//! Records of apps: written with the jobs that change them, and settled with their ends.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use crate::model::app::{AppRecord, AppStatus, DELETE, is_about_app};
use crate::model::job::{JobRecord, JobStatus, Lease};
use crate::model::names::{AppName, JobId, ServerName};
use crate::storage::apps::{AppStore, Batch, DnsOwners};
use crate::storage::sqlite::fault::{Fault, from_json, to_json};
use crate::storage::sqlite::{Sqlite, config, journal, servers, submit};
use crate::storage::{IdempotencyKey, NewJob, StorageError, Submitted};

#[async_trait]
impl AppStore for Sqlite {
    async fn submit_all(&self, batch: Batch) -> Result<Submitted, StorageError> {
        let doing = "wrote new jobs";
        self.writer.durable(doing, move |writing| submit::submit_all(writing, &batch)).await
    }

    async fn remembered(&self, key: &IdempotencyKey) -> Result<Option<Submitted>, StorageError> {
        let (key, doing) = (key.clone(), "looked for an earlier request");
        self.read_short(doing, move |reader| submit::remembered(reader, &key)).await
    }

    async fn app(
        &self,
        server: &ServerName,
        name: &AppName,
    ) -> Result<Option<AppRecord>, StorageError> {
        let (server, name) = (server.clone(), name.clone());
        self.read_short("read an app", move |reader| app(reader, &server, &name)).await
    }

    async fn apps(&self, server: &ServerName) -> Result<Vec<AppRecord>, StorageError> {
        let server = server.clone();
        self.read("listed apps", move |reader| apps(reader, &server)).await
    }

    async fn all_apps(&self) -> Result<Vec<AppRecord>, StorageError> {
        self.read("listed apps", all).await
    }

    async fn dns_owners(
        &self,
        value: &str,
        own: Option<&ServerName>,
    ) -> Result<DnsOwners, StorageError> {
        let (value, own) = (value.to_owned(), own.cloned());
        self.read_short("looked whose something is", move |reader| {
            dns_owners(reader, &value, own.as_ref())
        })
        .await
    }

    async fn app_of_job(&self, job: &JobId) -> Result<Option<AppRecord>, StorageError> {
        let job = job.clone();
        self.read_short("read an app", move |reader| of_job(reader, &job)).await
    }

    async fn amend_app(
        &self,
        lease: &Lease,
        server: &ServerName,
        name: &AppName,
        change: Box<dyn for<'a> FnOnce(&'a mut AppRecord) + Send>,
    ) -> Result<Option<AppRecord>, StorageError> {
        let (lease, server, name) = (lease.clone(), server.clone(), name.clone());
        self.writer
            .ordered("changed an app's record", move |writing| {
                journal::hold(writing.connection, &lease)?;
                let Some(mut record) = app(writing.connection, &server, &name)? else {
                    return Ok(None);
                };
                change(&mut record);
                put(writing.connection, &record)?;
                Ok(Some(record))
            })
            .await
    }

    async fn forget_app(
        &self,
        lease: &Lease,
        server: &ServerName,
        name: &AppName,
    ) -> Result<(), StorageError> {
        let (lease, server, name) = (lease.clone(), server.clone(), name.clone());
        self.writer
            .ordered("removed an app's record", move |writing| {
                journal::hold(writing.connection, &lease)?;
                match app(writing.connection, &server, &name)? {
                    Some(record) => remove(writing.connection, &record),
                    None => Ok(()),
                }
            })
            .await
    }
}

/// The names of a server's apps.
pub(super) fn names(connection: &Connection, server: &ServerName) -> Result<Vec<String>, Fault> {
    let mut select =
        connection.prepare_cached("SELECT name FROM apps WHERE server = ?1 ORDER BY name")?;
    let rows = select.query_map([server.as_str()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Why a job that makes this app run cannot be written, if it cannot. `others` are in the same
/// batch.
pub(super) fn refuse_deploying(
    connection: &Connection,
    wanted: &AppRecord,
    others: &[&AppName],
) -> Result<Option<Submitted>, Fault> {
    if servers::server(connection, &wanted.server)?.is_none() {
        return Ok(Some(Submitted::NoSuchServer));
    }
    let found = app(connection, &wanted.server, &wanted.app_name)?;
    if let Some(busy) = found.filter(|found| found.status.is_busy()) {
        return Ok(Some(Submitted::AppBusy(Box::new(busy))));
    }
    for needed in wanted.dependencies.iter().filter(|needed| !others.contains(needed)) {
        let found = app(connection, &wanted.server, needed)?;
        let is_there =
            |it: &AppRecord| matches!(it.status, AppStatus::Running | AppStatus::Deploying);
        if !found.as_ref().is_some_and(is_there) {
            return Ok(Some(Submitted::AppMissing(needed.clone())));
        }
    }
    Ok(None)
}

/// Why a job that takes this app away cannot be written, if it cannot.
pub(super) fn refuse_removing(
    connection: &Connection,
    server: &ServerName,
    name: &AppName,
) -> Result<Option<Submitted>, Fault> {
    let Some(found) = app(connection, server, name)? else {
        return Ok(Some(Submitted::NoSuchApp));
    };
    if found.status.is_busy() {
        return Ok(Some(Submitted::AppBusy(Box::new(found))));
    }
    let needing = apps(connection, server)?.into_iter();
    let needing = needing.filter(|it| it.app_name != *name && it.dependencies.contains(name));
    let needing: Vec<AppName> = needing.map(|it| it.app_name).collect();
    Ok((!needing.is_empty()).then_some(Submitted::AppRequired(needing)))
}

/// Writes the record of an app that a job makes run. What only its jobs know of it stays.
pub(super) fn begin_deploying(
    connection: &Connection,
    wanted: &AppRecord,
    job: &JobId,
) -> Result<(), Fault> {
    let before = app(connection, &wanted.server, &wanted.app_name)?;
    let mut record = AppRecord { job_id: job.clone(), ..wanted.clone() };
    if let Some(before) = &before {
        record.urls.clone_from(&before.urls);
        record.notes.clone_from(&before.notes);
        record.dns.clone_from(&before.dns);
        record.created_at = before.created_at;
        record.deployed_at = before.deployed_at;
    }
    begin(connection, &record, before.as_ref())
}

/// Marks an app as being removed by this job.
pub(super) fn begin_removing(
    connection: &Connection,
    server: &ServerName,
    name: &AppName,
    (job, forgets): (&JobId, bool),
) -> Result<(), Fault> {
    let Some(before) = app(connection, server, name)? else { return Ok(()) };
    let status = AppStatus::Removing;
    let record = AppRecord { status, job_id: job.clone(), forgets, ..before.clone() };
    begin(connection, &record, Some(&before))
}

/// What the end of a job means for the app that it was to change. One that never began changed
/// nothing.
pub(super) fn settle(
    connection: &Connection,
    job: &JobId,
    (ended, began): (JobStatus, bool),
    now: Timestamp,
) -> Result<(), Fault> {
    let Some(mut record) = of_job(connection, job)?.filter(|record| record.status.is_busy()) else {
        return Ok(());
    };
    match (ended == JobStatus::Completed, record.status) {
        (true, AppStatus::Removing) => return remove(connection, &record),
        (true, _) => {
            record.status = AppStatus::Running;
            record.deployed_at = Some(now);
        }
        (false, _) if !began => match before(connection, &record)? {
            Some(before) => record = before,
            None => return remove(connection, &record),
        },
        (false, _) => record.status = AppStatus::Error,
    }
    record.forgets = false;
    put(connection, &record)?;
    connection
        .prepare_cached("UPDATE apps SET before = NULL WHERE server = ?1 AND name = ?2")?
        .execute([record.server.as_str(), record.app_name.as_str()])?;
    Ok(())
}

/// Whether a job can be tried again as far as apps go: one that is about an app only while it is
/// the newest that changed it. Otherwise it would bring back a configuration of before, or an app
/// that nobody has a record of.
pub(super) fn may_try_again(connection: &Connection, job: &JobRecord) -> Result<bool, Fault> {
    Ok(!is_about_app(&job.operation) || of_job(connection, &job.id)?.is_some())
}

/// The app's record is about the job that tries another one again from now on.
pub(super) fn try_again(
    connection: &Connection,
    earlier: &JobRecord,
    job: &NewJob,
) -> Result<(), Fault> {
    let Some(before) = of_job(connection, &earlier.id)? else { return Ok(()) };
    let is_removal = earlier.operation.as_str().starts_with(DELETE);
    let record = AppRecord {
        status: if is_removal { AppStatus::Removing } else { AppStatus::Deploying },
        job_id: job.id.clone(),
        forgets: is_removal && earlier.params.get("delete_data") == Some(&Value::Bool(true)),
        ..before.clone()
    };
    begin(connection, &record, Some(&before))
}

/// Forgets all apps of a server.
pub(super) fn forget(connection: &Connection, server: &ServerName) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM apps WHERE server = ?1")?.execute([server.as_str()])?;
    Ok(())
}

fn begin(
    connection: &Connection,
    record: &AppRecord,
    before: Option<&AppRecord>,
) -> Result<(), Fault> {
    put(connection, record)?;
    connection
        .prepare_cached("UPDATE apps SET before = ?3 WHERE server = ?1 AND name = ?2")?
        .execute(params![
            record.server.as_str(),
            record.app_name.as_str(),
            before.map(to_json).transpose()?
        ])?;
    Ok(())
}

/// Writes a record; one of the same name is replaced.
pub(super) fn put(connection: &Connection, record: &AppRecord) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO apps (server, name, job, record) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (server, name) DO UPDATE SET job = excluded.job, record = excluded.record",
        )?
        .execute(params![
            record.server.as_str(),
            record.app_name.as_str(),
            record.job_id.as_str(),
            to_json(record)?
        ])?;
    Ok(())
}

fn remove(connection: &Connection, record: &AppRecord) -> Result<(), Fault> {
    let (server, name) = (&record.server, &record.app_name);
    if record.forgets {
        config::delete_secrets(connection, &format!("server/{server}/secret/{name}/"))?;
    }
    connection
        .prepare_cached("DELETE FROM apps WHERE server = ?1 AND name = ?2")?
        .execute([server.as_str(), name.as_str()])?;
    Ok(())
}

fn app(
    connection: &Connection,
    server: &ServerName,
    name: &AppName,
) -> Result<Option<AppRecord>, Fault> {
    let record: Option<String> = connection
        .prepare_cached("SELECT record FROM apps WHERE server = ?1 AND name = ?2")?
        .query_row([server.as_str(), name.as_str()], |row| row.get(0))
        .optional()?;
    record.map(|record| from_json(&record)).transpose()
}

fn of_job(connection: &Connection, job: &JobId) -> Result<Option<AppRecord>, Fault> {
    let record: Option<String> = connection
        .prepare_cached("SELECT record FROM apps WHERE job = ?1")?
        .query_row([job.as_str()], |row| row.get(0))
        .optional()?;
    record.map(|record| from_json(&record)).transpose()
}

fn before(connection: &Connection, record: &AppRecord) -> Result<Option<AppRecord>, Fault> {
    let before: Option<String> = connection
        .prepare_cached("SELECT before FROM apps WHERE server = ?1 AND name = ?2")?
        .query_row([record.server.as_str(), record.app_name.as_str()], |row| row.get(0))?;
    before.map(|before| from_json(&before)).transpose()
}

fn apps(connection: &Connection, server: &ServerName) -> Result<Vec<AppRecord>, Fault> {
    let mut select =
        connection.prepare_cached("SELECT record FROM apps WHERE server = ?1 ORDER BY name")?;
    let rows = select.query_map([server.as_str()], |row| row.get::<_, String>(0))?;
    rows.map(|record| from_json(&record?)).collect()
}

fn dns_owners(
    connection: &Connection,
    value: &str,
    own: Option<&ServerName>,
) -> Result<DnsOwners, Fault> {
    let servers = servers::dns_owners(connection, value, own)?;
    let mut select = connection.prepare_cached(
        "SELECT record FROM dns_owners
         JOIN apps ON apps.server = dns_owners.server AND apps.name = dns_owners.app
         WHERE value = ?1",
    )?;
    let rows = select.query_map([value], |row| row.get::<_, String>(0))?;
    let apps = rows.map(|record| from_json(&record?)).collect::<Result<_, _>>()?;
    Ok(DnsOwners { servers, apps })
}

fn all(connection: &Connection) -> Result<Vec<AppRecord>, Fault> {
    let mut select = connection.prepare_cached("SELECT record FROM apps ORDER BY server, name")?;
    let rows = select.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|record| from_json(&record?)).collect()
}
