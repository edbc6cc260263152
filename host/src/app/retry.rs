//! Trying a job again that did not complete.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::access::Operator;
use crate::app::jobs::no_such_job;
use crate::app::servers::{KEY_LIFE, RequestKey, busy, exists, key_reused};
use crate::app::{App, servers};
use crate::error::{Error, ErrorKind, sentence};
use crate::jobs::retry::{Before, Plan};
use crate::model::job::{JobRecord, JobStatus, PluginPin};
use crate::model::names::{JobId, ServerName};
use crate::model::retry::{Resolve, RetriedEffect, RetryFrom};
use crate::storage::retry::{NewRetry, RetriedServer, Retry};
use crate::storage::{IdempotencyKey, NewJob, ServerChange, StorageError};

/// How a job is to be tried again.
#[derive(Clone, Debug, Default)]
pub struct WantedRetry {
    /// From where on; the step that failed when not said.
    pub from: Option<RetryFrom>,
    /// What became of the effect that nobody knew of.
    pub resolve: Option<Resolve>,
}

/// A job that tries another one again.
#[derive(Clone, Debug)]
pub struct RetriedJob {
    /// The new job.
    pub id: JobId,
    /// Whether the same request had made it before.
    pub before: bool,
    /// Where it begins.
    pub from: RetryFrom,
    /// What becomes of the effects of the job before.
    pub effects: Vec<RetriedEffect>,
}

/// What a retry would begin with. What its plugin would do after that depends on what it finds.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlannedRetry {
    /// The job that would be tried again.
    #[schema(value_type = String, example = "job_20250110_150000_a1b2c3")]
    pub retry_of: JobId,
    /// Where the new one would begin.
    pub from: RetryFrom,
    /// The same in words.
    pub summary: String,
    /// What would run; none for the newest version.
    pub plugin: Option<PluginPin>,
    /// What would become of the effects of the job before: reused, looked up, or done anew.
    pub effects: Vec<RetriedEffect>,
}

/// A retry that nothing is known to speak against but what the store knows.
struct Prepared {
    record: JobRecord,
    from: RetryFrom,
    plan: Plan,
    now: Timestamp,
}

impl Operator {
    /// Tells what trying a job again would begin with, and does nothing. What would be refused is
    /// refused in the same words.
    #[tracing::instrument(skip_all, fields(job.id = %id))]
    pub async fn plan_retry(&self, id: &JobId, wanted: WantedRetry) -> Result<PlannedRetry, Error> {
        let Prepared { record, from, plan, now } = self.prepare(id, wanted).await?;
        let retry = self.new_retry(&record, plan.clone(), None, now);
        match self.app.store.would_retry(retry).await? {
            Retry::Job(_) | Retry::Before(_) => {}
            refused => return Err(self.app.refused(&record, refused).await?),
        }
        let Plan { pin: plugin, effects, summary, .. } = plan;
        let summary = sentence(&summary);
        Ok(PlannedRetry { retry_of: record.id, from, summary, plugin, effects })
    }

    /// Makes a job that goes on where another one failed, or does it again from its beginning.
    #[tracing::instrument(skip_all, fields(job.id = %id))]
    pub async fn retry(
        &self,
        id: &JobId,
        wanted: WantedRetry,
        key: Option<RequestKey>,
    ) -> Result<RetriedJob, Error> {
        let Prepared { record, from, plan, now } = self.prepare(id, wanted).await?;
        for _ in 0..servers::ID_TRIES {
            let retry = self.new_retry(&record, plan.clone(), key.as_ref(), now);
            match self.app.store.retry(retry).await {
                Ok(Retry::Job(id)) => {
                    return Ok(RetriedJob { id, before: false, from, effects: plan.effects });
                }
                Ok(Retry::Before(id)) => {
                    return Ok(RetriedJob { id, before: true, from, effects: plan.effects });
                }
                Ok(refused) => return Err(self.app.refused(&record, refused).await?),
                Err(StorageError::Duplicate) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StorageError::Duplicate.into())
    }

    async fn prepare(&self, id: &JobId, wanted: WantedRetry) -> Result<Prepared, Error> {
        let record = self.app.store.job(id).await?.ok_or_else(|| no_such_job(id))?;
        check_status(&record)?;
        check_wish(&record, &wanted)?;
        let from = wanted.from.unwrap_or_default();
        let entries = self.app.whole_journal(id).await?;
        let now = Timestamp::now();
        let before = Before { record: &record, entries: &entries };
        let plan = Plan::new(before, from, wanted.resolve, now);
        self.app.check_plugin(&record, &plan)?;
        Ok(Prepared { record, from, plan, now })
    }

    fn new_retry(
        &self,
        before: &JobRecord,
        plan: Plan,
        key: Option<&RequestKey>,
        now: Timestamp,
    ) -> NewRetry {
        let idempotency = key.map(|key| IdempotencyKey {
            key: format!("{}:{}", self.by, key.key),
            request: key.request.clone(),
            since: now - KEY_LIFE,
        });
        let job = NewJob {
            id: JobId::new(now, rand::random()),
            operation: before.operation.clone(),
            params: before.params.clone(),
            server: before.server.clone(),
            retry_of: Some((before.id.clone(), before.root.clone())),
            depends_on: before.depends_on.clone(),
            by: self.by.clone(),
            now,
            server_change: ServerChange::None,
            idempotency,
        };
        let server = match before.operation.as_str() {
            "create_server" => RetriedServer::Made,
            "delete_server" => RetriedServer::Deleted,
            _ => RetriedServer::Used,
        };
        NewRetry { job, server, pin: plan.pin, entries: plan.entries, view: plan.view }
    }
}

impl App {
    /// Whether the version is there that the retry has to run, and takes its parameters.
    fn check_plugin(&self, record: &JobRecord, plan: &Plan) -> Result<(), Error> {
        let Some(pin) = &plan.pin else {
            return self.check_params(&record.operation, &record.params);
        };
        if self.catalog.by_digest(&pin.digest).is_some() {
            return Ok(());
        }
        let message = format!(
            "The job `{}` ran {} {} ({}), which is not installed any more: install it again, or \
             retry from the start with the version that is there now.",
            record.id, pin.name, pin.version, pin.digest
        );
        Err(Error::new(ErrorKind::Conflict, "plugin_missing", message)
            .with_detail("digest", pin.digest.to_string())
            .with_next("GET /api/plugins"))
    }

