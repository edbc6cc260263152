//! Jobs that wait: they stop nobody, and cost little.

use std::time::{Duration, Instant};

use tests::workshop::{Workshop, result};
use windlass::model::job::JobStatus;

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

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
async fn ten_thousand_jobs_wait_at_once_and_others_do_not_notice() {
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: ten thousand jobs, set SLOW_TESTS");
    }
    const COUNT: u64 = 10_000;
    let workshop = Workshop::open().await;
    result(&workshop.run("returns").await);
    let before = resident();
    let mut last = None;
    for chunk in 0..COUNT / 100 {
        let submitted = (0..100).map(|_| workshop.submit("sleeps"));
        last = futures_util::future::join_all(submitted).await.pop().or(last);
        assert!(chunk < COUNT);
    }
    let began = Instant::now();
    let mut counts = workshop.store.job_counts().await.unwrap();
    let mut changes = workshop.store.changes();
    while counts.running < COUNT {
        assert!(began.elapsed() < Duration::from_secs(300), "{counts:?}");
        // Whatever happens next, or nothing for a while.
        tokio::time::timeout(Duration::from_secs(1), changes.recv()).await.ok();
        changes = changes.resubscribe();
        counts = workshop.store.job_counts().await.unwrap();
        let unfinished = counts.queued + counts.running;
        assert_eq!(unfinished, COUNT, "some ended that should wait");
    }
    workshop.says(&last.unwrap(), "waiting").await;
    let each = resident().saturating_sub(before) / COUNT;
    let began = Instant::now();
    let quick = workshop.run("returns").await;
    let took = began.elapsed();
    println!("{} KiB for each waiting job; another one took {took:?}", each / 1024);
    assert_eq!(quick.status, JobStatus::Completed);
    assert!(each < 256 * 1024, "{each} bytes each");
    assert!(took < Duration::from_secs(20), "{took:?}");
}
