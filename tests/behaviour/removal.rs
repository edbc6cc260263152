//! Removing old jobs: those that were meant, and none that another job needs.

use serde_json::{Value, json};
use tests::host_process::TestHost;
use tests::workshop::Workshop;
use windlass::model::job::JobStatus;
use windlass::model::retry::RetryFrom;
use windlass::storage::removal::OldJobs;
use windlass::storage::{NewJob, ServerChange};

async fn remove(host: &TestHost, query: &str) -> (u16, Value) {
    host.delete(&format!("/api/jobs{query}")).await
}

#[tokio::test]
async fn finished_jobs_go_with_their_journals() {
    let host = TestHost::start().await;
    let id = host.create_server("web-1").await;
    host.wait_for(&id, "completed").await;
    assert_eq!(
        remove(&host, "?older_than=1h").await,
        (200, json!({"success": true, "deleted": 0}))
    );
    let failed = remove(&host, "?older_than=0m&status=failed").await;
    assert_eq!(failed.1["deleted"], 0);
    let done = remove(&host, "?older_than=0m&status=completed").await;
    assert_eq!(done, (200, json!({ "success": true, "deleted": 1 })));
    assert_eq!(host.get(&format!("/api/jobs/{id}")).await.0, 404);
    assert_eq!(host.get(&format!("/api/jobs/{id}/journal")).await.0, 404);
    assert_eq!(host.get("/api/servers/web-1").await.0, 200, "the server stays");
}

#[tokio::test]
async fn what_is_not_said_clearly_removes_nothing() {
    let host = TestHost::start().await;
    let id = host.create_server("web-1").await;
    host.wait_for(&id, "completed").await;
    for query in [
        "",
        "?status=completed",
        "?older_than=",
        "?older_than=soon",
        "?older_than=-1d",
        "?older_than=0m&status=queued",
        "?older_than=0m&status=completed,running",
        "?older_than=0m&status=done",
        "?older_than=0m&older=1",
    ] {
        let (status, answer) = remove(&host, query).await;
        assert_eq!(status, 422, "{query}: {answer}");
        assert!(answer["error"].as_str().unwrap().ends_with('.'), "{answer}");
    }
    assert_eq!(host.get(&format!("/api/jobs/{id}")).await.0, 200);
}

fn old(status: &[JobStatus]) -> OldJobs {
    let before = windlass::storage::now() + jiff::SignedDuration::from_secs(60);
    OldJobs { status: status.to_vec(), before, after: None }
}

#[tokio::test]
async fn what_another_job_needs_stays() {
    let workshop = Workshop::open().await;
    let needed = workshop.run("returns").await;
    let (new, _) = workshop.new_retry(&needed.id, RetryFrom::Start, None).await;
    let failing = NewJob {
        params: json!({ "how": "fails" }),
        retry_of: None,
        server_change: ServerChange::None,
        depends_on: vec![needed.id.clone()],
        ..new.job
    };
    let dependant = failing.id.clone();
    workshop.store.submit(failing).await.unwrap();
    workshop.finished(&dependant).await;

    // It failed, and may be tried again: then it depends on the other one.
    let completed = old(&[JobStatus::Completed]);
    assert_eq!(workshop.store.remove_jobs(&completed).await.unwrap().count, 0);
    // Together they may go.
    let both = old(&[JobStatus::Completed, JobStatus::Failed]);
    assert_eq!(workshop.store.remove_jobs(&both).await.unwrap().count, 2);
    assert!(workshop.store.job(&needed.id).await.unwrap().is_none());
    assert!(workshop.journal(&needed.id).await.is_empty());
}

#[tokio::test]
async fn a_chain_of_retries_is_removed_from_its_beginning() {
    let workshop = Workshop::open().await;
    let first = workshop.run("fails").await;
    let second = workshop.retry(&first.id, RetryFrom::Start, None).await;
    workshop.finished(&second).await;
    let third = workshop.retry(&second, RetryFrom::Start, None).await;
    workshop.finished(&third).await;
    let failed = old(&[JobStatus::Failed]);
    assert_eq!(workshop.store.remove_jobs(&failed).await.unwrap().count, 3);
}
