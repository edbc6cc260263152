//! The journal: what happened to a job, in order, append-only. What changes of a job's record is
//! rebuilt from it: see [`standing`](crate::model::standing).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::failure::Failure;
use crate::model::job::{JobRecord, JobStatus, PluginPin};
use crate::model::names::{Digest, JobId, WorkerId};
use crate::model::retry::Inheritance;

/// One entry, as it stands on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number in the job, from 1, without gaps.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// An entry that has no number yet: the store gives it the next one.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEntry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// A part of what happened to all jobs, in the order in which it was written.
#[derive(Clone, Debug)]
pub struct Feed {
    /// What happened, in order.
    pub news: Vec<News>,
    /// Whether nothing is missing between the place that was asked for and the first of them.
    pub is_whole: bool,
}

/// An entry of some job's journal.
#[derive(Clone, Debug)]
pub struct News {
    /// Its number among all. There may be gaps.
    pub number: u64,
    /// The job.
    pub job: JobId,
    /// The entry.
    pub entry: Entry,
}

/// What can happen to a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// Somebody asked for it.
    Submitted {
        /// The name of the token that asked.
        by: String,
        /// The job that this one tries again.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_of: Option<JobId>,
        /// Whether all that changes of the job's record follows from this journal: in those that
        /// began under an older host it does not.
        #[serde(default)]
        is_whole: bool,
    },
    /// It goes on from another one.
    Retried(Box<Inheritance>),
    /// A worker took it.
    Claimed {
        /// From 1.
        attempt: u32,
        /// Who.
        worker: WorkerId,
        /// What it runs, in a journal that is not whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// What it runs is chosen; the same in every attempt.
    Pinned {
        /// The plugin.
        plugin: PluginPin,
    },
    /// The plugin named its steps.
    Plan {
        /// The plugin's line number, which tells a replayed one.
        line: u64,
        /// In order.
        steps: Vec<String>,
    },
    /// A step began.
    Step {
        /// The plugin's line number.
        line: u64,
        /// Its name.
        name: String,
    },
    /// The job got on.
    Progress {
        /// The plugin's line number.
        line: u64,
        /// 0 to 100.
        percent: u8,
    },
    /// A line for people.
    Log {
        /// How much it matters.
        level: LogLevel,
        /// At most 16 KiB.
        message: String,
        /// Where it came from.
        source: LogSource,
    },
    /// An effect is about to be sent.
    Intent {
        /// The effect's number in the job, from 0.
        ordinal: u32,
        /// `interface.function`.
        function: String,
        /// What may be done when the outcome is not known.
        class: Class,
        /// SHA-256 of the request, hex.
        digest: String,
        /// The request, secrets redacted.
        request: Value,
    },
    /// An effect ended.
    Outcome {
        /// The effect's number.
        ordinal: u32,
        /// `interface.function`; an effect that has no intent is told by it.
        function: String,
        /// Its class.
        class: Class,
        /// SHA-256 of the request, hex.
        digest: String,
        /// What came of it.
        result: Result<Value, Failure>,
        /// How long it took.
        duration_ms: u64,
        /// How it was found out after a crash: `adopted`, `repeated`; none when it was just sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recovered: Option<String>,
    },
    /// Somebody wants it to stop.
    CancelRequested {
        /// The name of the token that asked.
        by: String,
    },
    /// Its time is over: its plugin is told so as it would be of a wish to cancel, in this run and in
    /// those that go on from here.
    Overdue {
        /// How the job ends once that is cleaned up.
        failure: Failure,
    },
    /// The host was put back from a backup: the job may have gone on since that was taken, and
    /// nobody here knows how far.
    Restored {
        /// When the backup was taken; none when it does not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken_at: Option<Timestamp>,
    },
    /// Its worker gave it back.
    Requeued {
        /// Why.
        reason: String,
    },
    /// It ended.
    Finished {
        /// `completed`, `failed`, `cancelled` or `uncertain`.
        status: JobStatus,
        /// The failure, where it is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// What came of it, where it completed. Not in a journal that is not whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
    },
}

impl Event {
    /// That this job ended.
    pub fn end_of(job: &JobRecord) -> Self {
        let (status, failure, result) = (job.status, job.failure.clone(), job.result.clone());
        Self::Finished { status, failure, result }
    }

    /// The name of its kind, as it stands on disk.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Submitted { .. } => "submitted",
            Self::Retried(_) => "retried",
            Self::Claimed { .. } => "claimed",
            Self::Pinned { .. } => "pinned",
            Self::Plan { .. } => "plan",
            Self::Step { .. } => "step",
            Self::Progress { .. } => "progress",
            Self::Log { .. } => "log",
            Self::Intent { .. } => "intent",
            Self::Outcome { .. } => "outcome",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::Overdue { .. } => "overdue",
            Self::Restored { .. } => "restored",
            Self::Requeued { .. } => "requeued",
            Self::Finished { .. } => "finished",
        }
    }
}

/// How much a log line matters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// For whoever waits.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something failed.
    Error,
}

impl LogLevel {
    /// The name that APIs use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Where a log line came from, so that a replay does not write it twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// The plugin: its line number.
    Plugin(u64),
    /// The host itself.
    Host,
    /// A remote command.
    Remote {
        /// The effect that runs it.
        ordinal: u32,
        /// Whether the line stood on standard error.
        stderr: bool,
        /// Bytes of its stream up to and with this line.
        offset: u64,
    },
}

/// What may be done about an effect whose outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Changes nothing: do it again.
    Read,
    /// Makes something be so: do it again.
    Put,
    /// Makes a new thing: look for it by its identity first.
    Create,
    /// Takes a thing away: do it again, gone is success.
    Delete,
    /// A remote command: ask its receipt.
    Exec,
    /// Nobody knows: a person must say, unless the caller said that repeating is safe.
    Opaque,
}
