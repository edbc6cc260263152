//! Stopping: `cancelled` is said when the work is known to have stopped, with what is left.

mod killed;
mod overdue;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tests::apps::{AppsHost, recipe};
use tests::host_process::{Options, TestHost};
use tests::sshd::Sshd;
use tests::workshop::{Workshop, code};
use windlass::app::evidence;
use windlass::model::job::JobStatus;
use windlass::model::limits::Limits;
use windlass::model::names::JobId;

fn is_alive(pid: &str) -> bool {
    // One that nobody waits for has ended all the same.
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

/// The word after this one in the log.
fn said<'l>(log: &'l [String], word: &str) -> Option<&'l str> {
    log.iter().find_map(|line| line.strip_prefix(word)).map(str::trim)
}

/// The command that runs for long, and what it started, once both are alive.
async fn running(workshop: &Workshop, id: &JobId) -> Vec<String> {
    let log = loop {
        let log = workshop.log(id).await;
        if said(&log, "self ").is_some() {
            break log;
        }
        let job = workshop.store.job(id).await.unwrap().unwrap();
        assert!(!job.status.is_finished(), "it never began: {job:#?}");
        tokio::task::yield_now().await;
    };
    let pids = ["child ", "self "].iter().filter_map(|word| said(&log, word));
    let pids: Vec<String> = pids.map(str::to_owned).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| is_alive(pid)), "{log:?}");
    pids
}

#[tokio::test]
async fn a_remote_command_and_what_it_started_are_dead_when_their_job_is_cancelled() {
    let Some(sshd) = Sshd::start("a cancelled remote command") else { return };
    let workshop = Workshop::open().await;
    workshop.add_machine("web-1", &sshd).await;
    let id = workshop.submit_on("web-1", "runs-for-long").await;
    let pids = running(&workshop, &id).await;
    let job = workshop.cancel(&id).await;
    assert_eq!((job.status, code(&job)), (JobStatus::Cancelled, "cancelled"));
    assert!(!pids.iter().any(|pid| is_alive(pid)), "{pids:?} still run");
}

#[tokio::test]
async fn a_remote_command_and_what_it_started_are_dead_when_the_time_of_their_job_is_over() {
    let Some(sshd) = Sshd::start("a remote command that takes too long") else { return };
    let workshop = Workshop::open().await;
    workshop.add_machine("web-1", &sshd).await;
    let limits = Limits { run: Duration::from_secs(8), ..Limits::default() };
    let workshop = workshop.restart_with(limits).await;
    let id = workshop.submit_on("web-1", "runs-for-long").await;
    let pids = running(&workshop, &id).await;
    let job = workshop.finished(&id).await;
    assert_eq!((job.status, code(&job)), (JobStatus::Failed, "operation_timeout"));
    assert!(!pids.iter().any(|pid| is_alive(pid)), "{pids:?} still run");
}

#[tokio::test]
async fn a_command_that_cannot_be_reached_any_more_is_not_said_to_be_cancelled() {
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: waits until the host gives the server up, set SLOW_TESTS");
    }
    let Some(sshd) = Sshd::start("a cancelled command out of reach") else { return };
    let workshop = Workshop::open().await;
    workshop.add_machine("web-1", &sshd).await;
    let id = workshop.submit_on("web-1", "runs-for-long").await;
    while said(&workshop.log(&id).await, "self ").is_none() {
        tokio::task::yield_now().await;
    }
    let log = workshop.log(&id).await;
    drop(sshd);
    // Whoever holds the connection is a child of the sshd that listened.
    for pid in ["child ", "self "].iter().filter_map(|word| said(&log, word)) {
        assert!(is_alive(pid));
    }
    workshop.store.request_cancel(&id, "test", jiff::Timestamp::now()).await.unwrap();
    let job = workshop.finished_in(&id, std::time::Duration::from_secs(150)).await;
    let is_dead = !is_alive(said(&log, "self ").unwrap());
    assert!(job.status == JobStatus::Uncertain || is_dead, "{job:#?}");
}

