//! What the store is asked and answers when a job is tried again.

use crate::model::job::{JobStatus, PluginPin, View};
use crate::model::journal::NewEntry;
use crate::model::names::JobId;
use crate::storage::NewJob;

/// A job that tries another one again.
#[derive(Clone, Debug)]
pub struct NewRetry {
    /// The job. What it depends on is taken from the job before it.
    pub job: NewJob,
    /// What it does with its server.
    pub server: RetriedServer,
    /// What it must run; none for the newest version.
    pub pin: Option<PluginPin>,
    /// What its journal begins with.
    pub entries: Vec<NewEntry>,
    /// Steps and percent that follow from them.
    pub view: View,
}

/// What a retry does with its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetriedServer {
    /// It makes it: a record that was removed comes back.
    Made,
    /// It deletes it.
    Deleted,
    /// It works on it.
    Used,
}

/// What came of the wish to try a job again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It is on disk.
    Job(JobId),
    /// The same request came before: its job.
    Before(JobId),
    /// The same key came before with another request.
    KeyReused,
    /// There is no such job.
    NoSuchJob,
    /// A job with this status is not tried again.
    NotNow(JobStatus),
    /// It was tried again before, by this job.
    Again(JobId),
    /// This job works on its server, or is about to.
    ServerBusy(JobId),
    /// There is no server of that name any more.
    ServerGone,
    /// The server of that name is another one by now.
    OtherServer,
    /// It depends on this job, which did not complete.
    Needs(JobId),
    /// The app that it was about is gone, or another job changed it since.
    AppChanged,
}
