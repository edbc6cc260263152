//! A job: one run of an operation. Its states are types; only the transitions that exist have a
//! method.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::failure::Failure;
use crate::model::names::{Digest, JobId, OperationName, ServerName, WorkerId};

/// How a job stands. For reading only: a job in hand is a [`Job`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// On disk, waiting for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// It did what it was for.
    Completed,
    /// It did not; `error` says why.
    Failed,
    /// It was stopped, and is known to have stopped.
    Cancelled,
    /// An effect may or may not have happened, and a person must say.
    Uncertain,
}

impl JobStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Uncertain,
    ];

    /// The name that APIs and the database use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Uncertain => "uncertain",
        }
    }

    /// Whether nothing more happens to the job by itself.
    pub const fn is_finished(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl std::str::FromStr for JobStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!(
                "`{}` is no job status; there are queued, running, completed, failed, cancelled \
                 and uncertain",
                shown.escape_debug()
            )
        })
    }
}

/// All that is recorded of a job but its journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// Its place in the order of submission, unique in the store.
    pub number: u64,
    /// What it does.
    pub operation: OperationName,
    /// What the plugin is given. References only, no secrets.
    pub params: Value,
    /// The server that it works on; jobs of one server run one after another.
    pub server: Option<ServerName>,
    /// The job that this one tries again.
    pub retry_of: Option<JobId>,
    /// The first job of the chain of retries: what it made outside carries that one's labels.
    pub root: JobId,
    /// Jobs that must have completed before.
    pub depends_on: Vec<JobId>,
    /// How it stands.
    pub status: JobStatus,
    /// How often a worker took it.
    pub attempt: u32,
    /// What it runs, once it started.
    pub plugin: Option<PluginPin>,
    /// Whether somebody wants it to stop.
    pub cancel_requested: bool,
    /// Steps and percent.
    pub view: View,
    /// What came of it, once it completed.
    pub result: Option<Value>,
    /// Why it did not.
    pub failure: Option<Failure>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it was first claimed.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// Which plugin a job runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PluginPin {
    /// Its name.
    #[schema(example = "hello")]
    pub name: String,
    /// Its version.
    #[schema(example = "0.1.0")]
    pub version: String,
    /// The digest of its bytes.
    #[schema(value_type = String)]
    pub digest: Digest,
}

/// What people watch: steps and percent, following from the journal. Each list holds at most
/// [`View::MOST_STEPS`], however many steps a plugin reports: a view is kept in memory and written
/// whole with each step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// 0 to 100.
    pub progress: u8,
    /// The step that runs.
    pub current_step: Option<String>,
    /// The first steps that ended, in order.
    pub steps_completed: Vec<String>,
    /// Steps to come, in order.
    pub steps_remaining: Vec<String>,
    /// When each of the first steps that began did, in order.
    #[serde(default)]
    pub begun: Vec<(String, Timestamp)>,
    /// How many steps began after those in `begun`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unlisted: u32,
}

const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl View {
    /// How many steps are listed. A plan has at most 100.
    pub const MOST_STEPS: usize = 128;

    /// The plugin names its steps; those that already ran stay.
    pub fn plan(&mut self, steps: &[String]) {
        let seen =
            |s: &String| self.current_step.as_ref() == Some(s) || self.steps_completed.contains(s);
        let ahead = steps.iter().filter(|s| !seen(s));
        self.steps_remaining = ahead.take(Self::MOST_STEPS).cloned().collect();
    }

    /// A step begins, the one before it is complete.
    pub fn step(&mut self, name: &str, at: Timestamp) {
        if self.current_step.as_deref() == Some(name) {
            return;
        }
        self.complete_step();
        self.steps_remaining.retain(|step| step != name);
        if self.begun.len() < Self::MOST_STEPS {
            self.begun.push((name.to_owned(), at));
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
        self.current_step = Some(name.to_owned());
    }

    /// Progress never goes back.
    pub fn progress(&mut self, percent: u8) {
        self.progress = self.progress.max(percent.min(100));
    }

    /// The job did all it was for.
    pub fn complete(&mut self) {
        self.complete_step();
        self.steps_remaining.clear();
        self.progress = 100;
    }

    fn complete_step(&mut self) {
        let ended = self.current_step.take();
        let has_room = self.steps_completed.len() < Self::MOST_STEPS;
        self.steps_completed.extend(ended.filter(|_| has_room));
    }
}

/// The right to write to a running job: who has it, and the number that makes an older holder's
/// writes be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Its number in the store.
    pub number: u64,
    /// The holder.
    pub worker: WorkerId,
    /// Grows with each claim.
    pub fence: u64,
}

