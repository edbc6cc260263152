//! How a job goes on from the one that it tries again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::journal::Class;
use crate::model::names::JobId;

/// Where a retry begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryFrom {
    /// At the beginning, with the newest version of the plugin.
    Start,
    /// At the beginning of the step that failed, with the same version.
    #[default]
    FailedStep,
}

/// What a person says of an effect whose outcome nobody could find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resolve {
    /// It happened, and need not be done again.
    Happened,
    /// It did not happen, and is to be done.
    DidNotHappen,
}

/// What a retry knows from the jobs before it. It stands in the retry's own journal, so that it
/// does not need theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inheritance {
    /// The job that is tried again.
    pub of: JobId,
    /// Where this one begins.
    pub from: RetryFrom,
    /// When the plugin's clock began, where it sees again what it saw before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Timestamp>,
    /// How many lines the plugin said before; they are not written again.
    pub said: u64,
    /// How many effects are answered from the journal.
    pub reused: u32,
    /// What is added to an effect's number for its labels and receipts, so that no two effects of a
    /// chain of retries share them.
    pub shift: u32,
    /// The effect that left the job before uncertain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenEffect>,
    /// What the jobs before ordered, or may have ordered: looked for before it is ordered again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ordered: Vec<Ordered>,
    /// What was added to the effects' numbers of those jobs before that may have gone further than
    /// this host knows, since it was put back from a backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restored: Vec<u32>,
}

/// An effect whose outcome nobody could find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenEffect {
    /// Its number in the job.
    pub ordinal: u32,
    /// Its number in labels and receipts.
    pub mark: u32,
    /// What a person says; none when the host is to look once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve: Option<Resolve>,
}

/// Something that was ordered, or may have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// By which function.
    pub function: String,
    /// The effect's number in labels.
    pub mark: u32,
}

impl Inheritance {
    /// Whether effects of this job may have happened although its journal does not know of them. A
    /// person who says that one did not happen says so of all after it.
    pub fn may_be_behind(&self) -> bool {
        let is_told = |open: OpenEffect| open.resolve == Some(Resolve::DidNotHappen);
        !self.restored.is_empty() && !self.open.is_some_and(is_told)
    }

    /// The numbers in labels that an effect with this one had in jobs which may have gone further
    /// than is known.
    pub fn restored_marks(&self, mark: u32) -> Vec<u32> {
        let ordinal = mark.checked_sub(self.shift);
        let marks = ordinal.map(|it| self.restored.iter().map(move |by| it.saturating_add(*by)));
        marks.into_iter().flatten().collect()
    }

    /// The number that an effect of this job has in labels and receipts.
    pub fn mark(&self, ordinal: u32) -> u32 {
        match self.open {
            Some(OpenEffect { resolve: Some(Resolve::DidNotHappen), .. }) | None => {}
            Some(open) if open.ordinal == ordinal => return open.mark,
            Some(_) => {}
        }
        ordinal.saturating_add(self.shift)
    }
}

/// What becomes of an effect of the job before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RetriedEffect {
    /// Its number in the job before, from 0.
    pub ordinal: u32,
    /// `interface.function`.
    #[schema(example = "servers.create")]
    pub function: String,
    /// What may be done when its outcome is not known.
    pub class: Class,
    /// What becomes of it.
    pub how: Reuse,
}

/// What becomes of an effect of the job before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reuse {
    /// It counts as done: its outcome is taken from the job before, or from a person's word.
    Reused,
    /// What it made is looked for, and only if it is not there it is done again.
    LookedUp,
    /// It is done again.
    Anew,
}
