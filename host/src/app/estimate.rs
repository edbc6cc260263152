//! When a job should be done, going by how long its steps took in earlier ones.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::app::App;
use crate::error::Error;
use crate::model::job::{JobRecord, JobStatus};
use crate::storage::JobFilter;

/// How many earlier jobs an estimate is made of.
const HISTORY: usize = 20;

impl App {
    /// When a running job should be done; none where there is no history.
    pub(super) async fn estimate(&self, job: &JobRecord) -> Result<Option<Timestamp>, Error> {
        if job.status != JobStatus::Running {
            return Ok(None);
        }
        let filter = JobFilter {
            status: vec![JobStatus::Completed],
            operation: Some(job.operation.clone()),
            limit: HISTORY,
            ..JobFilter::default()
        };
        let earlier = self.store.jobs(&filter).await?.items;
        Ok(History::of(&earlier).completion(job, Timestamp::now()))
    }
}

/// How long earlier jobs of an operation took.
#[derive(Debug, Default)]
struct History {
    whole: Vec<SignedDuration>,
    /// By the names of steps.
    steps: BTreeMap<String, Vec<SignedDuration>>,
}

impl History {
    fn of(jobs: &[JobRecord]) -> Self {
        let mut history = Self::default();
        for job in jobs {
            let (Some(started), Some(ended)) = (job.started_at, job.completed_at) else { continue };
            history.whole.push(ended.duration_since(started));
            let begun = &job.view.begun;
            // When the last one that is listed ended is not known where more came after it.
            let last = (job.view.unlisted == 0).then_some(ended);
            let ends = begun.iter().skip(1).map(|(_, at)| *at).chain(last);
            for ((name, at), end) in begun.iter().zip(ends) {
                // What a retry took over says when an earlier job did it.
                if *at >= job.created_at {
                    history.steps.entry(name.clone()).or_default().push(end.duration_since(*at));
                }
            }
        }
        history
    }

    /// The rest of the step that runs and all of those to come; where one of them is new, what
    /// whole jobs took. It is never in the past.
    fn completion(&self, job: &JobRecord, now: Timestamp) -> Option<Timestamp> {
        let by_steps = || {
            if job.view.unlisted > 0 {
                return None;
            }
            let (step, began) = job.view.begun.last()?;
            let ahead = job.view.steps_remaining.iter().map(|step| self.step(step));
            let ahead = ahead.sum::<Option<SignedDuration>>()?;
            let step_ends = began.checked_add(self.step(step)?).ok()?;
            step_ends.max(now).checked_add(ahead).ok()
        };
        let as_a_whole = || job.started_at?.checked_add(median(&self.whole)?).ok();
        by_steps().or_else(as_a_whole).map(|at| at.max(now))
    }

    fn step(&self, name: &str) -> Option<SignedDuration> {
        median(self.steps.get(name)?)
    }
}

fn median(took: &[SignedDuration]) -> Option<SignedDuration> {
    let mut took = took.to_vec();
    took.sort_unstable();
    took.get(took.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// A job that started at 0, whose steps began at these seconds.
    fn job(status: &str, begun: &[(&str, i64)], ended: Option<i64>) -> JobRecord {
        let begun: Vec<_> = begun.iter().map(|(name, second)| json!([name, at(*second)])).collect();
        let current = begun.last().map(|step| step[0].clone());
        let job = json!({
            "id": "job_20261122_120000_a1b2c3", "number": 1, "operation": "setup_server",
            "params": {}, "server": null, "retry_of": null, "root": "job_20261122_120000_a1b2c3",
            "depends_on": [], "status": status, "attempt": 1, "plugin": null,
            "cancel_requested": false, "result": null, "failure": null, "created_at": at(0),
            "started_at": at(0), "completed_at": ended.map(at),
            "view": {
                "progress": 0, "current_step": current, "steps_completed": [],
                "steps_remaining": ["docker", "swarm"], "begun": begun,
            },
        });
        serde_json::from_value(job).unwrap()
    }

    #[test]
    fn the_rest_is_what_the_same_steps_took() {
        let took = |packages: i64, docker: i64, swarm: i64| {
            let begun = [("packages", 0), ("docker", packages), ("swarm", packages + docker)];
            job("completed", &begun, Some(packages + docker + swarm))
        };
        let history = History::of(&[took(10, 100, 5), took(30, 60, 7), took(20, 80, 900)]);
        let running = job("running", &[("packages", 0)], None);
        assert_eq!(history.completion(&running, at(5)), Some(at(20 + 80 + 7)));
        // A step that takes longer than ever may end at any time.
        assert_eq!(history.completion(&running, at(50)), Some(at(50 + 80 + 7)));
        assert_eq!(History::default().completion(&running, at(5)), None);
    }

    #[test]
    fn a_step_that_is_new_leaves_what_whole_jobs_took() {
        let history = History::of(&[job("completed", &[("packages", 0)], Some(40))]);
        let running = job("running", &[("packages", 0)], None);
        assert_eq!(history.completion(&running, at(5)), Some(at(40)));
        assert_eq!(history.completion(&running, at(90)), Some(at(90)));
    }

    #[test]
    fn more_steps_than_are_listed_leave_what_whole_jobs_took() {
        let mut earlier = job("completed", &[("packages", 0), ("docker", 10)], Some(100));
        earlier.view.unlisted = 5;
        let history = History::of(&[earlier]);
        assert_eq!((history.step("packages").is_some(), history.step("docker")), (true, None));
        let mut running = job("running", &[("packages", 0)], None);
        running.view.unlisted = 1;
        assert_eq!(history.completion(&running, at(5)), Some(at(100)));
    }

    #[test]
    fn what_a_retry_took_over_is_not_counted() {
        let retried = job("completed", &[("packages", -500), ("docker", 0)], Some(60));
        let history = History::of(&[retried]);
        assert_eq!(history.step("packages"), None);
        assert_eq!(history.step("docker"), Some(SignedDuration::from_secs(60)));
    }
}