/// A job in hand, in one state.
#[derive(Clone, Debug)]
pub struct Job<S> {
    /// What is recorded of it.
    pub record: JobRecord,
    state: S,
}

/// State: waiting for a worker.
#[derive(Clone, Copy, Debug)]
pub struct Queued;

/// State: a worker has it.
#[derive(Clone, Debug)]
pub struct Running {
    lease: Lease,
}

/// State: it ended.
#[derive(Clone, Debug)]
pub struct Finished {
    lease: Option<Lease>,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With this result.
    Completed(Value),
    /// For this reason.
    Failed(Failure),
    /// Stopped, for this reason.
    Cancelled(Failure),
    /// A person must say whether an effect happened.
    Uncertain(Failure),
}

impl Job<Queued> {
    /// A job as it was submitted.
    pub const fn queued(record: JobRecord) -> Self {
        Self { record, state: Queued }
    }

    /// A worker takes it.
    pub fn start(mut self, lease: Lease, now: Timestamp) -> Job<Running> {
        self.record.status = JobStatus::Running;
        self.record.attempt += 1;
        self.record.started_at.get_or_insert(now);
        Job { record: self.record, state: Running { lease } }
    }

    /// It never ran.
    pub fn finish(self, outcome: Outcome, now: Timestamp) -> Job<Finished> {
        finished(self.record, None, outcome, now)
    }
}

impl Job<Running> {
    /// The right to write to it.
    pub const fn lease(&self) -> &Lease {
        &self.state.lease
    }

    /// Its worker gives it back: the next one runs it again from its journal.
    pub fn requeue(mut self) -> (Job<Queued>, Lease) {
        self.record.status = JobStatus::Queued;
        (Job { record: self.record, state: Queued }, self.state.lease)
    }

    /// It ended.
    pub fn finish(self, outcome: Outcome, now: Timestamp) -> Job<Finished> {
        finished(self.record, Some(self.state.lease), outcome, now)
    }
}

impl Job<Finished> {
    /// The right with which its end is written; none when it never ran.
    pub const fn lease(&self) -> Option<&Lease> {
        self.state.lease.as_ref()
    }
}

fn finished(
    mut record: JobRecord,
    lease: Option<Lease>,
    outcome: Outcome,
    now: Timestamp,
) -> Job<Finished> {
    record.completed_at = Some(now);
    (record.status, record.result, record.failure) = match outcome {
        Outcome::Completed(result) => (JobStatus::Completed, Some(result), None),
        Outcome::Failed(failure) => (JobStatus::Failed, None, Some(failure)),
        Outcome::Cancelled(failure) => (JobStatus::Cancelled, None, Some(failure)),
        Outcome::Uncertain(failure) => (JobStatus::Uncertain, None, Some(failure)),
    };
    if record.status == JobStatus::Completed {
        record.view.complete();
    }
    Job { record, state: Finished { lease } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_stays_small_however_many_steps_a_plugin_reports() {
        let mut view = View::default();
        for number in 0..100_000 {
            view.step(&format!("step {number}"), Timestamp::UNIX_EPOCH);
        }
        assert_eq!(view.current_step.as_deref(), Some("step 99999"));
        view.complete();
        assert_eq!((view.begun.len(), view.steps_completed.len()), (128, 128));
        assert_eq!(view.begun.len() + usize::try_from(view.unlisted).unwrap(), 100_000);
        assert!(serde_json::to_string(&view).unwrap().len() < 10_000);
    }

    #[test]
    fn steps_of_a_plan_that_is_too_long_are_left_out() {
        let mut view = View::default();
        view.plan(&(0..1_000).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(view.steps_remaining.len(), View::MOST_STEPS);
    }
}
