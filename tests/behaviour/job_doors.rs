//! Jobs that are asked about, watched, stopped and tried again in ways that nobody should: each is
//! answered in the one shape, and nothing comes of it.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::echo;
use tests::host_process::{Events, TestHost};

/// The largest number that an event could have.
const LAST: u64 = u64::MAX;

/// A host with a completed job.
async fn host_with_job() -> (TestHost, String) {
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    (host, job)
}

/// A host with a job that waits for long.
async fn host_with_waiting_job() -> (TestHost, String) {
    let host = TestHost::start().await;
    host.add_echo(echo::version(1)).await;
    let job = host.create_server("waits").await;
    host.becomes(&format!("/api/jobs/{job}/logs"), "waiting", |it| it["total"] == 1).await;
    (host, job)
}

async fn refused(host: &TestHost, request: reqwest::RequestBuilder, what: &str) -> (u16, Value) {
    let (status, answer) = host.answer(request).await;
    let words = answer["error"].as_str().unwrap_or_default();
    assert!((400..500).contains(&status) && words.ends_with('.'), "{what}: {status} {answer}");
    (status, answer)
}

async fn kinds(host: &TestHost, job: &str) -> Vec<String> {
    let (_, journal) = host.get(&format!("/api/jobs/{job}/journal?limit=1000")).await;
    let entries = journal["entries"].as_array().unwrap().iter();
    entries.map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_id_that_is_none_is_refused_at_every_door() {
    let (host, _) = host_with_job().await;
    let long = "j".repeat(4_000);
    let ids = [
        "nonsense",
        "job_%00",
        "%2e%2e%2fservers",
        "job_20250110_150000_%C3%A9%C3%A9",
        "%FF",
        &long,
    ];
    for id in ids {
        for (method, end) in [
            (Method::GET, ""),
            (Method::GET, "/logs"),
            (Method::GET, "/logs?follow=true"),
            (Method::GET, "/journal"),
            (Method::GET, "/events"),
            (Method::DELETE, ""),
            (Method::POST, "/retry"),
        ] {
            let what = format!("{method} {id} {end}");
            let request = host.request(method, &format!("/api/jobs/{id}{end}"));
            let (status, _) = refused(&host, request, &what).await;
            assert!([404, 422].contains(&status), "{what}: {status}");
        }
    }
    let unknown = "/api/jobs/job_20250110_150000_a1b2c3";
    for end in ["", "/logs", "/logs?follow=true", "/journal", "/events"] {
        let (status, answer) = host.get(&format!("{unknown}{end}")).await;
        assert_eq!((status, &answer["code"]), (404, &json!("no_such_job")), "{end}");
    }
}

#[tokio::test]
async fn a_part_of_a_list_that_is_none_is_refused_and_one_behind_the_end_is_empty() {
    let (host, job) = host_with_job().await;
    let job = format!("/api/jobs/{job}");
    for (path, queries) in [
        (
            "/api/jobs".to_owned(),
            [
                "limit=1001",
                "cursor=-1",
                "cursor=1.5",
                "cursor=18446744073709551616",
                "limit=1&limit=2",
            ],
        ),
        (format!("{job}/journal"), ["limit=0", "after=-1", "after=x", "limit=1001", "before=1"]),
        (format!("{job}/logs"), ["tail=0", "tail=10001", "level=loud", "follow=perhaps", "head=1"]),
    ] {
        for query in queries {
            let request = host.request(Method::GET, &format!("{path}?{query}"));
            let (status, answer) = refused(&host, request, query).await;
            assert_eq!(status, 422, "{path}?{query}: {answer}");
        }
    }
    let (_, all) = host.get(&format!("/api/jobs?cursor={LAST}")).await;
    assert_eq!(all["jobs"].as_array().map(Vec::len), Some(1), "{all}");
    let none = |answer: Value, field: &str| assert_eq!(answer[field], json!([]), "{answer}");
    none(host.get("/api/jobs?cursor=0").await.1, "jobs");
    none(host.get("/api/jobs?cursor=1").await.1, "jobs");
    none(host.get(&format!("{job}/journal?after={LAST}")).await.1, "entries");
}

#[tokio::test]
async fn a_place_in_a_stream_that_is_none_is_refused_at_every_stream() {
    let (host, job) = host_with_job().await;
    let streams = [
        "/api/events".to_owned(),
        format!("/api/jobs/{job}/events"),
        format!("/api/jobs/{job}/logs?follow=true"),
    ];
    for path in &streams {
        for place in ["", "-1", "1.5", "1e3", "0x10", "18446744073709551616", "1, 2", "\u{ff11}"] {
            let request = host.request(Method::GET, path).header("Last-Event-ID", place);
            let (status, answer) = refused(&host, request, place).await;
            assert_eq!((status, &answer["code"]), (422, &json!("invalid_request")), "{place}");
        }
    }
    assert_eq!(host.get("/health").await.0, 200);
}

#[tokio::test]
async fn a_place_behind_the_end_of_a_stream_is_its_end() {
    let (host, job) = host_with_job().await;
    for path in [format!("/api/jobs/{job}/events"), format!("/api/jobs/{job}/logs?follow=true")] {
        let seen = host.stream(&path, Some(LAST)).await.all().await;
        assert!(seen.is_empty(), "{path}: {seen:?}");
    }
    // That of all jobs has no end: who was told such a number was told it by somebody else.
    let first = host.all_events(Some(LAST)).await.next().await.unwrap();
    assert_eq!((first.name.as_str(), first.id), ("missed", 0));
}

#[tokio::test]
async fn an_ended_job_is_followed_to_its_end_from_anywhere() {
    let (host, job) = host_with_job().await;
    let path = format!("/api/jobs/{job}/logs?level=debug&follow=true&tail=10000");
    let lines = host.stream(&path, None).await.all().await;
    assert!(lines.len() > 1 && lines.iter().all(|line| line.name == "log"), "{lines:?}");
    let ids: Vec<u64> = lines.iter().map(|line| line.id).collect();
    for (number, id) in ids.iter().enumerate() {
        let rest: Events = host.stream(&path, Some(*id)).await;
        let rest: Vec<u64> = rest.all().await.iter().map(|line| line.id).collect();
        assert_eq!(rest, ids[number + 1..]);
    }
    let last = host.stream(&format!("{path}&tail=1").replace("tail=10000&", ""), None).await;
    assert_eq!(last.all().await.len(), 1, "its last line, and the end");
}

#[tokio::test]
async fn a_job_that_is_cancelled_by_many_is_cancelled_once() {
    let (host, job) = host_with_waiting_job().await;
    let path = format!("/api/jobs/{job}");
    let asked = join_all((0..8).map(|_| host.delete(&path))).await;
    for (status, answer) in asked {
        let is_right =
            [200, 202].contains(&status) || (status == 409 && answer["code"] == "job_finished");
        assert!(is_right, "{status} {answer}");
    }
    host.wait_for(&job, "cancelled").await;
    let (status, answer) = host.delete(&path).await;
    assert_eq!((status, &answer["code"]), (409, &json!("job_finished")), "{answer}");
    let kinds = kinds(&host, &job).await;
    for kind in ["cancel_requested", "finished"] {
        assert_eq!(kinds.iter().filter(|it| *it == kind).count(), 1, "{kinds:?}");
    }
}

#[tokio::test]
async fn a_retry_that_is_asked_for_wrongly_is_none() {
    let (host, job) = host_with_waiting_job().await;
    host.delete(&format!("/api/jobs/{job}")).await;
    host.wait_for(&job, "cancelled").await;
    let path = format!("/api/jobs/{job}/retry");
    let deep = format!("{{\"from\":{}", "[".repeat(100_000));
    let long = json!({ "from": "x".repeat(2 << 20) }).to_string();
    for (body, statuses) in [
        ("null", &[422][..]),
        ("[]", &[422]),
        ("[\"start\", null]", &[422]),
        ("\"start\"", &[422]),
        ("{\"from\":\"Start\"}", &[422]),
        ("{\"from\":1}", &[422]),
        ("{\"from\":\"start\",\"from\":\"start\"}", &[422]),
        ("{\"resolve\":\"maybe\"}", &[422]),
        ("{\"resolve\":true}", &[422]),
        ("{\"resolve\":\"happened\"}", &[409]),
        ("{\"from\":\"start\",\"resolve\":\"happened\"}", &[422]),
        ("{\"from\":\"start\"", &[400]),
        ("{} {}", &[400]),
        ("\u{0}", &[400]),
        (deep.as_str(), &[400, 422]),
        (long.as_str(), &[413]),
    ] {
        let request = host.request(Method::POST, &path).body(body.to_owned());
        let request = request.header("content-type", "application/json");
        let shown: String = body.chars().take(60).collect();
        let (status, answer) = refused(&host, request, &shown).await;
        assert!(statuses.contains(&status), "{shown}: {status} {answer}");
    }
    let plain = host.request(Method::POST, &path).body("{}").header("content-type", "text/plain");
    assert_eq!(refused(&host, plain, "plain text").await.0, 415);
    for query in ["plan=perhaps", "plan=1&plan=0", "paln=true"] {
        let request = host.request(Method::POST, &format!("{path}?{query}"));
        assert_eq!(refused(&host, request, query).await.0, 422);
    }
    let (_, jobs) = host.get("/api/jobs").await;
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1), "{jobs}");
    assert_eq!(host.post(&path, json!({ "from": null, "resolve": null })).await.0, 202);
}
