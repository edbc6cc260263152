//! A disk that takes long for each write: answers wait for it, health says so, nothing is lost.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::host_process::TestHost;

/// What the system does to each sync of a process, as long as this lives.
struct SlowDisk {
    strace: Child,
}

impl SlowDisk {
    fn of(pid: u32, delay: Duration) -> Self {
        let inject = format!("inject=fsync,fdatasync:delay_exit={}", delay.as_micros());
        let mut strace = Command::new("strace")
            .args(["-f", "-e", "trace=fsync,fdatasync", "-e", &inject, "-e", "signal=none"])
            .args(["-o", "/dev/null", "-p", &pid.to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace can be started");
        let said = BufReader::new(strace.stderr.take().expect("it has a standard error"));
        let first = said.lines().next().expect("it says something").expect("in words");
        assert!(first.contains("attached"), "{first}");
        Self { strace }
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        // A strace that is told to end lets go of what it traces.
        let pid = self.strace.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.strace.wait();
    }
}

fn is_skipped(test: &str) -> bool {
    if Path::new("/usr/bin/strace").exists() {
        return false;
    }
    tests::lab::skip(test, "strace is not installed");
    true
}

#[tokio::test]
async fn on_a_slow_disk_answers_wait_and_nothing_that_was_answered_is_lost() {
    if is_skipped("a slow disk") {
        return;
    }
    let mut host = TestHost::start().await;
    host.terminate().await;
    let delay = Duration::from_millis(1_100);
    host.slow_down(Some(delay));
    host.restart().await;
    let mut jobs = Vec::new();
    for number in 0..3 {
        let began = Instant::now();
        jobs.push(host.create_server(&format!("web-{number}")).await);
        assert!(began.elapsed() >= delay, "an answer is a promise, and waits for the disk");
    }
    let is_slow = |health: &serde_json::Value| {
        health["storage"].as_str().is_some_and(|storage| storage.starts_with("slow: "))
    };
    let health = host.until("/health", is_slow).await;
    assert_eq!(health["status"], "ok", "{health}");
    host.crash();
    host.slow_down(None);
    host.restart().await;
    for job in &jobs {
        host.wait_for(job, "completed").await;
    }
    let (_, listed) = host.get("/api/servers").await;
    let servers = listed["servers"].as_object().unwrap();
    assert_eq!(servers.len(), 3, "{listed}");
    assert!(servers.values().all(|server| server["status"] == "running"), "{listed}");
}

#[tokio::test]
async fn a_disk_that_does_not_answer_is_named_and_looking_goes_on() {
    if is_skipped("a disk that hangs") {
        return;
    }
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    let disk = SlowDisk::of(host.pid(), Duration::from_secs(60));
    host.until("/health", |health| health["status"] == "failing").await;
    let body = json!({ "name": "web-2", "server_type": "cx23", "region": "nbg1" });
    let waiting = host.request(reqwest::Method::POST, "/api/servers").json(&body).send();
    let waiting = tokio::time::timeout(Duration::from_millis(500), waiting).await;
    assert!(waiting.is_err(), "nothing is promised that is not on disk");
    let failing = host.until("/health", |health| health["status"] == "failing").await;
    assert_eq!(failing["storage"], "no answer within 5 s");
    drop(disk);
    host.until("/health", |health| health["status"] == "ok").await;
    host.until("/api/servers/web-2", |server| server["status"] == "running").await;
}
