//! How a job stands, as its journal tells it: what changes of its record is a cache of that.

use jiff::Timestamp;
use serde_json::Value;

use crate::model::failure::Failure;
use crate::model::job::{JobRecord, JobStatus, PluginPin, View};
use crate::model::journal::{Entry, Event};

/// The parts of a record that change, as they follow from a journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// How it stands.
    pub status: JobStatus,
    /// How often a worker took it.
    pub attempt: u32,
    /// What it runs.
    pub plugin: Option<PluginPin>,
    /// Whether somebody wants it to stop.
    pub cancel_requested: bool,
    /// Steps and percent.
    pub view: View,
    /// What came of it.
    pub result: Option<Value>,
    /// Why it did not complete.
    pub failure: Option<Failure>,
    /// When it was first claimed.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// How much of this its journal tells.
    pub tells: Tells,
}

/// How much of a record follows from a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// Nothing: it does not begin with a submission.
    Nothing,
    /// Only how and when the job ended, and whether it was to: an older host wrote it.
    End,
    /// All.
    All,
}

impl Standing {
    /// How a job stands of which nothing is told.
    pub fn unknown() -> Self {
        Self {
            status: JobStatus::Queued,
            attempt: 0,
            plugin: None,
            cancel_requested: false,
            view: View::default(),
            result: None,
            failure: None,
            started_at: None,
            completed_at: None,
            tells: Tells::Nothing,
        }
    }

    /// How a job stands with this journal, which is whole and in order.
    pub fn of<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Self {
        let mut standing = Self::unknown();
        entries.into_iter().for_each(|entry| standing.follow(entry));
        standing
    }

    /// The next entry.
    pub fn follow(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Submitted { is_whole, .. } => {
                self.tells = if *is_whole { Tells::All } else { Tells::End };
            }
            Event::Claimed { attempt, .. } => {
                (self.status, self.attempt) = (JobStatus::Running, *attempt);
                self.started_at.get_or_insert(entry.at);
            }
            Event::Pinned { plugin } => self.plugin = Some(plugin.clone()),
            Event::Plan { steps, .. } => self.view.plan(steps),
            Event::Step { name, .. } => self.view.step(name, entry.at),
            Event::Progress { percent, .. } => self.view.progress(*percent),
            Event::CancelRequested { .. } => self.cancel_requested = true,
            Event::Requeued { .. } => self.status = JobStatus::Queued,
            Event::Finished { status, failure, result } => {
                self.status = *status;
                (self.failure, self.result) = (failure.clone(), result.clone());
                self.completed_at = Some(entry.at);
                if *status == JobStatus::Completed {
                    self.view.complete();
                }
            }
            Event::Retried(_)
            | Event::Log { .. }
            | Event::Intent { .. }
            | Event::Outcome { .. }
            | Event::Overdue { .. }
            | Event::Restored { .. } => {}
        }
    }

    /// The parts of a record that are not as its journal tells them.
    pub fn differences(&self, record: &JobRecord) -> Vec<&'static str> {
        let mut told = record.clone();
        self.correct(&mut told);
        [
            ("status", told.status != record.status),
            ("attempt", told.attempt != record.attempt),
            ("plugin", told.plugin != record.plugin),
            ("cancel_requested", told.cancel_requested != record.cancel_requested),
            ("steps", told.view != record.view),
            ("result", told.result != record.result),
            ("failure", told.failure != record.failure),
            ("started_at", told.started_at != record.started_at),
            ("completed_at", told.completed_at != record.completed_at),
        ]
        .into_iter()
        .filter_map(|(part, differs)| differs.then_some(part))
        .collect()
    }

    /// Makes a record what its journal tells. What that does not tell stays.
    pub fn correct(&self, record: &mut JobRecord) {
        if self.tells == Tells::Nothing {
            return;
        }
        // One that waits and one that runs differ by a lease, which an older host did not journal.
        if self.tells == Tells::All || self.status.is_finished() || record.status.is_finished() {
            record.status = self.status;
        }
        record.cancel_requested = self.cancel_requested;
        record.failure.clone_from(&self.failure);
        record.completed_at = self.completed_at;
        if self.tells == Tells::All {
            record.attempt = self.attempt;
            record.plugin.clone_from(&self.plugin);
            record.view.clone_from(&self.view);
            record.result.clone_from(&self.result);
            record.started_at = self.started_at;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    fn record() -> JobRecord {
        serde_json::from_value(json!({
            "id": "job_20260101_120000_000001", "number": 1, "operation": "hello", "params": {},
            "server": null, "retry_of": null, "root": "job_20260101_120000_000001",
            "depends_on": [], "status": "completed", "attempt": 1, "cancel_requested": false,
            "plugin": { "name": "hello", "version": "1.0.0", "digest": DIGEST },
            "view": {
                "progress": 100, "current_step": null, "steps_completed": ["Greet"],
                "steps_remaining": [], "begun": [["Greet", "2026-01-01T12:00:02Z"]],
            },
            "result": { "said": "hello" }, "failure": null,
            "created_at": "2026-01-01T12:00:00Z", "started_at": "2026-01-01T12:00:01Z",
            "completed_at": "2026-01-01T12:00:03Z",
        }))
        .unwrap()
    }

    fn journal(events: &[Value]) -> Vec<Entry> {
        let entry = |(seq, event): (usize, &Value)| {
            let mut entry = json!({ "seq": seq + 1, "at": format!("2026-01-01T12:00:0{seq}Z") });
            let (fields, event) = (entry.as_object_mut().unwrap(), event.as_object().unwrap());
            fields.extend(event.clone());
            serde_json::from_value(entry).unwrap()
        };
        events.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn a_whole_journal_tells_all_that_changes() {
        let plugin = json!({ "name": "hello", "version": "1.0.0", "digest": DIGEST });
        let mut entries = journal(&[
            json!({ "kind": "submitted", "by": "ana", "is_whole": true }),
            json!({ "kind": "claimed", "attempt": 1, "worker": "w" }),
            json!({ "kind": "step", "line": 1, "name": "Greet" }),
            json!({ "kind": "finished", "status": "completed", "result": { "said": "hello" } }),
        ]);
        entries.extend(journal(&[json!({ "kind": "pinned", "plugin": plugin })]));
        let standing = Standing::of(&entries);
        assert_eq!(standing.differences(&record()), Vec::<&str>::new());
        let mut damaged = JobRecord { attempt: 2, result: None, started_at: None, ..record() };
        assert_eq!(standing.differences(&damaged), ["attempt", "result", "started_at"]);
        standing.correct(&mut damaged);
        assert_eq!(damaged, record());
    }

    #[test]
    fn a_journal_of_an_older_host_tells_only_how_its_job_ended() {
        let entries = journal(&[
            json!({ "kind": "submitted", "by": "ana" }),
            json!({ "kind": "claimed", "attempt": 1, "worker": "w", "digest": DIGEST }),
            json!({ "kind": "step", "line": 1, "name": "Greet" }),
            json!({ "kind": "finished", "status": "completed" }),
        ]);
        let standing = Standing::of(&entries);
        let other = JobRecord { attempt: 7, ..record() };
        assert_eq!(standing.differences(&other), Vec::<&str>::new());
        let damaged = JobRecord { status: JobStatus::Failed, completed_at: None, ..record() };
        assert_eq!(standing.differences(&damaged), ["status", "completed_at"]);
    }
}
