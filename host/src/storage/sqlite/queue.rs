//! Jobs on their way: claimed, given back, cancelled, ended. Each statement repeats the guard that
//! the job's type already gives.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use crate::model::failure::Failure;
use crate::model::job::{Finished, Job, JobStatus, Lease, Outcome, Running};
use crate::model::journal::{Event, NewEntry};
use crate::model::names::{JobId, WorkerId};
use crate::storage::sqlite::fault::{Fault, column, number, parse, to_json};
use crate::storage::sqlite::verb::Writing;
use crate::storage::sqlite::{jobs, journal, order};
use crate::storage::{CancelRequest, Change, Claim, KeptLease, StorageError};

/// Gives the oldest claimable jobs to a worker.
pub(super) fn claim(
    writing: &mut Writing<'_>,
    claim: &Claim,
    most: usize,
) -> Result<Vec<Job<Running>>, Fault> {
    let mut jobs = Vec::new();
    while jobs.len() < most
        && let Some(job) = claim_next(writing, claim)?
    {
        jobs.push(job);
    }
    Ok(jobs)
}

fn claim_next(writing: &mut Writing<'_>, claim: &Claim) -> Result<Option<Job<Running>>, Fault> {
    let next: Option<(i64, i64)> = writing
        .connection
        .prepare_cached(
            "SELECT number, fence FROM jobs WHERE status = 'queued' AND ready = 1
             ORDER BY number LIMIT 1",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((place, fence)) = next else { return Ok(None) };
    let Some(record) = jobs::record(writing.connection, place)? else { return Ok(None) };
    let lease = Lease {
        job: record.id.clone(),
        number: record.number,
        worker: claim.worker.clone(),
        fence: number(fence + 1)?,
    };
    let job = Job::queued(record).start(lease, claim.now);
    let started = job.record.started_at.unwrap_or(claim.now);
    writing
        .connection
        .prepare_cached(
            "UPDATE jobs SET status = 'running', worker = ?2, lease_until = ?3, fence = ?4,
                             attempt = ?5, started_at = ?6
             WHERE number = ?1 AND status = 'queued'",
        )?
        .execute(params![
            place,
            claim.worker.as_str(),
            claim.until.as_microsecond(),
            fence + 1,
            job.record.attempt,
            started.as_microsecond(),
        ])?;
    let (attempt, worker) = (job.record.attempt, claim.worker.clone());
    let event = Event::Claimed { attempt, worker, digest: None };
    journal::record(writing, place, &job.record.id, &[NewEntry { at: claim.now, event }])?;
    Ok(Some(job))
}

/// Prolongs a worker's leases.
pub(super) fn renew(writing: &Writing<'_>, claim: &Claim) -> Result<Vec<KeptLease>, Fault> {
    let mut update = writing.connection.prepare_cached(
        "UPDATE jobs SET lease_until = ?2 WHERE status = 'running' AND worker = ?1
         RETURNING id, cancel_requested",
    )?;
    let mut rows = update.query(params![claim.worker.as_str(), claim.until.as_microsecond()])?;
    let mut kept = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        kept.push(KeptLease { job: parse(&id)?, cancel_requested: row.get(1)? });
    }
    Ok(kept)
}

/// Puts jobs back in the queue whose worker is gone.
pub(super) fn recover(
    writing: &mut Writing<'_>,
    claim: &Claim,
    exclusive: bool,
) -> Result<u64, Fault> {
    let orphans = {
        let mut select = writing.connection.prepare_cached(
            "SELECT number FROM jobs
             WHERE status = 'running'
               AND (lease_until < ?1 OR (?2 AND (worker IS NULL OR worker <> ?3)))
             ORDER BY number",
        )?;
        order::numbers(select.query(params![
            claim.now.as_microsecond(),
            exclusive,
            claim.worker.as_str()
        ])?)?
    };
    for &orphan in &orphans {
        let (id, worker) = put_back(writing, orphan)?;
        let who = worker.as_ref().map_or("its worker", WorkerId::as_str);
        let reason = format!("{who} stopped before the job ended");
        let entry = NewEntry { at: claim.now, event: Event::Requeued { reason } };
        journal::record(writing, orphan, &id, &[entry])?;
        writing.changed(Change::Claimable);
    }
    number(i64::try_from(orphans.len()).unwrap_or(i64::MAX))
}