    /// The sentence for a retry that the store refused.
    async fn refused(&self, record: &JobRecord, why: Retry) -> Result<Error, Error> {
        let id = &record.id;
        let conflict =
            |code: &'static str, message: String| Error::new(ErrorKind::Conflict, code, message);
        let name = record.server.as_ref().map_or("", ServerName::as_str);
        Ok(match why {
            Retry::KeyReused => key_reused(),
            Retry::NoSuchJob | Retry::Job(_) | Retry::Before(_) => no_such_job(id),
            Retry::NotNow(status) => not_now(id, status),
            Retry::Again(other) => {
                let message = format!("The job `{id}` was tried again by `{other}`: retry that.");
                conflict("already_retried", message).with_next(format!("GET /api/jobs/{other}"))
            }
            Retry::ServerBusy(other) => match &record.server {
                Some(server) => busy(server, &format!("is being worked on by `{other}`"))
                    .with_next(format!("GET /api/jobs/{other}")),
                None => no_such_job(&other),
            },
            Retry::ServerGone => {
                let message =
                    format!("There is no server `{name}` any more: nothing is left to do.");
                conflict("server_deleted", message).with_next("GET /api/servers")
            }
            Retry::OtherServer => {
                let server: ServerName = name.parse().map_err(Error::internal)?;
                match self.store.server(&server).await? {
                    Some(server) if record.operation.as_str() == "create_server" => exists(&server),
                    _ => {
                        let message = format!(
                            "The server `{name}` is another one than the job `{id}` was about."
                        );
                        conflict("server_replaced", message)
                            .with_next(format!("GET /api/servers/{name}"))
                    }
                }
            }
            Retry::AppChanged => {
                let message = format!(
                    "The app that the job `{id}` was about is not there, or was changed by \
                     another job since: install it, or remove it, anew."
                );
                conflict("app_changed", message)
                    .with_next(format!("GET /api/servers/{name}/apps"))
                    .with_next(format!("POST /api/servers/{name}/apps"))
            }
            Retry::Needs(other) => {
                let message =
                    format!("It depends on `{other}`, which did not complete: retry that first.");
                conflict("dependency_failed", message).with_next(format!("GET /api/jobs/{other}"))
            }
        })
    }
}

fn check_status(record: &JobRecord) -> Result<(), Error> {
    match record.status {
        JobStatus::Failed | JobStatus::Cancelled | JobStatus::Uncertain => Ok(()),
        status => Err(not_now(&record.id, status)),
    }
}

fn check_wish(record: &JobRecord, wanted: &WantedRetry) -> Result<(), Error> {
    let is_uncertain = record.status == JobStatus::Uncertain;
    match (wanted.resolve, wanted.from) {
        (Some(_), Some(RetryFrom::Start)) => {
            let message =
                "A job that is told what happened goes on where it stopped: leave `from` out.";
            Err(Error::invalid_field("/from", message))
        }
        (Some(_), _) if !is_uncertain => {
            let message = format!(
                "The job `{}` is {}: what it did is known, and there is nothing to resolve.",
                record.id,
                record.status.as_str()
            );
            Err(Error::new(ErrorKind::Conflict, "nothing_to_resolve", message))
        }
        (None, Some(RetryFrom::Start)) if is_uncertain => {
            let message = format!(
                "Nobody knows whether the last effect of `{}` happened: say so with `resolve`, \
                 `happened` or `did_not_happen`.",
                record.id
            );
            Err(Error::new(ErrorKind::Conflict, "outcome_unknown", message)
                .not_retry_safe()
                .with_next(format!("GET /api/jobs/{}/journal", record.id)))
        }
        _ => Ok(()),
    }
}

fn not_now(id: &JobId, status: JobStatus) -> Error {
    let (code, message) = if status.is_finished() {
        ("job_finished", format!("The job `{id}` is completed: there is nothing to try again."))
    } else {
        let message =
            format!("The job `{id}` is {}: wait for its end, or cancel it first.", status.as_str());
        ("job_not_finished", message)
    };
    Error::new(ErrorKind::Conflict, code, message)
        .with_detail("status", status.as_str())
        .with_next(format!("GET /api/jobs/{id}"))
}
