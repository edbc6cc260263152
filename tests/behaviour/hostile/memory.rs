//! The memory that all plugins share: who finds none waits for those who have it, without a failure
//! and without being in anybody's way.

use serde_json::Value;
use tests::host_process::TestHost;

use super::limits::{hostile_servers, limited};
use super::{serves, text};

/// Of this a job that takes 64 MiB, of which 16 are its own, leaves too little for another one.
const ROOM_FOR_ONE: (&str, u32) = ("ALL_MEMORY_MIB", 60);

const WAITS: &str = "waits for memory: other jobs have what all plugins together may use";

const GOES_ON: &str = "there is memory for it again: going on from the journal";

/// A host with room for one job that takes much.
async fn narrow() -> TestHost {
    let host = limited(&[ROOM_FOR_ONE]).await;
    hostile_servers(&host).await;
    host
}

/// Starts a job, and answers its id once its log has this line.
async fn says(host: &TestHost, server: &str, line: &str) -> String {
    let job = host.create_server(server).await;
    until_said(host, &job, line).await;
    job
}

async fn until_said(host: &TestHost, job: &str, line: &str) {
    host.until(&format!("/api/jobs/{job}/logs"), |logs| logs.to_string().contains(line)).await;
}

/// How often a job's log has this line.
async fn times(host: &TestHost, job: &str, line: &str) -> usize {
    let (_, logs) = host.get(&format!("/api/jobs/{job}/logs?tail=1000")).await;
    let lines = logs["logs"].as_array().unwrap().clone();
    lines.iter().filter(|it| text(&it["message"]) == line).count()
}

async fn cancel(host: &TestHost, job: &str) -> Value {
    let (status, said) = host.delete(&format!("/api/jobs/{job}")).await;
    assert!([200, 202].contains(&status), "{said}");
    host.ended(job).await
}

#[tokio::test]
async fn a_job_waits_for_memory_that_others_have_and_goes_on_when_they_end() {
    let host = narrow().await;
    let greedy = says(&host, "waits-with-much", "it is mine").await;
    let mut waiting = Vec::new();
    for server in ["needs-much-1", "needs-much-2", "needs-much-3"] {
        waiting.push(says(&host, server, WAITS).await);
    }
    // Whoever needs little has it, whoever waits can be cancelled, and nobody has failed.
    serves(&host, "modest").await;
    assert_eq!(cancel(&host, &waiting.pop().unwrap()).await["status"], "cancelled");
    for job in &waiting {
        assert_eq!(host.get(&format!("/api/jobs/{job}")).await.1["status"], "running");
    }
    assert_eq!(cancel(&host, &greedy).await["status"], "cancelled");
    for job in &waiting {
        let ended = host.ended(job).await;
        assert_eq!((&ended["status"], &ended["attempt"]), (&"completed".into(), &1.into()));
        for line in ["it begins", "it is mine", GOES_ON] {
            assert_eq!(times(&host, job, line).await, 1, "{line}");
        }
    }
}

#[tokio::test]
async fn jobs_that_shared_the_memory_before_a_crash_share_it_after_it() {
    let mut host = narrow().await;
    let mut jobs = vec![says(&host, "needs-much-1", "it is mine").await];
    for server in ["needs-much-2", "needs-much-3"] {
        jobs.push(says(&host, server, WAITS).await);
    }
    host.crash();
    host.restart().await;
    for job in &jobs {
        let ended = host.ended(job).await;
        assert_eq!(ended["status"], "completed", "{ended:#}");
    }
    // A host that is told to stop gives back who waits.
    let greedy = says(&host, "waits-with-much", "it is mine").await;
    let waits = says(&host, "needs-much-4", WAITS).await;
    assert!(host.terminate().await.success());
    host.restart().await;
    cancel(&host, &greedy).await;
    assert_eq!(host.ended(&waits).await["status"], "completed");
}

#[tokio::test]
async fn what_there_will_never_be_room_for_fails_and_says_what_there_is() {
    let host = limited(&[("ALL_MEMORY_MIB", 16)]).await;
    hostile_servers(&host).await;
    let job = host.ended(&host.create_server("needs-much-1").await).await;
    assert_eq!(job["failure"]["code"], "no_such_memory", "{job:#}");
    let told = "all plugins together have 16 MiB beyond 16 MiB each";
    assert!(text(&job["error"]).contains(told), "{job:#}");
    serves(&host, "modest").await;
}
