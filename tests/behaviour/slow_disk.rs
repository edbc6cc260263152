//! A disk that takes long for each write: answers wait for it, health says so, nothing is lost.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
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

/// Makes servers until one is answered as slowly as the disk is: strace takes hold of the threads
/// one after another, and this one's turn may come a moment after it said that it did.
async fn slow_server(host: &TestHost, delay: Duration) -> String {
    let first = Instant::now();
    let patience = Duration::from_secs(60);
    for turn in (0..).take_while(|_| first.elapsed() < patience) {
        let began = Instant::now();
        let job = host.create_server(&format!("slow-{turn}")).await;
        if began.elapsed() >= delay {
            return job;
        }
    }
    panic!("answers do not wait for the disk");
}

#[tokio::test]
async fn a_slow_disk_slows_answers_and_loses_nothing() {
    if is_skipped("a slow disk") {
        return;
    }
    let delay = Duration::from_millis(1_200);
    let mut host = TestHost::start().await;
    let disk = SlowDisk::of(host.pid(), delay);
    let first = slow_server(&host, delay).await;
    let is_slow =
        |health: &Value| health["storage"].as_str().unwrap().starts_with("slow: the disk");
    let health = host.until("/health", is_slow).await;
    assert_eq!(health["status"], "ok", "{health}");
    let second = host.create_server("web-2").await;
    host.crash();
    drop(disk);
    host.restart().await;
    for job in [first, second] {
        assert_eq!(host.wait_for(&job, "completed").await["error"], json!(null));
    }
    let is_well = |health: &Value| health["storage"] == "ok";
    host.until("/health", is_well).await;
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
