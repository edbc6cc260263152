//! What is durable and when: commits that are shared, what is deferred, a disk that is full.

use super::*;
use crate::storage::ConfigStore;

#[tokio::test]
async fn submissions_that_wait_together_share_one_commit() {
    let bench = Bench::new();
    let (go, stopped) = bench.stop_writer();
    let submissions = (0..100).map(|index| bench.store.submit(new_job(index, None)));
    let before = bench.store.syncs();
    let release = async { drop(go) };
    // Polled in order: the writer stops, all submissions are sent, the writer goes on.
    let (_, submitted, ()) =
        tokio::join!(biased; stopped, futures_util::future::join_all(submissions), release);
    assert!(submitted.iter().all(Result::is_ok));
    // The stopped one's commit may have taken some of them along.
    assert!(bench.store.syncs() - before <= 2, "{} commits", bench.store.syncs() - before);
}

#[tokio::test]
async fn a_job_of_five_effects_takes_seven_commits() {
    let bench = Bench::holding(Duration::from_secs(3600));
    let before = bench.store.syncs();
    bench.submit(1, None).await;
    let job = bench.claim("w1").await.unwrap();
    for effect in 0..5 {
        bench.store.append(job.lease(), vec![log("outcome of the one before")], None);
        let intent = vec![log(&format!("intent {effect}"))];
        bench.store.append_durable(job.lease(), intent).await.unwrap();
    }
    bench.store.append(job.lease(), vec![log("outcome of the last")], None);
    bench.complete(job).await;
    assert_eq!(bench.store.syncs() - before, 7);
}

#[tokio::test]
async fn deferred_entries_keep_their_place_before_the_next_durable_one() {
    let bench = Bench::holding(Duration::from_secs(3600));
    let id = bench.submit(1, None).await;
    let job = bench.claim("w1").await.unwrap();
    for index in 0..20 {
        bench.store.append(job.lease(), vec![log(&format!("line {index}"))], None);
    }
    assert_eq!(bench.kinds(&id).await, ["submitted", "claimed"], "held back");
    bench.store.append_durable(job.lease(), vec![log("durable")]).await.unwrap();
    let (lines, total) = bench.store.logs(&id, 100, LogLevel::Debug).await.unwrap();
    let wanted: Vec<_> =
        (0..20).map(|index| format!("line {index}")).chain(["durable".to_owned()]).collect();
    assert_eq!(lines.into_iter().map(|line| line.message).collect::<Vec<_>>(), wanted);
    assert_eq!(total, 21);
}

#[tokio::test]
async fn deferred_entries_are_written_by_themselves_after_a_while() {
    let bench = Bench::holding(Duration::from_millis(20));
    let id = bench.submit(1, None).await;
    let job = bench.claim("w1").await.unwrap();
    let mut changes = bench.store.changes();
    let view = View { progress: 40, ..View::default() };
    bench.store.append(job.lease(), vec![log("line")], Some(view));
    assert_eq!(changes.recv().await.unwrap(), Change::Job(id.clone()));
    assert_eq!(bench.kinds(&id).await, ["submitted", "claimed", "log"]);
    assert_eq!(bench.store.job(&id).await.unwrap().unwrap().view.progress, 40);
}

#[tokio::test]
async fn what_a_job_changes_takes_along_what_was_deferred_and_waits_for_no_disk() {
    let bench = Bench::holding(Duration::from_secs(3600));
    let (job, name) = bench.job_with_server().await;
    let before = bench.store.syncs();
    bench.store.append(job.lease(), vec![log("what comes before")], None);
    bench.amend(job.lease(), &name).await.unwrap();
    assert_eq!(bench.kinds(&job.record.id).await, ["submitted", "claimed", "log"]);
    let found = bench.store.server(&name).await.unwrap().unwrap();
    assert_eq!(found.provider_id.as_deref(), Some("7"), "whoever reads next sees it");
    assert_eq!(bench.store.syncs(), before);
    // Something durable that writes nothing itself has it synced all the same.
    bench.store.delete_secrets("nobody/").await.unwrap();
    assert_eq!(bench.store.syncs(), before + 1);
}

