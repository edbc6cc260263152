//! Two versions alternate ten times a second while jobs are made as fast as they are taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::echo::{self, NAME};
use tests::host_process::TestHost;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How many clients make jobs at once.
const CLIENTS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_fails_and_each_says_what_it_ran_while_versions_alternate() {
    let jobs = if std::env::var_os("SLOW_TESTS").is_some() { 10_000 } else { 500 };
    let host = Arc::new(TestHost::start().await);
    let mut versions = BTreeMap::new();
    for number in [1, 2] {
        let digest = host.add_echo(echo::version(number)).await;
        versions.insert(digest, format!("7.7.{number}"));
    }
    run(&host, "warm", CLIENTS * 4).await;
    let (before, began) = (memory_kb(host.pid()), Instant::now());
    let (end, ended) = watch::channel(false);
    let swapping = tokio::spawn(swap(host.clone(), versions.keys().cloned().collect(), ended));
    let ids = run(&host, "load", jobs).await;
    let took = began.elapsed();
    end.send(true).unwrap();
    let swaps = swapping.await.unwrap();
    let ran = check(&host, &ids, &versions).await;
    let after = memory_kb(host.pid());
    println!(
        "{jobs} jobs in {:.1} s, {swaps} swaps ({:.1}/s), {ran:?}, RSS {} → {} MB",
        took.as_secs_f64(),
        f64::from(swaps) / took.as_secs_f64(),
        before / 1024,
        after / 1024
    );
    assert!(ran.values().all(|&count| count > jobs / 20), "both versions ran: {ran:?}");
    // Caches of the database and the allocator grow to a bound; a version that is leaked at each
    // swap would be some hundred KB each.
    let bound = before + 64 * 1024 + u64::try_from(jobs).unwrap() * 2;
    assert!(after < bound, "{before} KB before and {after} KB after");
}

/// Makes jobs, waits for their ends, and answers their ids.
async fn run(host: &Arc<TestHost>, prefix: &str, jobs: usize) -> Vec<String> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (host, prefix) = (Arc::clone(host), prefix.to_owned());
        clients.spawn(async move {
            let mut ids = Vec::new();
            for n in (client..jobs).step_by(CLIENTS) {
                ids.push(host.create_server(&format!("{prefix}-{n}")).await);
            }
            ids
        });
    }
    let ids: Vec<String> = clients.join_all().await.concat();
    let idle = |health: &Value| health["jobs"] == json!({ "queued": 0, "running": 0 });
    host.becomes("/health", "idle", idle).await;
    ids
}

/// Activates one version after the other until told to stop.
async fn swap(host: Arc<TestHost>, digests: Vec<String>, mut ended: watch::Receiver<bool>) -> u32 {
    let mut round = tokio::time::interval(Duration::from_millis(100));
    let mut swaps = 0;
    for digest in digests.iter().cycle() {
        tokio::select! {
            _ = ended.changed() => break,
            _ = round.tick() => {}
        }
        let path = format!("/api/plugins/{NAME}/activate");
        let (status, answer) = host.post(&path, json!({ "digest": digest })).await;
        assert_eq!(status, 200, "{answer}");
        swaps += 1;
    }
    swaps
}

/// Each job completed, and what it says of itself, its record and its journal are the same version.
async fn check(
    host: &TestHost,
    ids: &[String],
    versions: &BTreeMap<String, String>,
) -> BTreeMap<String, usize> {
    let mut ran = BTreeMap::new();
    for id in ids {
        let (_, job) = host.get(&format!("/api/jobs/{id}")).await;
        assert_eq!(job["status"], "completed", "{job:#}");
        let recorded = job["plugin"]["digest"].as_str().unwrap();
        assert_eq!(job["result"]["version"], versions[recorded].as_str(), "{job:#}");
        let (_, journal) = host.get(&format!("/api/jobs/{id}/journal")).await;
        let entries = journal["entries"].as_array().unwrap();
        let pinned = entries.iter().find(|entry| entry["kind"] == "pinned").unwrap();
        assert_eq!(pinned["plugin"]["digest"], recorded, "{journal:#}");
        *ran.entry(versions[recorded].clone()).or_default() += 1;
    }
    ran
}

fn memory_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
