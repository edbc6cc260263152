//! What jobs were told before the host died is in memory again when they go on, and all at once
//! after a start: that has a limit for all of them together.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::workshop::Workshop;
use windlass::effects::journal::Replayed;
use windlass::effects::request::Request;
use windlass::jobs::recovery::Recoveries;
use windlass::model::job::{Job, Running};
use windlass::model::journal::{Class, Event, NewEntry};
use windlass::storage::Claim;

const MIB: usize = 1024 * 1024;

/// How many effects a job did, and what each was told, in bytes.
const EFFECTS: u32 = 4;
const ANSWER: usize = 2 * MIB;

fn request(ordinal: u32) -> Request {
    Request::new("job.sleep", Class::Read, json!({ "milliseconds": ordinal }))
}

/// An effect of this number that was told so much.
fn told(ordinal: u32, bytes: usize) -> NewEntry {
    let (result, digest) = (Ok(Value::from("x".repeat(bytes))), request(ordinal).digest);
    let function = "job.sleep".to_owned();
    let class = Class::Read;
    let event = Event::Outcome {
        ordinal,
        function,
        class,
        digest,
        result,
        duration_ms: 1,
        recovered: None,
    };
    NewEntry { at: Timestamp::now(), event }
}

/// Jobs that run on, each of which was told so much in each of its effects.
async fn jobs(workshop: &Workshop, count: usize, bytes: usize) -> Vec<Job<Running>> {
    let now = Timestamp::now();
    let until = now + SignedDuration::from_hours(1);
    let claim = Claim { worker: "dead".parse().unwrap(), now, until };
    let mut jobs = Vec::new();
    for _ in 0..count {
        workshop.submit("returns").await;
        let job = workshop.store.claim_jobs(&claim, 1).await.unwrap().pop().unwrap();
        for ordinal in 0..EFFECTS {
            let entries = vec![told(ordinal, bytes)];
            workshop.store.append_durable(job.lease(), entries).await.unwrap();
        }
        jobs.push(job);
    }
    jobs
}

#[tokio::test]
async fn of_many_jobs_that_go_on_few_have_large_answers_in_memory_at_once() {
    let mut workshop = Workshop::open().await;
    workshop.stop_workers().await;
    let large = jobs(&workshop, 8, ANSWER).await;
    let small = jobs(&workshop, 8, 1_000).await;
    let (recoveries, held) = (Recoveries::default(), AtomicUsize::new(0));
    let most = AtomicUsize::new(0);
    let goes_on = async |job: &Job<Running>| {
        let mut journal = recoveries.journal(&workshop.store, job).await.unwrap();
        let unread = journal.unread();
        most.fetch_max(held.fetch_add(unread, Ordering::SeqCst) + unread, Ordering::SeqCst);
        // The others come as far as they can while its plugin is told all of it again.
        for ordinal in 0..EFFECTS {
            for _ in 0..20 {
                workshop.store.job_counts().await.unwrap();
            }
            let (_, told) = journal.next_effect(&request(ordinal)).unwrap();
            assert!(matches!(told, Replayed::Outcome { .. }));
        }
        held.fetch_sub(unread, Ordering::SeqCst);
        let (_, told) = journal.next_effect(&request(EFFECTS)).unwrap();
        assert!(matches!(told, Replayed::Nothing));
        (journal, unread)
    };
    let all = large.iter().chain(&small).map(goes_on);
    let kept = futures_util::future::join_all(all).await;
    let (first, last) = (kept.first().unwrap().1, kept.last().unwrap().1);
    let whole = usize::try_from(EFFECTS).unwrap() * ANSWER;
    assert!((whole..whole + MIB).contains(&first) && last < MIB, "{first}, {last}");
    let most = most.into_inner();
    assert!(most < 2 * first + 8 * last + MIB, "{} MiB at once", most / MIB);
}