#[tokio::test]
async fn what_a_job_changes_reaches_the_disk_by_itself_after_a_while() {
    let bench = Bench::holding(Duration::from_millis(20));
    let (job, name) = bench.job_with_server().await;
    let before = bench.store.syncs();
    bench.amend(job.lease(), &name).await.unwrap();
    while bench.store.syncs() == before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_people_are_told_is_on_disk_and_costs_a_sync_only_when_it_was_not() {
    let bench = Bench::holding(Duration::from_secs(60));
    let (job, name) = bench.job_with_server().await;
    let told = bench.store.settled();
    told.job(&job.record.id).await.unwrap();
    let before = bench.store.syncs();
    bench.amend(job.lease(), &name).await.unwrap();
    let changed = |server: Option<Server>| server.unwrap().provider_id.as_deref() == Some("7");
    assert!(changed(bench.store.server(&name).await.unwrap()));
    assert_eq!(bench.store.syncs(), before, "whoever works on it does not wait");
    let (one, two) = tokio::join!(told.server(&name), told.servers());
    assert!(changed(one.unwrap()) && two.unwrap().len() == 1);
    let after = bench.store.syncs();
    assert!((before + 1..=before + 2).contains(&after), "{before} {after}");
    for _ in 0..20 {
        told.server(&name).await.unwrap();
    }
    assert_eq!(bench.store.syncs(), after, "there is nothing to wait for");
}

#[tokio::test]
async fn a_claim_is_on_disk_before_anybody_is_told_that_the_job_runs() {
    let bench = Bench::holding(Duration::from_secs(60));
    let id = bench.submit(1, None).await;
    let before = bench.store.syncs();
    bench.claim("a").await.unwrap();
    assert_eq!(bench.store.syncs(), before);
    let told = bench.store.settled().job(&id).await.unwrap().unwrap();
    assert_eq!((told.status, bench.store.syncs()), (JobStatus::Running, before + 1));
}

#[tokio::test]
async fn a_health_check_waits_for_the_disk_only_when_nothing_did_just_before() {
    let bench = Bench::new();
    bench.store.ping().await.unwrap();
    let before = bench.store.syncs();
    assert!(before >= 1, "the first one does");
    for _ in 0..20 {
        bench.store.ping().await.unwrap();
    }
    assert_eq!(bench.store.syncs(), before);
}

#[tokio::test]
async fn closing_writes_what_is_held() {
    let bench = Bench::holding(Duration::from_secs(3600));
    let id = bench.submit(1, None).await;
    let job = bench.claim("w1").await.unwrap();
    bench.store.append(job.lease(), vec![log("last words")], None);
    let bench = bench.reopen().await;
    assert_eq!(bench.kinds(&id).await, ["submitted", "claimed", "log"]);
}

#[tokio::test]
async fn after_closing_everything_is_refused() {
    let bench = Bench::new();
    bench.store.close().await;
    let refused = bench.store.submit(new_job(1, None)).await;
    assert!(matches!(refused, Err(StorageError::Closed)), "{refused:?}");
    assert!(matches!(bench.store.ping().await, Err(StorageError::Closed)));
    assert!(matches!(bench.store.servers().await, Err(StorageError::Closed)));
}

#[tokio::test]
async fn a_full_disk_is_said_and_what_was_acknowledged_stays() {
    let bench = Bench::holding(Duration::from_secs(3600));
    let id = bench.submit(1, None).await;
    let job = bench.claim("w").await.unwrap();
    bench.limit_growth(2).await;
    let large = "x".repeat(60_000);
    bench.store.append(job.lease(), vec![log(&large)], None);
    bench.store.append(job.lease(), vec![log("after it")], None);
    let refused = bench.store.append_durable(job.lease(), vec![log("durable")]).await;
    assert!(matches!(refused, Err(StorageError::DiskFull { .. })), "{refused:?}");
    assert_eq!(bench.kinds(&id).await, ["submitted", "claimed"]);
    // Whoever frees space does it from outside: the limit is the connection's own.
    bench
        .store
        .writer
        .relaxed("freed space", |writing| {
            writing.connection.query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(()))?;
            Ok(())
        })
        .await
        .unwrap();
    bench.store.append_durable(job.lease(), vec![log("again")]).await.unwrap();
    let (lines, _) = bench.store.logs(&id, 10, LogLevel::Debug).await.unwrap();
    let lines: Vec<_> = lines.iter().map(|line| line.message.len()).collect();
    assert_eq!(lines, [60_000, "after it".len(), "again".len()], "in order, none lost");
}

#[tokio::test]
async fn a_verb_that_panics_hurts_nobody_else() {
    let bench = Bench::new();
    let name: ServerName = "web".parse().unwrap();
    let job =
        NewJob { server_change: ServerChange::Create(Box::new(server("web"))), ..new_job(1, None) };
    bench.store.submit(job).await.unwrap();
    let refused = bench.store.update_server(&name, Box::new(|_| panic!("a test's"))).await;
    assert!(refused.is_err());
    bench.store.ping().await.unwrap();
    assert_eq!(bench.store.server(&name).await.unwrap(), Some(server("web")));
}