/// Writes a job's end.
pub(super) fn finish(
    writing: &mut Writing<'_>,
    job: &Job<Finished>,
    entries: &[NewEntry],
) -> Result<(), Fault> {
    let place = column(job.record.number);
    let until = match job.lease() {
        Some(lease) => {
            journal::hold(writing.connection, lease)?;
            JobStatus::Running
        }
        None => JobStatus::Queued,
    };
    end(writing, job, until)?;
    journal::record(writing, place, &job.record.id, entries)?;
    let now = job.record.completed_at.unwrap_or(job.record.created_at);
    order::release(writing, place, now)
}

/// Gives a running job back.
pub(super) fn requeue(
    writing: &mut Writing<'_>,
    lease: &Lease,
    entry: NewEntry,
) -> Result<(), Fault> {
    journal::append(writing, lease, &[entry])?;
    put_back(writing, column(lease.number))?;
    writing.changed(Change::Claimable);
    Ok(())
}

/// Ends a job that never ran, or tells a running one to stop. A job that ran and waits to be run
/// again may have left something outside: its next worker sees to that.
pub(super) fn request_cancel(
    writing: &mut Writing<'_>,
    id: &JobId,
    by: &str,
    now: Timestamp,
) -> Result<CancelRequest, Fault> {
    let Some(record) = jobs::record_by_id(writing.connection, id)? else {
        return Ok(CancelRequest::NoSuchJob);
    };
    if record.status.is_finished() {
        return Ok(CancelRequest::Finished(record.status));
    }
    let place = column(record.number);
    if !record.cancel_requested {
        writing
            .connection
            .prepare_cached("UPDATE jobs SET cancel_requested = 1 WHERE number = ?1")?
            .execute([place])?;
        let event = Event::CancelRequested { by: by.to_owned() };
        journal::record(writing, place, id, &[NewEntry { at: now, event }])?;
    }
    if record.status == JobStatus::Queued && record.attempt == 0 {
        let failure = Failure::safe("cancelled", format!("cancelled by {by} before it began"));
        let job = Job::queued(record).finish(Outcome::Cancelled(failure), now);
        let event = Event::end_of(&job.record);
        finish(writing, &job, &[NewEntry { at: now, event }])?;
        return Ok(CancelRequest::Cancelled);
    }
    writing.changed(Change::CancelRequested(id.clone()));
    Ok(CancelRequest::Requested)
}

fn end(writing: &Writing<'_>, job: &Job<Finished>, until: JobStatus) -> Result<(), Fault> {
    let record = &job.record;
    let changed = writing
        .connection
        .prepare_cached(
            "UPDATE jobs SET status = ?3, view = ?4, result = ?5, failure = ?6, completed_at = ?7,
                             ready = 0, worker = NULL, lease_until = NULL
             WHERE number = ?1 AND status = ?2",
        )?
        .execute(params![
            column(record.number),
            until.as_str(),
            record.status.as_str(),
            to_json(&record.view)?,
            record.result.as_ref().map(to_json).transpose()?,
            record.failure.as_ref().map(to_json).transpose()?,
            record.completed_at.map(Timestamp::as_microsecond),
        ])?;
    if changed == 0 {
        return Err(StorageError::LeaseLost { job: record.id.clone() }.into());
    }
    Ok(())
}

/// Back in the queue, where it is the first of its server as before.
fn put_back(writing: &Writing<'_>, place: i64) -> Result<(JobId, Option<WorkerId>), Fault> {
    let (id, worker): (String, Option<String>) = writing
        .connection
        .prepare_cached("SELECT id, worker FROM jobs WHERE number = ?1")?
        .query_row([place], |row| Ok((row.get(0)?, row.get(1)?)))?;
    writing
        .connection
        .prepare_cached(
            "UPDATE jobs SET status = 'queued', worker = NULL, lease_until = NULL
             WHERE number = ?1 AND status = 'running'",
        )?
        .execute([place])?;
    Ok((parse(&id)?, worker.map(|worker| parse(&worker)).transpose()?))
}
