//! A job that runs again from its journal: whatever its plugin looks at is what it was, so that it
//! asks for the same, and one that asks for something else is stopped before that is sent.

use serde_json::{Value, json};
use tests::journal;
use tests::workshop::{Workshop, code, result};
use windlass::app::evidence::{self, Evidence};
use windlass::model::job::JobStatus;
use windlass::model::journal::Event;
use windlass::model::names::JobId;

const WAY: &str = "acts-on-what-it-sees";

/// A job that acts on the order of a map, on clocks, randomness and floats, run to its end.
async fn observant() -> (Workshop, JobId, Value) {
    let workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    evidence::begin(workshop.home()).unwrap();
    let job = workshop.run_on("web-1", WAY).await;
    let seen = result(&job).clone();
    (workshop, job.id, seen)
}

fn done(workshop: &Workshop) -> Evidence {
    evidence::read(workshop.home()).unwrap()
}

/// The job is taken up again after so many entries.
async fn again(mut workshop: Workshop, id: &JobId, entries: u64) -> Workshop {
    workshop.stop().await;
    journal::cut_off(&workshop.database(), id, entries);
    workshop.restart().await
}

#[tokio::test]
async fn what_a_plugin_sees_does_not_change_wherever_its_host_died() {
    let (mut workshop, id, seen) = observant().await;
    let rounds = seen["seen"].as_array().unwrap();
    for what in ["order", "random", "wall"] {
        assert!(rounds.windows(2).all(|pair| pair[0][what] != pair[1][what]), "{what}: {seen}");
    }
    for round in rounds {
        let nans = round["nans"].as_array().unwrap();
        assert!(nans.iter().all(|nan| nan == &nans[0]), "one NaN: {nans:?}");
    }
    let effects = workshop.journal(&id).await;
    let is_effect = |event: &Event| matches!(event, Event::Intent { .. } | Event::Outcome { .. });
    let ends = effects.iter().filter(|entry| is_effect(&entry.event)).map(|entry| entry.seq);
    let ends: Vec<u64> = ends.collect();
    assert!(ends.len() > 12, "{ends:?}");
    // From the end to the beginning: an earlier cut leaves less of the journal that was.
    for entries in ends.into_iter().rev() {
        workshop = again(workshop, &id, entries).await;
        let job = workshop.finished(&id).await;
        assert_eq!(job.status, JobStatus::Completed, "{entries}: {job:#?}");
        let (now, shown) = (result(&job), |value: &Value| value.to_string());
        // What was not in the journal any more may be seen anew; what was is seen again.
        let kept = kept(&workshop, &id, entries).await;
        let (before, after) = (&rounds[..kept], &now["seen"].as_array().unwrap()[..kept]);
        assert_eq!(shown(&before.into()), shown(&after.into()), "cut off after {entries}");
    }
}

/// How many rounds are known to have ended by this entry: each ends with a sleep.
async fn kept(workshop: &Workshop, id: &JobId, entries: u64) -> usize {
    let journal = workshop.journal(id).await;
    let is_sleep =
        |event: &Event| matches!(event, Event::Outcome { function, .. } if function == "job.sleep");
    let sleeps = journal.iter().filter(|it| it.seq <= entries && is_sleep(&it.event)).count();
    // One within what it looks at, and one after it was sent.
    sleeps / 2
}

#[tokio::test]
async fn a_plugin_that_asks_for_something_else_sends_nothing() {
    let (workshop, id, _) = observant().await;
    let journal = workshop.journal(&id).await;
    let mut uploads = journal.iter().filter_map(|entry| match &entry.event {
        Event::Outcome { ordinal, function, .. } if function == "ssh.upload" => {
            Some((*ordinal, entry.seq))
        }
        _ => None,
    });
    let (ordinal, seq) = uploads.next_back().unwrap();
    let before = done(&workshop);
    let mut workshop = workshop;
    workshop.stop().await;
    journal::cut_off(&workshop.database(), &id, seq);
    journal::change_request(&workshop.database(), &id, ordinal);
    let workshop = workshop.restart().await;
    let job = workshop.finished(&id).await;
    assert_eq!(code(&job), "nondeterministic_plugin");
    let reason = job.failure.unwrap().message;
    assert!(reason.contains("`ssh.upload`") && reason.contains("nothing was sent"), "{reason}");
    assert_eq!(done(&workshop), before, "the command after it was not sent either");
}

#[tokio::test]
async fn a_plugin_that_ends_before_its_journal_does_has_not_completed() {
    let mut workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    let id = workshop.submit_on("web-1", "does-five-things").await;
    result(&workshop.finished(&id).await);
    workshop.stop().await;
    // The host died before the end was written, and now the plugin sees something else.
    journal::reopen(&workshop.database(), &id);
    let params = json!({ "how": "returns", "server": "web-1" });
    journal::change_params(&workshop.database(), &id, &params);
    let workshop = workshop.restart().await;
    let job = workshop.finished(&id).await;
    assert_eq!(code(&job), "nondeterministic_plugin");
    let reason = job.failure.unwrap().message;
    assert!(reason.starts_with("effect 0 was `") && reason.contains("without asking"), "{reason}");
}
