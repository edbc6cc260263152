//! Jobs that wait: they stop nobody, and cost little.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tests::echo;
use tests::host_process::TestHost;
use tests::workshop::{Workshop, result};

#[tokio::test]
async fn jobs_that_wait_leave_their_places_to_others() {
    let workshop = Workshop::open().await;
    let mut waiting = Vec::new();
    for _ in 0..200 {
        waiting.push(workshop.submit("sleeps").await);
    }
    for id in &waiting {
        workshop.says(id, "waiting").await;
    }
    result(&workshop.run("returns").await);
    let counts = workshop.store.job_counts().await.unwrap();
    assert_eq!((counts.queued, counts.running), (0, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_jobs_wait_at_once_and_nobody_else_notices_nor_are_they_lost() {
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: ten thousand jobs, set SLOW_TESTS");
    }
    const COUNT: u64 = 10_000;
    let mut host = TestHost::start().await;
    host.add_echo(echo::version(1)).await;
    host.echo("quick").await;
    let before = host.resident();
    let names = (0..COUNT).map(|number| format!("waits-{number}"));
    let submitted = stream::iter(names).map(|name| {
        let host = &host;
        async move { host.create_server(&name).await }
    });
    let jobs: Vec<String> = submitted.buffered(32).collect().await;
    let all_run = |health: &Value| health["jobs"] == json!({ "queued": 0, "running": COUNT });
    host.until("/health", all_run).await;
    let each = host.resident().saturating_sub(before) / COUNT;
    let last = format!("/api/jobs/{}", jobs[jobs.len() - 1]);
    let mut slowest = Duration::ZERO;
    for path in ["/health", &last].repeat(200) {
        let began = Instant::now();
        assert_eq!(host.get(path).await.0, 200);
        slowest = slowest.max(began.elapsed());
    }
    let began = Instant::now();
    assert_eq!(host.echo("also-quick").await["status"], "completed");
    println!(
        "{} KiB for each waiting job; the slowest of 400 answers took {slowest:?}, another job {:?}",
        each / 1024,
        began.elapsed()
    );
    assert!(each < 256 * 1024, "{each} bytes each");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    host.crash();
    host.restart().await;
    host.until("/health", all_run).await;
    for job in jobs.iter().step_by(997) {
        let (_, job) = host.get(&format!("/api/jobs/{job}")).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("running"), &json!(2)), "{job:#}");
    }
}
