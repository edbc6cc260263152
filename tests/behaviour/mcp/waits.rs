//! Waiting for jobs: never for long, never in silence, and without anything depending on it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::agent::{Agent, Stream, Wire};
use tests::host_process::TestHost;

use super::{host_with, host_with_endless_job, host_with_endless_job_and, wanted};

/// Waits until the host logged this.
pub(super) async fn logged(host: &TestHost, words: &str) {
    let until = Instant::now() + Duration::from_secs(30);
    while !host.log().contains(words) {
        assert!(Instant::now() < until, "never logged: {words}\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn waiting(job: &str) -> Value {
    json!({ "name": "aguardar-job-completo", "arguments": { "job_id": job } })
}

#[tokio::test]
async fn a_wait_for_what_goes_on_ends_in_time_and_is_no_error() {
    let (host, _cloud, job) = host_with_endless_job().await;
    for wire in [Wire::Legacy, Wire::Modern] {
        let began = Instant::now();
        let arguments = json!({ "job_id": job, "max_wait": 600 });
        let waited = Agent::of(&host).on(wire).does("aguardar-job-completo", arguments).await;
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
        assert_eq!((&waited["done"], &waited["status"]), (&json!(false), &json!("running")));
        assert_eq!(waited["waited_s"], 3, "{waited:#}");
        assert!(waited["next"].as_str().expect("next").contains("aguardar-job-completo"));
    }
}

/// A job of minutes under the usual 45 s of a wait is one of seconds under one second: it is waited
/// for again and again, and each answer says how.
#[tokio::test]
async fn a_job_that_outlasts_its_waits_is_waited_for_again_until_it_is_done() {
    let settings = [("WINDLASS_SANDBOX_PACE", "realistic"), ("WINDLASS_MCP_WAIT_CAP", "1")];
    let host = host_with(&settings).await;
    let agent = Agent::of(&host);
    let started = agent.does("criar-servidor", wanted("web-1")).await;
    let (mut progress, mut waits) = (0, 0);
    let done = loop {
        let job = json!({ "job_id": started["job_id"] });
        let waited = agent.does("aguardar-job-completo", job).await;
        waits += 1;
        let now = waited["progress"].as_u64().expect("it says how far it is");
        assert!(now >= progress, "{waited:#}");
        progress = now;
        if waited["done"] == true {
            break waited;
        }
        assert!(["queued", "running"].contains(&waited["status"].as_str().unwrap()), "{waited:#}");
        assert!(waited["waited_s"].as_u64() >= Some(1) && waited["error"].is_null(), "{waited:#}");
        let next = waited["next"].as_str().expect("it says what to do");
        assert!(next.contains("aguardar-job-completo") && next.contains("job_id"), "{next}");
        assert!(waits < 600, "{waited:#}");
    };
    assert!(waits > 2, "it takes longer than two waits");
    assert_eq!((&done["status"], &done["progress"]), (&json!("completed"), &json!(100)));
    assert!(done["result"]["ipv4"].is_string(), "{done:#}");
}

#[tokio::test]
async fn a_wait_lasts_45_seconds_unless_told_otherwise() {
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: a wait of 45 s, set SLOW_TESTS");
    }
    let (host, _cloud, job) = host_with_endless_job_and("280").await;
    let arguments = json!({ "job_id": job });
    let waited = Agent::of(&host).does("aguardar-job-completo", arguments).await;
    assert_eq!(waited["done"], false);
    // Libraries give up after 60 s.
    let seconds = waited["waited_s"].as_u64().expect("it says how long it waited");
    assert!((45..60).contains(&seconds), "{waited:#}");
}

#[tokio::test]
async fn progress_begins_at_once_grows_and_never_pauses_for_long() {
    for wire in [Wire::Legacy, Wire::Modern] {
        let host = host_with(&[("WINDLASS_SANDBOX_PACE", "realistic")]).await;
        let agent = Agent::of(&host).on(wire);
        let started = agent.does("criar-servidor", wanted("web-1")).await;
        let mut params = waiting(started["job_id"].as_str().expect("an id"));
        params["_meta"]["progressToken"] = json!("p1");
        let reply = agent.ask("tools/call", params).await;
        println!("{wire:?}: the first byte of a wait came after {:?}", reply.first_byte);
        assert!(reply.first_byte < Duration::from_secs(3), "{:?}", reply.first_byte);
        let told = reply.notifications("notifications/progress");
        assert!(told.len() >= 3, "{told:#?}");
        for pair in told.windows(2) {
            let [(before, a), (after, b)] = pair else { unreachable!("windows of two") };
            assert!(a["progress"].as_f64() < b["progress"].as_f64(), "{told:#?}");
            assert!(*after - *before < Duration::from_secs(15), "{told:#?}");
        }
        assert_eq!(reply.result()["structuredContent"]["status"], "completed");
    }
}

#[tokio::test]
async fn a_job_that_failed_is_a_wait_that_worked() {
    let (host, _cloud, job) = host_with_endless_job().await;
    let agent = Agent::of(&host);
    let arguments = json!({ "job_id": job });
    let (waited, stopped) = tokio::join!(agent.does("aguardar-job-completo", arguments), async {
        host.delete(&format!("/api/jobs/{job}")).await
    });
    assert!(stopped.0 < 300, "{stopped:?}");
    assert_eq!((&waited["status"], &waited["done"]), (&json!("cancelled"), &json!(true)));
    assert!(waited["error"]["message"].is_string(), "{waited:#}");
}

#[tokio::test]
async fn a_client_that_dies_while_it_waits_leaves_the_job_and_no_waiter() {
    let (host, _cloud, job) = host_with_endless_job().await;
    let agent = Agent::of(&host);
    let mut params = waiting(&job);
    params["_meta"]["progressToken"] = json!(1);
    let response = agent.send(&agent.message("tools/call", params)).await;
    let mut stream = Stream::new(response, Instant::now());
    assert!(stream.next().await.is_some(), "progress comes at once");
    drop(stream);
    logged(&host, "nobody waits for a job any more").await;
    let (_, shown) = host.get(&format!("/api/jobs/{job}")).await;
    assert_eq!((&shown["status"], &shown["cancel_requested"]), (&json!("running"), &json!(false)));
    let waited = agent.does("aguardar-job-completo", json!({ "job_id": job })).await;
    assert_eq!(waited["done"], false);
}

#[tokio::test]
async fn a_hundred_who_wait_for_one_job_are_one_watcher() {
    let (host, _cloud, job) = host_with_endless_job().await;
    let agent = Agent::of(&host);
    agent.does("aguardar-job-completo", json!({ "job_id": job, "max_wait": 1 })).await;
    logged(&host, "nobody waits for a job any more").await;
    let before = memory_mb(&host);
    let waits = (0..100).map(|_| agent.does("aguardar-job-completo", json!({ "job_id": job })));
    for waited in join_all(waits).await {
        assert_eq!(waited["done"], false);
    }
    let more = memory_mb(&host) - before;
    assert!(more < 32.0, "a hundred waits took {more:.0} MB");
    let until = Instant::now() + Duration::from_secs(30);
    while host.log().matches("nobody waits for a job any more").count() < 2 {
        assert!(Instant::now() < until, "the watcher never ends:\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(host.log().matches("somebody waits for a job").count(), 2);
}

/// The most memory that the host's process ever had, in MB.
fn memory_mb(host: &TestHost) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a figure");
    line.split_whitespace().nth(1).expect("KiB").parse::<f64>().expect("a number") / 1024.0
}

#[tokio::test]
async fn a_host_that_starts_again_goes_on_with_the_job_under_its_id() {
    let (mut host, _cloud, job) = host_with_endless_job().await;
    let agent = Agent::of(&host);
    let mut params = waiting(&job);
    params["_meta"]["progressToken"] = json!(1);
    let response = agent.send(&agent.message("tools/call", params)).await;
    let mut stream = Stream::new(response, Instant::now());
    assert!(stream.next().await.is_some());
    host.crash();
    while stream.next().await.is_some() {}
    host.restart().await;
    for wire in [Wire::Legacy, Wire::Modern] {
        let waited =
            Agent::of(&host).on(wire).does("verificar-job", json!({ "job_id": job })).await;
        assert_eq!((&waited["job_id"], &waited["done"]), (&json!(job), &json!(false)));
    }
}

#[tokio::test]
async fn a_wait_for_no_job_is_told_so() {
    let host = TestHost::start().await;
    let arguments = json!({ "job_id": "job_20250110_150000_a1b2c3" });
    let said = Agent::of(&host).refuses("aguardar-job-completo", arguments).await;
    assert!(said.contains("no_such_job"), "{said}");
}
