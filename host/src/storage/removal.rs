//! What the store is asked and answers when old jobs are removed.

use jiff::Timestamp;

use crate::model::job::JobStatus;

/// Jobs that are to be removed.
#[derive(Clone, Debug)]
pub struct OldJobs {
    /// How they ended.
    pub status: Vec<JobStatus>,
    /// Before when.
    pub before: Timestamp,
    /// Only those after this place.
    pub after: Option<OldPlace>,
}

/// A place in the order in which jobs ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OldPlace {
    /// When a job ended.
    pub at: Timestamp,
    /// Its number.
    pub number: u64,
}

/// What came of removing jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// How many were removed.
    pub count: u64,
    /// Where to go on; none when there are no more.
    pub next: Option<OldPlace>,
}
