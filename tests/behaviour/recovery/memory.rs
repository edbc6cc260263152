//! What jobs were told before the host died they are told again when they go on, all at once after a
//! start: little of that is in memory at a time, and nobody waits for anybody.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::workshop::{Workshop, result};
use windlass::effects::journal::Replayed;
use windlass::effects::request::Request;
use windlass::jobs::recovery;
use windlass::model::job::{Job, JobStatus, Running};
use windlass::model::journal::{Class, Event, NewEntry};
use windlass::storage::Claim;

const MIB: usize = 1024 * 1024;

/// How many effects a job did, and what it was told of each, in bytes.
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
async fn however_much_jobs_were_told_little_of_it_is_in_memory_when_they_go_on() {
    let mut workshop = Workshop::open().await;
    workshop.stop_workers().await;
    for job in jobs(&workshop, 4, ANSWER).await {
        let mut journal = recovery::journal(&workshop.store, &job).await.unwrap();
        // Of an answer that alone is more, nothing.
        assert!(journal.unread() <= MIB, "{} bytes", journal.unread());
        for ordinal in 0..EFFECTS {
            let missing = journal.missing().unwrap();
            journal.read_on(workshop.store.journal(&job.record.id, missing - 1, 9).await.unwrap());
            assert!(journal.unread() < ANSWER + MIB, "{} bytes", journal.unread());
            let (_, told) = journal.next_effect(&request(ordinal)).unwrap();
            let Replayed::Outcome { result, .. } = told else { panic!("it was told something") };
            assert_eq!(result.unwrap().as_str().map(str::len), Some(ANSWER));
        }
        let (_, told) = journal.next_effect(&request(EFFECTS)).unwrap();
        assert!(matches!(told, Replayed::Nothing));
    }
}

#[tokio::test]
async fn a_job_that_was_told_much_goes_on_whatever_others_do_that_were() {
    let mut workshop = Workshop::open().await;
    let mut jobs = Vec::new();
    for (number, how) in ["dawdles", "dawdles", "dawdles", "waits"].iter().enumerate() {
        let server = format!("web-{number}");
        workshop.create_server(&server).await;
        let job = workshop.submit_on(&server, &format!("reads-much-and-{how}")).await;
        workshop.says(&job, "waiting").await;
        jobs.push(job);
    }
    let honest = jobs.pop().unwrap();
    // What dawdles computes nothing, and asks for nothing that a stop or a wish to cancel could end.
    workshop = workshop.restart().await;
    let done = workshop.finished(&honest).await;
    let read: Vec<Value> = ('a'..'g').map(|part| json!([part, 500_000])).collect();
    assert_eq!((done.attempt, result(&done)), (2, &json!({ "read": read })));
    workshop.stop_workers().await;
    for job in jobs {
        let given_back = workshop.store.job(&job).await.unwrap().unwrap();
        assert_eq!(given_back.status, JobStatus::Queued, "{given_back:#?}");
    }
}