#[tokio::test]
async fn a_plugin_that_computes_is_stopped() {
    let workshop = Workshop::open().await;
    let id = workshop.submit("loops").await;
    while workshop.store.job(&id).await.unwrap().unwrap().view.current_step.is_none() {
        tokio::task::yield_now().await;
    }
    let job = workshop.cancel(&id).await;
    assert_eq!((job.status, code(&job)), (JobStatus::Cancelled, "cancelled"));
}

#[tokio::test]
async fn a_job_that_sleeps_stops_at_once() {
    let workshop = Workshop::open().await;
    let id = workshop.submit("sleeps").await;
    workshop.says(&id, "waiting").await;
    let began = std::time::Instant::now();
    let job = workshop.cancel(&id).await;
    assert_eq!(job.status, JobStatus::Cancelled);
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_queued_job_is_cancelled_without_having_run() {
    let mut workshop = Workshop::open().await;
    workshop.stop_workers().await;
    let id = workshop.submit("returns").await;
    let job = workshop.cancel(&id).await;
    assert_eq!((job.status, job.attempt, job.result), (JobStatus::Cancelled, 0, None));
}

#[tokio::test]
async fn cleaning_up_has_half_a_minute() {
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: takes 30 s, set SLOW_TESTS");
    }
    let workshop = Workshop::open().await;
    let id = workshop.submit("never-gives-up").await;
    while workshop.store.job(&id).await.unwrap().unwrap().view.current_step.is_none() {
        tokio::task::yield_now().await;
    }
    let began = std::time::Instant::now();
    let job = workshop.cancel(&id).await;
    assert_eq!(job.status, JobStatus::Cancelled);
    let took = began.elapsed().as_secs();
    assert!((29..40).contains(&took), "{took} s");
    assert_eq!(job.result, None);
    assert_eq!(json!(job.failure.unwrap().code), "cancelled");
}

#[tokio::test]
async fn what_a_cancelled_job_leaves_behind_is_listed() {
    let apps = AppsHost::start(&[recipe("slow", &[], json!({}))]).await;
    apps.ready_server("web-1").await;
    let job = apps.install("slow", json!({ "how": "waits" })).await;
    let mut events = apps.host.events(&job, 0).await;
    while let Some(event) = events.next().await {
        if event.name == "log" && event.content["message"] == "waiting" {
            break;
        }
    }
    apps.host.delete(&format!("/api/jobs/{job}")).await;
    let job = apps.host.wait_for(&job, "cancelled").await;
    let left = job["failure"]["effects"].as_array().unwrap();
    let left: Vec<_> = left.iter().map(|it| it["function"].as_str().unwrap()).collect();
    assert_eq!(left, ["stacks.deploy"], "{job:#}");
}

#[tokio::test]
async fn a_host_that_dies_while_it_cleans_up_goes_on_with_that() {
    let environment = vec![("WINDLASS_SANDBOX_PACE".to_owned(), "realistic".to_owned())];
    for step in ["Create server", "Wait for boot", "Check SSH"] {
        let options = Options { environment: environment.clone() };
        let mut host = TestHost::start_with(options).await;
        let job = host.create_server("web-1").await;
        let mut events = host.events(&job, 0).await;
        while let Some(event) = events.next().await {
            if event.name == "step" && event.content["step"] == step {
                break;
            }
        }
        let (status, answer) = host.delete(&format!("/api/jobs/{job}")).await;
        assert!([200, 202].contains(&status), "{answer}");
        host.crash();
        host.restart().await;
        let job = host.wait_for(&job, "cancelled").await;
        assert_eq!(job["failure"]["effects"], json!([]), "{step}: {job:#}");
        assert_eq!(host.get("/api/servers/web-1").await.0, 404, "{step}");
        let there = evidence::read(&host.home()).unwrap();
        assert!(there.is_empty(), "{step}: {there:?}");
    }
}
