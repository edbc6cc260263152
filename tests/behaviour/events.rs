//! What happens to jobs, told as it happens: of one job and of all, also when the host dies in the
//! middle.

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tests::host_process::{Event, Events, Options, TestHost};

/// A host whose servers take their time.
async fn unhurried() -> TestHost {
    let pace = ("WINDLASS_SANDBOX_PACE".to_owned(), "realistic".to_owned());
    TestHost::start_with(Options { environment: vec![pace] }).await
}

/// What comes until this does, with it.
async fn until(events: &mut Events, is_last: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        let is_last = is_last(&event);
        seen.push(event);
        if is_last {
            return seen;
        }
    }
    panic!("the stream ended after {seen:#?}")
}

fn is(status: &'static str, job: &str) -> impl Fn(&Event) -> bool {
    move |event| event.content["status"] == status && event.content["job_id"] == job
}

fn told(events: &[Event]) -> Vec<(u64, &str, &Value)> {
    events.iter().map(|event| (event.id, event.name.as_str(), &event.content)).collect()
}

fn last(events: &[Event]) -> u64 {
    events.last().expect("something came").id
}

#[tokio::test]
async fn who_listens_to_all_jobs_misses_nothing_when_the_host_dies_in_the_middle() {
    let mut host = unhurried().await;
    let first = host.create_server("web-1").await;
    let mut seen = until(&mut host.all_events(Some(0)).await, is("running", &first)).await;
    host.crash();
    host.restart().await;
    let second = host.create_server("web-2").await;
    let mut rest = host.all_events(Some(last(&seen))).await;
    for job in [&first, &second] {
        if !seen.iter().any(is("completed", job)) {
            seen.extend(until(&mut rest, is("completed", job)).await);
        }
    }
    let end = last(&seen);
    let again = until(&mut host.all_events(Some(0)).await, |event| event.id == end).await;
    assert_eq!(told(&seen), told(&again), "nothing is lost, nothing comes twice");
    let attempts = seen.iter().filter(|event| event.content["job_id"] == first.as_str());
    assert!(attempts.clone().any(|event| event.content["attempt"] == 2));
    let own = host.events(&first, 0).await.all().await;
    let names = |events: &[Event]| -> Vec<String> {
        events.iter().map(|event| event.name.clone()).collect()
    };
    assert_eq!(names(&own), names(&attempts.cloned().collect::<Vec<_>>()));
}

#[tokio::test]
async fn who_comes_new_is_told_what_happens_from_now_on() {
    let host = TestHost::start().await;
    let before = host.create_server("web-1").await;
    host.wait_for(&before, "completed").await;
    let mut events = host.all_events(None).await;
    let job = host.create_server("web-2").await;
    let seen = until(&mut events, is("completed", &job)).await;
    assert!(seen.iter().all(|event| event.content["job_id"] == job.as_str()), "{seen:#?}");
    assert_eq!(seen[0].content["status"], "queued");
}

#[tokio::test]
async fn who_was_here_in_another_life_of_the_host_is_told_that_something_is_missing() {
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    let seen = until(&mut host.all_events(Some(1 << 40)).await, is("completed", &job)).await;
    assert_eq!(seen[0].name, "missed", "{seen:#?}");
    assert_eq!(seen[1].content["status"], "queued");
    assert_eq!(seen.iter().filter(|event| event.name == "missed").count(), 1);
}

#[tokio::test]
async fn who_listens_to_one_job_misses_nothing_when_the_host_dies_in_the_middle() {
    let mut host = unhurried().await;
    let job = host.create_server("web-1").await;
    let is_running = |event: &Event| event.content["status"] == "running";
    let mut seen = until(&mut host.events(&job, 0).await, is_running).await;
    host.crash();
    host.restart().await;
    seen.extend(host.events(&job, last(&seen)).await.all().await);
    let again = host.events(&job, 0).await.all().await;
    assert_eq!(told(&seen), told(&again));
    assert_eq!(seen.last().unwrap().content["status"], "completed");
}

#[tokio::test]
async fn who_follows_a_log_misses_no_line_when_the_host_dies_in_the_middle() {
    let mut host = unhurried().await;
    let job = host.create_server("web-1").await;
    let path = format!("/api/jobs/{job}/logs?follow=true&level=debug&tail=10000");
    let mut seen = until(&mut host.stream(&path, None).await, |_| true).await;
    host.crash();
    host.restart().await;
    seen.extend(host.stream(&path, Some(last(&seen))).await.all().await);
    let logs = host.get(&format!("/api/jobs/{job}/logs?level=debug&tail=10000")).await.1;
    let said: Vec<&Value> = seen.iter().map(|event| &event.content["message"]).collect();
    let kept: Vec<&Value> =
        logs["logs"].as_array().unwrap().iter().map(|line| &line["message"]).collect();
    assert_eq!(said, kept);
    assert!(seen.iter().all(|event| event.name == "log") && seen.len() > 2, "{said:?}");
}

#[tokio::test]
async fn a_running_job_says_when_it_should_be_done_once_there_was_one_like_it() {
    let host = unhurried().await;
    let first = host.create_server("web-1").await;
    let running = host.wait_for(&first, "running").await;
    assert_eq!(running["estimated_completion"], json!(null), "nothing is known yet");
    host.wait_for(&first, "completed").await;
    let began = Timestamp::now();
    let second = host.create_server("web-2").await;
    let path = format!("/api/jobs/{second}");
    let running = host.until(&path, |job| !job["estimated_completion"].is_null()).await;
    let done: Timestamp = running["estimated_completion"].as_str().unwrap().parse().unwrap();
    assert!(done > began, "{done} is over, at {began}");
    let ended = host.wait_for(&second, "completed").await;
    assert_eq!(ended["estimated_completion"], json!(null));
}

#[tokio::test]
async fn a_place_in_a_stream_that_is_none_is_refused() {
    let host = TestHost::start().await;
    let request = host.request(Method::GET, "/api/events").header("Last-Event-ID", "yesterday");
    let (status, answer) = host.answer(request).await;
    assert_eq!((status, &answer["code"]), (422, &json!("invalid_request")), "{answer}");
}
