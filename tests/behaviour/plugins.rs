//! What a plugin can do to the host: nothing. Each bad manner is a failed job with a sentence, and
//! the host goes on.

use serde_json::json;
use tests::workshop::{Workshop, code, result};
use windlass::model::job::JobStatus;
use windlass::model::journal::Event;

/// A job that misbehaves fails with this code, and the next one runs.
async fn check(how: &str, expected: &str) -> String {
    let workshop = Workshop::open().await;
    let job = workshop.run(how).await;
    assert_eq!((job.status, code(&job)), (JobStatus::Failed, expected), "{job:#?}");
    let after = workshop.run("returns").await;
    assert_eq!(result(&after), &json!({ "done": true }));
    job.failure.unwrap().message
}

#[tokio::test]
async fn a_plugin_that_returns_a_failure_fails_its_job() {
    assert_eq!(check("fails", "no_luck").await, "it did not work out: try again tomorrow");
}

#[tokio::test]
async fn a_plugin_that_panics_fails_its_job_and_its_words_are_in_the_log() {
    let workshop = Workshop::open().await;
    let job = workshop.run("panics").await;
    assert_eq!(code(&job), "plugin_trapped");
    let log = workshop.log(&job.id).await;
    assert!(log.iter().any(|line| line.contains("lost my head")), "{log:?}");
}

#[tokio::test]
async fn a_plugin_that_exits_fails_its_job() {
    check("exits", "plugin_trapped").await;
}

#[tokio::test]
async fn a_plugin_that_eats_memory_is_stopped_at_its_limit() {
    check("eats-memory", "plugin_trapped").await;
}

#[tokio::test]
async fn a_plugin_that_recurses_for_ever_is_stopped() {
    check("recurses", "plugin_trapped").await;
}

#[tokio::test]
async fn a_plugin_that_calls_too_often_is_stopped() {
    check("calls-too-often", "too_many_calls").await;
}

#[tokio::test]
async fn a_plugin_that_hands_over_too_much_at_once_is_stopped() {
    check("hands-over-much", "plugin_trapped").await;
}

#[tokio::test]
async fn a_result_that_is_not_what_the_descriptor_promised_fails_its_job() {
    let said = check("answers-nonsense", "bad_result").await;
    assert!(said.contains("not what it promised"), "{said}");
}

#[tokio::test]
async fn a_plugin_that_computes_for_ever_is_stopped_while_others_run() {
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: takes 30 s, set SLOW_TESTS");
    }
    let workshop = Workshop::open().await;
    let endless = workshop.submit("loops").await;
    let other = workshop.run("returns").await;
    assert_eq!(other.status, JobStatus::Completed);
    assert_eq!(code(&workshop.finished(&endless).await), "computing_too_long");
}

#[tokio::test]
async fn a_flooded_log_keeps_its_first_lines_and_says_how_many_were_dropped() {
    for how in ["floods-the-log", "floods-stdout"] {
        let workshop = Workshop::open().await;
        let job = workshop.run(how).await;
        assert_eq!(job.status, JobStatus::Completed);
        let entries = workshop.journal(&job.id).await;
        let lines = entries.iter().filter(|e| matches!(e.event, Event::Log { .. })).count();
        assert_eq!(lines, 10_001, "{how}");
        let last = workshop.log(&job.id).await.pop().unwrap();
        assert!(last.contains("10000 more lines were dropped"), "{last}");
    }
}

#[tokio::test]
async fn control_characters_of_a_plugin_do_not_reach_a_terminal() {
    let workshop = Workshop::open().await;
    let job = workshop.run("writes-control-characters").await;
    let log = workshop.log(&job.id).await;
    assert!(log.contains(&r"before\u{1b}[2J\u{7}after\rover".to_owned()), "{log:?}");
}

#[tokio::test]
async fn a_function_without_a_grant_answers_access_denied() {
    let workshop = Workshop::open().await;
    let job = workshop.run("asks-without-grant").await;
    assert_eq!(result(&job)["code"], "access_denied");
    assert!(result(&job)["message"].as_str().unwrap().contains("`servers`"));
}

