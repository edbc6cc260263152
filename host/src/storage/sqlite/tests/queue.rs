//! Who gets which job: leases and their fence, the order, what waits for what, cancel and recovery.

use rusqlite::Connection;

use super::*;
use crate::model::failure::Failure;
use crate::model::names::Identity;
use crate::storage::apps::AppStore;
use crate::storage::receipts::ReceiptStore;
use crate::storage::{ConfigStore, KeptLease};

#[tokio::test]
async fn jobs_are_counted_as_they_come_go_on_and_go() {
    let bench = Bench::new();
    let counts = async || bench.store.job_counts().await.unwrap();
    for index in 0..3 {
        bench.submit(index, None).await;
    }
    assert_eq!(counts().await, JobCounts { queued: 3, running: 0 });
    let job = bench.claim("a").await.unwrap();
    assert_eq!(counts().await, JobCounts { queued: 2, running: 1 });
    bench.complete(job).await;
    assert_eq!(counts().await, JobCounts { queued: 2, running: 0 });
    let refused = bench.store.submit(new_job(0, None)).await;
    assert!(matches!(refused, Err(StorageError::Duplicate)));
    assert_eq!(counts().await, JobCounts { queued: 2, running: 0 });
    let connection = Connection::open(bench.path()).unwrap();
    let by_hand: i64 = connection
        .query_row(
            "SELECT count(*) FROM counters WHERE name <> 'commits' AND n <>
                 (SELECT count(*) FROM jobs WHERE status = name)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(by_hand, 0, "the counters say what is there");
}

#[tokio::test]
async fn an_old_lease_changes_no_record() {
    let bench = Bench::new();
    let (job, server) = bench.job_with_server().await;
    bench.complete(job).await;
    let change = ServerChange::Deploying(Box::new(shop_on(&server)));
    let deploying = NewJob { server_change: change, ..new_job(2, Some("web")) };
    bench.store.submit(deploying).await.unwrap();
    let job = bench.claim("w1").await.unwrap();
    bench.store.recover(&claim_of("w2"), true).await.unwrap();
    let newer = bench.claim("w2").await.unwrap();
    let (store, lease, shop) = (&bench.store, job.lease(), &"shop".parse().unwrap());
    store.append(lease, vec![log("too late")], Some(View { progress: 99, ..View::default() }));
    let pin = PluginPin { digest: digest_of("cd"), ..shop_on(&server).plugin };
    store.pin(lease, &pin, now());
    let change = Box::new(|app: &mut AppRecord| app.urls.push("https://late.example".to_owned()));
    let requeued = NewEntry { at: now(), event: Event::Requeued { reason: "late".to_owned() } };
    for refused in [
        bench.amend(lease, &server).await,
        store.forget_server(lease, &server, now()).await,
        store.add_secret(lease, "server/web/secret/a", b"b").await.map(|_| ()),
        store.amend_app(lease, &server, shop, change).await.map(|_| ()),
        store.forget_app(lease, &server, shop).await,
        store.append_durable(lease, vec![log("too late")]).await,
        store.append_durable(lease, Vec::new()).await,
        store.requeue(job.clone(), requeued).await,
        bench.end(job.clone(), Outcome::Completed(json!({}))).await,
    ] {
        assert!(matches!(refused, Err(StorageError::LeaseLost { .. })), "{refused:?}");
    }
    assert_eq!(store.server(&server).await.unwrap().unwrap().provider_id, None);
    assert_eq!(store.app(&server, shop).await.unwrap().unwrap().urls, Vec::<String>::new());
    assert!(store.secrets("server/web/").await.unwrap().is_empty());
    let record = store.job(&job.record.id).await.unwrap().unwrap();
    assert_eq!((record.status, record.plugin, record.view.progress), (JobStatus::Running, None, 0));
    assert_eq!(bench.kinds(&record.id).await, ["submitted", "claimed", "requeued", "claimed"]);
    // Who has it now may do all of that.
    let change = Box::new(|app: &mut AppRecord| app.notes.push("in time".to_owned()));
    let changed = store.amend_app(newer.lease(), &server, shop, change).await.unwrap().unwrap();
    assert_eq!(changed.notes, ["in time"]);
    store.forget_app(newer.lease(), &server, shop).await.unwrap();
    assert!(store.app(&server, shop).await.unwrap().is_none());
}

#[tokio::test]
async fn an_old_lease_writes_nothing() {
    let bench = Bench::new();
    let id = bench.submit(1, None).await;
    let old = bench.claim("w1").await.unwrap();
    assert_eq!(bench.store.recover(&claim_of("w2"), true).await.unwrap(), 1);
    let new = bench.claim("w2").await.unwrap();
    assert_eq!((new.record.attempt, new.lease().fence), (2, 2));
    bench.store.append(old.lease(), vec![log("late")], None);
    let refused = bench.store.append_durable(old.lease(), vec![log("late")]).await;
    assert!(matches!(refused, Err(StorageError::LeaseLost { .. })), "{refused:?}");
    let refused = bench.end(old, Outcome::Completed(json!(1))).await;
    assert!(matches!(refused, Err(StorageError::LeaseLost { .. })), "{refused:?}");
    assert_eq!(bench.kinds(&id).await, ["submitted", "claimed", "requeued", "claimed"]);
    bench.complete(new).await;
    assert_eq!(bench.status(&id).await, JobStatus::Completed);
}

#[tokio::test]
async fn no_job_is_given_twice() {
    let bench = Bench::new();
    for index in 0..50 {
        bench.submit(index, None).await;
    }
    let claim = claim_of("w1");
    let claims = (0..80).map(|turn| bench.store.claim_jobs(&claim, turn % 3));
    let claimed = futures_util::future::join_all(claims).await;
    let mut numbers: Vec<_> =
        claimed.into_iter().flat_map(Result::unwrap).map(|job| job.record.number).collect();
    let given = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((given, numbers.len()), (50, 50));
}

#[tokio::test]
async fn jobs_of_one_server_run_one_after_another_and_others_beside_them() {
    let bench = Bench::new();
    let first = bench.submit(1, Some("a")).await;
    let second = bench.submit(2, Some("a")).await;
    let other = bench.submit(3, Some("b")).await;
    let running = bench.claim("w").await.unwrap();
    assert_eq!(running.record.id, first);
    assert_eq!(bench.claim("w").await.unwrap().record.id, other);
    assert!(bench.claim("w").await.is_none());
    let mut changes = bench.store.changes();
    bench.complete(running).await;
    let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
    assert_eq!(told, [Change::Job(first), Change::Claimable]);
    assert_eq!(bench.claim("w").await.unwrap().record.id, second);
}

#[tokio::test]
async fn an_uncertain_job_does_not_block_its_server() {
    let bench = Bench::new();
    bench.submit(1, Some("a")).await;
    let second = bench.submit(2, Some("a")).await;
    let running = bench.claim("w").await.unwrap();
    let unknown = Failure::unsafe_to_retry("outcome_unknown", "nobody knows");
    bench.end(running, Outcome::Uncertain(unknown)).await.unwrap();
    assert_eq!(bench.claim("w").await.unwrap().record.id, second);
}

#[tokio::test]
async fn a_job_waits_for_what_it_depends_on() {
    let bench = Bench::new();
    let needed = bench.submit(1, None).await;
    let dependant = bench.submit_after(2, None, &[&needed]).await;
    let running = bench.claim("w").await.unwrap();
    assert!(bench.claim("w").await.is_none());
    bench.complete(running).await;
    assert_eq!(bench.claim("w").await.unwrap().record.id, dependant);
}

#[tokio::test]
async fn what_depends_on_a_failed_job_fails_and_says_why() {
    let bench = Bench::new();
    let needed = bench.submit(1, None).await;
    let middle = bench.submit_after(2, Some("a"), &[&needed]).await;
    let last = bench.submit_after(3, None, &[&middle]).await;
    let behind = bench.submit(4, Some("a")).await;
    let running = bench.claim("w").await.unwrap();
    bench.end(running, Outcome::Failed(Failure::safe("x", "y"))).await.unwrap();
    for id in [&middle, &last] {
        let failure = bench.store.job(id).await.unwrap().unwrap().failure.unwrap();
        assert_eq!(failure.code, "dependency_failed");
        assert_eq!(bench.kinds(id).await, ["submitted", "finished"]);
    }
    assert_eq!(bench.claim("w").await.unwrap().record.id, behind);
    let too_late = bench.submit_after(5, None, &[&needed]).await;
    assert_eq!(bench.status(&too_late).await, JobStatus::Failed);
}

#[tokio::test]
async fn cancelling_a_queued_job_ends_it_and_lets_the_next_one_go() {
    let bench = Bench::new();
    let first = bench.submit(1, Some("a")).await;
    let second = bench.submit(2, Some("a")).await;
    let cancelled = bench.store.request_cancel(&first, "ana", now()).await.unwrap();
    assert_eq!(cancelled, CancelRequest::Cancelled);
    assert_eq!(bench.kinds(&first).await, ["submitted", "cancel_requested", "finished"]);
    let again = bench.store.request_cancel(&first, "ana", now()).await.unwrap();
    assert_eq!(again, CancelRequest::Finished(JobStatus::Cancelled));
    assert_eq!(bench.claim("w").await.unwrap().record.id, second);
    let unknown = bench.store.request_cancel(&JobId::new(now(), 77), "ana", now()).await;
    assert_eq!(unknown.unwrap(), CancelRequest::NoSuchJob);
}

#[tokio::test]
async fn cancelling_a_running_job_tells_its_worker_once_in_the_journal() {
    let bench = Bench::new();
    let id = bench.submit(1, None).await;
    bench.claim("w").await.unwrap();
    let mut changes = bench.store.changes();
    for _ in 0..2 {
        let asked = bench.store.request_cancel(&id, "ana", now()).await.unwrap();
        assert_eq!(asked, CancelRequest::Requested);
    }
    let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
    assert!(told.contains(&Change::CancelRequested(id.clone())), "{told:?}");
    assert_eq!(bench.kinds(&id).await, ["submitted", "claimed", "cancel_requested"]);
    assert!(bench.store.job(&id).await.unwrap().unwrap().cancel_requested);
}

#[tokio::test]
async fn a_job_that_ran_before_is_not_cancelled_behind_its_workers_back() {
    let bench = Bench::new();
    let id = bench.submit(1, None).await;
    bench.claim("w1").await.unwrap();
    bench.store.recover(&claim_of("w2"), true).await.unwrap();
    let asked = bench.store.request_cancel(&id, "ana", now()).await.unwrap();
    assert_eq!(asked, CancelRequest::Requested);
    let job = bench.claim("w2").await.unwrap();
    assert!(job.record.cancel_requested, "its worker cleans up");
}

#[tokio::test]
async fn recovery_puts_back_what_ran_out_and_leaves_what_is_alive() {
    let bench = Bench::new();
    let id = bench.submit(1, None).await;
    bench.claim("w1").await.unwrap();
    let other = claim_of("w2");
    assert_eq!(bench.store.recover(&other, false).await.unwrap(), 0);
    let renewed = Claim { until: now() + 90.seconds(), ..claim_of("w1") };
    let kept = bench.store.renew_leases(&renewed).await.unwrap();
    assert_eq!(kept, [KeptLease { job: id.clone(), cancel_requested: false }]);
    let later = Claim { now: now() + 60.seconds(), ..other.clone() };
    assert_eq!(bench.store.recover(&later, false).await.unwrap(), 0);
    let much_later = Claim { now: now() + 91.seconds(), ..other };
    assert_eq!(bench.store.recover(&much_later, false).await.unwrap(), 1);
    assert_eq!(bench.status(&id).await, JobStatus::Queued);
    assert!(bench.store.renew_leases(&renewed).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_job_given_back_is_claimed_again_with_its_pin() {
    let bench = Bench::new();
    let id = bench.submit(1, None).await;
    let job = bench.claim("w1").await.unwrap();
    let digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
    let pin = PluginPin { name: "p".to_owned(), version: "1.0.0".to_owned(), digest };
    bench.store.pin(job.lease(), &pin, now());
    let reason = "the host stops".to_owned();
    let entry = NewEntry { at: now(), event: Event::Requeued { reason } };
    bench.store.requeue(job, entry).await.unwrap();
    let again = bench.claim("w2").await.unwrap();
    assert_eq!(again.record.plugin, Some(pin));
    assert_eq!(again.record.attempt, 2);
    assert_eq!(bench.kinds(&id).await, ["submitted", "claimed", "pinned", "requeued", "claimed"]);
}

#[tokio::test]
async fn receipts_are_left_with_the_end_of_their_job_and_go_with_their_server() {
    let bench = Bench::new();
    let (running, name) = bench.job_with_server().await;
    let receipt = |effect| Identity { job: running.record.id.clone(), effect };
    let receipts = vec![receipt(3), receipt(5)];
    bench.store.leave_receipts(running.lease(), &name, receipts.clone());
    bench.store.leave_receipts(running.lease(), &name, receipts.clone());
    let late = Lease { fence: running.lease().fence + 1, ..running.lease().clone() };
    bench.store.leave_receipts(&late, &name, vec![receipt(7)]);
    bench.complete(running.clone()).await;
    let bench = bench.reopen().await;
    let left = bench.store.left_receipts().await.unwrap();
    assert_eq!(left.into_iter().collect::<Vec<_>>(), [(name.clone(), receipts)]);
    bench.store.removed_receipts(&[receipt(3)]).await.unwrap();
    assert_eq!(bench.store.left_receipts().await.unwrap()[&name], [receipt(5)]);
    bench.store.remove_server(&name, now()).await.unwrap();
    assert!(bench.store.left_receipts().await.unwrap().is_empty());
}
