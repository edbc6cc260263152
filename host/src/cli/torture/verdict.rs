//! What is not as it should be after a run.

use serde_json::Value;

use crate::app::evidence::Evidence;
use crate::cli::torture::life::Story;
use crate::cli::torture::scenario::Scenario;

/// What must be, and what may be.
#[derive(Default)]
pub(super) struct Wanted {
    leaves_nothing: bool,
    /// What is there before.
    before: Evidence,
    /// What the undisturbed run did, and what is there and on record after it.
    after: Evidence,
    /// How often each thing may be done at most when the job is cancelled.
    most: Evidence,
}

impl Wanted {
    /// What an undisturbed run shows.
    pub(super) fn new(scenario: Scenario, before: Evidence, after: Evidence) -> Self {
        let leaves_nothing = scenario == Scenario::Create;
        let mut wanted = Self { leaves_nothing, before, after, most: Evidence::new() };
        let done = wanted.after.clone();
        wanted.allow(&done);
        wanted
    }

    /// How many things were done and are there and on record.
    pub(super) fn count(&self) -> usize {
        self.after.values().sum()
    }

    /// A run that nobody killed did this: another one may.
    pub(super) fn allow(&mut self, evidence: &Evidence) {
        for (what, &count) in only(evidence, "did: ") {
            let most = self.most.entry(what.clone()).or_insert(1);
            *most = count.max(*most);
        }
    }
}

impl Story {
    /// Whether the job that was asked for completed.
    pub(super) fn is_completed(&self) -> bool {
        self.job.as_ref().is_some_and(|job| text(job, "/status") == "completed")
    }

    /// Whether a job ended because somebody cancelled it.
    pub(super) fn is_cancelled(&self) -> bool {
        self.stopped.iter().any(|job| text(job, "/status") == "cancelled")
    }
}

/// Of a run whose job nobody cancelled, or too late.
pub(super) fn of_completed(story: &Story, wanted: &Wanted) -> Option<String> {
    unfinished(story).or_else(|| differing(&story.evidence, &wanted.after))
}

/// Of a run whose job was cancelled: nothing twice, nothing unknown, and what is left is listed.
pub(super) fn of_cancelled(story: &Story, wanted: &Wanted) -> Option<String> {
    for job in &story.stopped {
        let (status, code) = (text(job, "/status"), text(job, "/failure/code"));
        // Nobody has to cancel what can only begin after what was cancelled.
        if status != "cancelled" && code != "dependency_failed" {
            return Some(format!("a job is {status}: {}", text(job, "/error")));
        }
    }
    let left: Vec<&Value> = story.stopped.iter().flat_map(effects).collect();
    if let Some(unknown) = left.iter().find(|effect| text(effect, "/outcome") == "unknown") {
        return Some(format!("it is said to be unknown what came of {unknown}"));
    }
    for (what, &count) in only(&story.evidence, "did: ") {
        let most = wanted.most.get(what).copied().unwrap_or(1);
        if count > most {
            return Some(format!("{what}: {count} times, and {most} at most are right"));
        }
    }
    let changed = differing_in(&story.evidence, &wanted.before, "there: ");
    match changed {
        Some(left) if wanted.leaves_nothing => Some(format!("left behind: {left}")),
        Some(changed) if left.is_empty() => Some(format!("not listed: {changed}")),
        _ => None,
    }
}

/// Of the same once more, after a run whose job was cancelled.
pub(super) fn of_again(again: &Story, wanted: &Wanted) -> Option<String> {
    if !again.is_done_already && !again.is_completed() {
        return unfinished(again);
    }
    let differing = |part| differing_in(&again.evidence, &wanted.after, part);
    differing("there: ")
        .or_else(|| differing("recorded: server "))
        .or_else(|| differing("recorded: app "))
}

fn unfinished(story: &Story) -> Option<String> {
    if story.is_completed() {
        return None;
    }
    let (status, error) = match &story.job {
        None => ("lost", ""),
        Some(job) => (text(job, "/status"), text(job, "/error")),
    };
    Some(format!("the job is {status}: {error}"))
}

fn effects(job: &Value) -> &[Value] {
    job.pointer("/failure/effects").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn only<'e>(
    evidence: &'e Evidence,
    part: &'e str,
) -> impl Iterator<Item = (&'e String, &'e usize)> {
    evidence.iter().filter(move |(what, _)| what.starts_with(part))
}

