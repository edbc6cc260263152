//! A worker that lost its lease without knowing, and what it does all the same.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tests::sshd::Sshd;
use tests::workshop::{Workshop, result};
use windlass::effects::context::Signals;
use windlass::effects::slots::Slots;
use windlass::model::job::{Job, JobStatus, Running};
use windlass::storage::Claim;

/// A claim of this worker at a time when all leases of now have run out.
fn later(worker: &str) -> Claim {
    let now = Timestamp::now() + SignedDuration::from_hours(1);
    Claim { worker: worker.parse().unwrap(), now, until: now + SignedDuration::from_hours(1) }
}

async fn claim(workshop: &Workshop, claim: &Claim) -> Job<Running> {
    workshop.store.claim_jobs(claim, 1).await.unwrap().pop().unwrap()
}

fn receipts(job: &Job<Running>) -> Vec<String> {
    // Whoever is not root has them in a home that the sshd of the test gives him.
    let root = Path::new("/var/lib/windlass/receipts");
    let names = std::fs::read_dir(root).unwrap().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(job.record.root.as_str())).collect()
}

#[tokio::test]
async fn a_run_whose_job_was_taken_over_leaves_the_receipts_to_the_other_one() {
    let Some(sshd) = Sshd::start("a run whose job was taken over") else { return };
    let mut workshop = Workshop::open().await;
    workshop.add_machine("web-1", &sshd).await;
    workshop.stop_workers().await;
    let (gate, counter) = (sshd.folder().join("gate"), sshd.folder().join("counter"));
    let command = format!(
        "echo x >> {}; echo begun; until [ -e {} ]; do sleep 0.05; done; echo last",
        counter.display(),
        gate.display()
    );
    let what = json!({ "command": command, "timeout_ms": 120_000 });
    let id = workshop.submit_with("web-1", "runs-a-command", what).await;
    let slots = Slots::new(2);
    let run = |job| workshop.runner().run(job, Signals::default(), slots.take().unwrap());

    let first = claim(&workshop, &later("first")).await;
    let taking_over = async {
        workshop.says(&id, "begun").await;
        let second = later("second");
        workshop.store.recover(&second, true).await.unwrap();
        let second = claim(&workshop, &second).await;
        std::fs::write(&gate, "").unwrap();
        second
    };
    let ((), second) = tokio::join!(run(first.clone()), taking_over);
    let record = workshop.store.job(&id).await.unwrap().unwrap();
    assert_eq!((record.status, record.attempt), (JobStatus::Running, 2), "{record:#?}");
    assert_eq!(receipts(&first).len(), 1, "who takes over has to ask for it");

    run(second).await;
    let record = workshop.finished(&id).await;
    assert_eq!(result(&record)["said"], "begun\nlast\n");
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "x\n");
    assert!(receipts(&first).is_empty());
}
