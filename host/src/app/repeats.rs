//! Callers who may say the same twice without meaning it twice, such as agents whose client gave
//! up waiting for an answer: what they ask for is made once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::app::access::Operator;
use crate::app::servers::Wish;
use crate::error::{Error, ErrorKind};
use crate::model::job::{JobRecord, JobStatus};
use crate::model::names::{JobId, OperationName, ServerName};
use crate::storage::JobFilter;

/// The most unfinished jobs of one operation and server that are looked at.
const LOOKED_AT: usize = 50;

/// Whether a caller's repetitions are one job.
#[derive(Clone, Default)]
pub(super) enum Repeats {
    /// Each request is a job.
    #[default]
    Count,
    /// They are one, and here stands whether there was one.
    Join(Arc<AtomicBool>),
}

/// What a caller asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The job that does it.
    pub job: JobId,
    /// Whether it had been asked for before.
    pub before: bool,
}

impl Operator {
    /// The same caller, whose repetitions are one job: while a job with the same parameters is not
    /// finished, asking for it again answers that one; with other parameters it is a conflict.
    #[must_use]
    pub fn joining_repeats(mut self) -> Self {
        self.repeats = Repeats::Join(Arc::default());
        self
    }

    /// What came of asking for this job.
    pub fn asked(&self, job: JobId) -> Asked {
        let before = match &self.repeats {
            Repeats::Count => false,
            Repeats::Join(seen) => seen.load(Ordering::Relaxed),
        };
        Asked { job, before }
    }

    pub(super) const fn joins(&self) -> bool {
        matches!(self.repeats, Repeats::Join(_))
    }

    /// The unfinished job that does what is wished, if there is one.
    pub(super) async fn unfinished(
        &self,
        operation: &OperationName,
        server: &ServerName,
        params: &Value,
    ) -> Result<Option<JobId>, Error> {
        let unfinished = vec![JobStatus::Queued, JobStatus::Running];
        let jobs = self.jobs_like(operation, server, unfinished).await?;
        let Some(other) = jobs.first() else { return Ok(None) };
        match jobs.iter().find(|job| job.params == *params) {
            Some(same) => Ok(Some(self.seen(same))),
            None => Err(otherwise(other, params)),
        }
    }

    /// The job that made the server that is wished, if it was made just so.
    pub(super) async fn made(
        &self,
        operation: &OperationName,
        wish: &Wish,
    ) -> Result<Option<JobId>, Error> {
        let done = vec![JobStatus::Completed];
        let jobs = self.jobs_like(operation, &wish.server, done).await?;
        Ok(jobs.first().filter(|job| job.params == wish.params).map(|job| self.seen(job)))
    }

    async fn jobs_like(
        &self,
        operation: &OperationName,
        server: &ServerName,
        status: Vec<JobStatus>,
    ) -> Result<Vec<JobRecord>, Error> {
        let filter = JobFilter {
            status,
            operation: Some(operation.clone()),
            server: Some(server.clone()),
            limit: LOOKED_AT,
            before: None,
        };
        Ok(self.app.store.jobs(&filter).await?.items)
    }

    fn seen(&self, job: &JobRecord) -> JobId {
        if let Repeats::Join(seen) = &self.repeats {
            seen.store(true, Ordering::Relaxed);
        }
        job.id.clone()
    }
}

/// The same is under way with other parameters.
fn otherwise(other: &JobRecord, wished: &Value) -> Error {
    let differs = |name: &&String| other.params.get(name.as_str()) != wished.get(name.as_str());
    let names: Vec<&str> = wished
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys)
        .filter(differs)
        .map(String::as_str)
        .collect();
    let id = &other.id;
    let message = format!(
        "The job `{id}` does this already with other parameters ({}): wait for it, or cancel it.",
        names.join(", ")
    );
    Error::new(ErrorKind::Conflict, "job_differs", message)
        .with_detail("job_id", id.as_str())
        .with_next(format!("GET /api/jobs/{id}"))
}