#[tokio::test]
async fn another_jobs_server_cannot_be_touched() {
    let workshop = Workshop::open().await;
    let job = workshop.run("touches-another-server").await;
    assert_eq!(result(&job)["code"], "access_denied");
}

#[tokio::test]
async fn requests_to_what_only_the_host_can_reach_are_refused_though_they_were_granted() {
    let workshop = Workshop::open().await;
    let job = workshop.run("asks-for-what-is-inside").await;
    let said = result(&job);
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let resolves = hosts.contains("ip6-localhost").then_some("resolves");
    for how in ["metadata", "name", "number"].into_iter().chain(resolves) {
        assert_eq!(said[how][0], "access_denied", "{said}");
        assert!(said[how][1].as_str().unwrap().contains("no public address"), "{said}");
    }
    // No grant names an address of IPv6.
    assert_eq!(
        (&said["v6"][0], &said["mapped"][0]),
        (&json!("access_denied"), &json!("access_denied"))
    );
    assert!(said["not_granted"][1].as_str().unwrap().contains("no grant for requests"), "{said}");
    assert_eq!(said["file"][0], "invalid_argument", "{said}");
}

#[tokio::test]
async fn a_job_that_waits_goes_on_after_a_restart_without_saying_a_line_twice() {
    let workshop = Workshop::open().await;
    let id = workshop.submit("waits-and-cleans-up").await;
    workshop.says(&id, "waiting").await;
    let workshop = workshop.restart().await;
    workshop.says(&id, "attempt 2: going on from the journal").await;
    workshop.store.request_cancel(&id, "test", jiff::Timestamp::now()).await.unwrap();
    let job = workshop.finished(&id).await;
    assert_eq!((job.status, job.attempt), (JobStatus::Cancelled, 2));
    let log = workshop.log(&id).await;
    assert_eq!(log.iter().filter(|line| *line == "waiting").count(), 1, "{log:?}");
}

#[tokio::test]
async fn a_cancelled_job_may_clean_up_first() {
    let workshop = Workshop::open().await;
    let id = workshop.submit("waits-and-cleans-up").await;
    workshop.says(&id, "waiting").await;
    workshop.store.request_cancel(&id, "test", jiff::Timestamp::now()).await.unwrap();
    let job = workshop.finished(&id).await;
    assert_eq!(job.status, JobStatus::Cancelled);
    assert!(workshop.log(&id).await.contains(&"cleaned up".to_owned()));
}

#[tokio::test]
async fn the_longest_sleep_there_is_can_be_cancelled() {
    let workshop = Workshop::open().await;
    let id = workshop.submit("sleeps-for-ever").await;
    workshop.says(&id, "waiting").await;
    let workshop = workshop.restart().await;
    workshop.says(&id, "attempt 2: going on from the journal").await;
    let job = workshop.cancel(&id).await;
    assert_eq!((job.status, code(&job)), (JobStatus::Cancelled, "cancelled"), "{job:#?}");
}

#[tokio::test]
async fn a_plugin_sees_the_same_world_in_each_attempt() {
    let workshop = Workshop::open().await;
    let one = workshop.run("is-deterministic").await;
    let seen = result(&one).clone();
    assert_eq!((&seen["environment"], &seen["arguments"]), (&json!(0), &json!(0)));
    // The same journal, once more: what it answers must make the plugin see the same.
    workshop.store.close().await;
    let database = workshop.database();
    tests::journal::reopen(&database, &one.id);
    let workshop = workshop.restart().await;
    let again = workshop.finished(&one.id).await;
    assert_eq!((result(&again), again.attempt), (&seen, 2));
}

#[tokio::test]
async fn a_plugin_that_asks_for_something_else_after_a_crash_is_stopped_before_anything_is_sent() {
    let mut workshop = Workshop::open().await;
    let id = workshop.submit("waits").await;
    workshop.says(&id, "waiting").await;
    workshop.stop().await;
    tests::journal::change_request(&workshop.database(), &id, 3);
    let workshop = workshop.restart().await;
    let job = workshop.finished(&id).await;
    assert_eq!(code(&job), "nondeterministic_plugin");
    assert!(job.failure.unwrap().message.contains("effect 3"));
}
