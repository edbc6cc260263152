//! Jobs that begin only as their plan says. Between the look at the plan and the jobs' being
//! written others may change what it was made from: the transaction that writes them compares it,
//! and lets each run the version of its plugin that ran in the plan.

use std::sync::Arc;

use crate::app::access::Operator;
use crate::app::apps::Installation;
use crate::app::plan::Plan;
use crate::app::plan::intended::Intended;
use crate::app::servers::RequestKey;
use crate::error::{Error, ErrorKind};
use crate::model::job::PluginPin;
use crate::model::names::{InvalidName, OperationName};
use crate::storage::apps::Batch;
use crate::storage::planned::Planned;
use crate::storage::{NewJob, StorageError, Submitted};

/// How often a plan is made anew because others changed something meanwhile.
const TRIES: usize = 5;
/// The code of [`outdated`], which nobody outside sees.
const OUTDATED: &str = "plan_outdated";

impl Operator {
    /// Makes the jobs if they would do just what this plan says.
    pub async fn begin_as_planned(
        &self,
        intended: &Intended,
        hash: &str,
        key: Option<RequestKey>,
    ) -> Result<Installation, Error> {
        for _ in 0..TRIES {
            // The plan of what was begun is another one by now: the same request is the same job.
            if self.is_remembered(key.as_ref()).await? {
                return self.begin(intended, key).await;
            }
            let server = intended.server().clone();
            let basis = self.app.store.basis(&server).await?;
            let plan = self.plan(intended).await?;
            if plan.plan_hash != hash {
                return self.joined(&plan).ok_or_else(|| changed(&plan, hash));
            }
            let planned = Planned { server, basis, pins: pins(&plan)? };
            let fenced = Self { planned: Some(Arc::new(planned)), ..self.clone() };
            match fenced.begin(intended, key.clone()).await {
                Err(error) if error.code() == OUTDATED => {}
                begun => return begun,
            }
        }
        let message = "Nothing was started: others change what the plan was made from all the \
                       time. Wait for the jobs that run, and make a new plan.";
        Err(Error::new(ErrorKind::Conflict, "plan_changed", message)
            .with_next("GET /api/jobs?status=running"))
    }

    /// Writes a job; one that was planned only as long as its plan holds.
    pub(in crate::app) async fn write(&self, job: NewJob) -> Result<Submitted, StorageError> {
        let Some(planned) = self.planned.clone() else { return self.app.store.submit(job).await };
        let batch = Batch { jobs: vec![job], secrets: Vec::new(), planned: Some(planned) };
        self.app.store.submit_all(batch).await
    }

    /// The job that does this already, for a caller whose repetitions are one.
    fn joined(&self, plan: &Plan) -> Option<Installation> {
        let job = plan.already.clone().filter(|_| self.joins())?;
        let (depends_on, warnings) = (Vec::new(), Vec::new());
        Some(Installation { job, depends_on, deduplicated: true, warnings })
    }
}

/// What ran in a plan.
fn pins(plan: &Plan) -> Result<Vec<(OperationName, PluginPin)>, Error> {
    let pinned = plan.jobs.iter().filter_map(|job| Some((&job.operation, job.plugin.clone()?)));
    pinned
        .map(|(operation, pin)| {
            let name = operation.parse().map_err(|error: InvalidName| Error::internal(error))?;
            Ok((name, pin))
        })
        .collect()
}

/// What a plan was made from is not so any more: it is made anew.
pub(in crate::app) fn outdated() -> Error {
    Error::new(ErrorKind::Conflict, OUTDATED, "What the plan was made from was changed.")
}

fn changed(plan: &Plan, hash: &str) -> Error {
    let shown: String = hash.chars().take(40).collect();
    let message = format!(
        "Nothing was started: it would not do what the plan `{}` says any more. Now: {} Look at \
         the new plan, and use its hash `{}`.",
        shown.escape_debug(),
        plan.summary,
        plan.plan_hash
    );
    Error::new(ErrorKind::Conflict, "plan_changed", message)
        .with_detail("plan_hash", plan.plan_hash.as_str())
}