fn differing_in(found: &Evidence, wanted: &Evidence, part: &str) -> Option<String> {
    let of = |evidence: &Evidence| {
        only(evidence, part).map(|(what, count)| (what.clone(), *count)).collect()
    };
    differing(&of(found), &of(wanted))
}

fn differing(found: &Evidence, wanted: &Evidence) -> Option<String> {
    let all = found.keys().chain(wanted.keys().filter(|key| !found.contains_key(*key)));
    let differing: Vec<String> = all
        .filter_map(|what| {
            let count = |evidence: &Evidence| evidence.get(what).copied().unwrap_or_default();
            let (found, wanted) = (count(found), count(wanted));
            (found != wanted).then(|| format!("{what}: {found} times instead of {wanted}"))
        })
        .collect();
    (!differing.is_empty()).then(|| differing.join("; "))
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.pointer(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(things: &[(&str, usize)]) -> Evidence {
        things.iter().map(|&(what, count)| (what.to_owned(), count)).collect()
    }

    fn wanted(scenario: Scenario) -> Wanted {
        let after = seen(&[("did: order a", 1), ("there: machine a", 1)]);
        Wanted::new(scenario, Evidence::new(), after)
    }

    fn completed(things: &[(&str, usize)]) -> Story {
        let job = Some(json!({ "status": "completed" }));
        Story { job, evidence: seen(things), ..Story::default() }
    }

    fn cancelled(things: &[(&str, usize)], effects: &Value) -> Story {
        let job = json!({ "status": "cancelled", "failure": { "effects": effects } });
        let evidence = seen(things);
        Story { job: Some(job.clone()), stopped: vec![job], evidence, ..Story::default() }
    }

    #[test]
    fn whatever_was_done_twice_or_is_left_over_is_wrong() {
        let wanted = wanted(Scenario::Create);
        let right = completed(&[("did: order a", 1), ("there: machine a", 1)]);
        assert_eq!(of_completed(&right, &wanted), None);
        let machine = ("there: machine a", 1);
        let order = ("did: order a", 1);
        let differences: [(&[(&str, usize)], &str); 3] = [
            (&[("did: order a", 2), machine], "order a: 2 times instead of 1"),
            (&[order], "machine a: 0 times instead of 1"),
            (&[order, machine, ("there: key k", 1)], "key k: 1 times instead of 0"),
        ];
        for (found, said) in differences {
            let said_of_it = of_completed(&completed(found), &wanted).unwrap();
            assert!(said_of_it.contains(said), "{said_of_it}");
        }
    }

    #[test]
    fn a_job_that_did_not_complete_is_wrong() {
        let wanted = wanted(Scenario::Create);
        let failed = json!({ "status": "failed", "error": "no luck" });
        let failed = Story { job: Some(failed), ..Story::default() };
        assert!(of_completed(&failed, &wanted).unwrap().contains("failed: no luck"));
        assert!(of_completed(&Story::default(), &wanted).unwrap().contains("lost"));
    }

    #[test]
    fn a_cancelled_job_leaves_nothing_or_says_what_and_does_nothing_twice() {
        let nothing = json!([]);
        let deployed = json!([{ "function": "stacks.deploy", "outcome": "done" }]);
        let unknown = json!([{ "function": "stacks.deploy", "outcome": "unknown" }]);
        let file = ("there: /a on m", 1);
        let wrongs = [
            (Scenario::Create, &[("did: order a", 1)][..], &nothing, None),
            (Scenario::Create, &[("did: order a", 2)], &nothing, Some("2 times")),
            (Scenario::Create, &[("there: machine a", 1)], &deployed, Some("left behind")),
            (Scenario::Deploy, &[file], &deployed, None),
            (Scenario::Deploy, &[file], &nothing, Some("not listed")),
            (Scenario::Deploy, &[file], &unknown, Some("unknown")),
        ];
        for (scenario, things, effects, said) in wrongs {
            let wrong = of_cancelled(&cancelled(things, effects), &wanted(scenario));
            match said {
                None => assert_eq!(wrong, None),
                Some(said) => assert!(wrong.as_ref().is_some_and(|it| it.contains(said))),
            }
        }
    }

    #[test]
    fn what_is_done_again_must_be_as_if_nothing_had_been_cancelled() {
        let wanted = wanted(Scenario::Create);
        let machine = ("there: machine a", 1);
        assert_eq!(of_again(&completed(&[("did: order a", 2), machine]), &wanted), None);
        assert!(of_again(&completed(&[]), &wanted).is_some());
        assert!(of_again(&cancelled(&[machine], &json!([])), &wanted).is_some());
    }
}
