//! The REST API at its door: what it takes, what it refuses, and in which words. That every answer
//! has the shape that the API describes is checked by [`TestHost`] with each of them.

use reqwest::Method;
use serde_json::{Value, json};
use tests::host_process::{Options, TestHost};

fn wanted(name: &str) -> Value {
    json!({ "name": name, "server_type": "cx23", "region": "nbg1" })
}

/// The pointers of the fields that a refusal names.
fn pointers(body: &Value) -> Vec<&str> {
    let fields = body["details"]["fields"].as_array().expect("a refusal names fields");
    fields.iter().map(|field| field["pointer"].as_str().expect("each has a pointer")).collect()
}

async fn token(host: &TestHost, scope: &str) -> String {
    let body = json!({ "name": format!("a-{scope}"), "scope": scope });
    let (status, answer) = host.post("/api/tokens", body).await;
    assert_eq!(status, 201, "{answer}");
    answer["token"].as_str().expect("it is told once").to_owned()
}

#[tokio::test]
async fn the_root_and_the_health_need_no_token() {
    let host = TestHost::start().await;
    for path in ["/", "/health"] {
        let (status, answer) = host.answer(host.bare_request(Method::GET, path)).await;
        assert_eq!(status, 200, "{answer}");
    }
}

#[tokio::test]
async fn a_server_is_created_used_and_deleted() {
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    let done = host.wait_for(&job, "completed").await;
    assert_eq!((&done["progress"], &done["steps_remaining"]), (&json!(100), &json!([])));
    let (status, answer) =
        host.post("/api/servers/web-1/exec", json!({ "command": "id -u" })).await;
    assert_eq!((status, &answer["stdout"]), (200, &json!("0\n")), "{answer}");
    let job = host.submit(Method::DELETE, "/api/servers/web-1", None).await;
    host.wait_for(&job, "completed").await;
    assert_eq!(host.get("/api/servers/web-1").await.0, 404);
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_with_its_place() {
    let host = TestHost::start().await;
    let long = "a".repeat(64);
    for name in ["", "a.b", "a/b", "../x", "A", "-a", "a-", "ä", "a b", "a\n", "\u{202e}", &long] {
        let (status, answer) = host.post("/api/servers", wanted(name)).await;
        assert_eq!((status, pointers(&answer)), (422, vec!["/name"]), "{name:?}");
    }
    let (status, _) = host.post("/api/servers", wanted(&"a".repeat(63))).await;
    assert_eq!(status, 202);
}

#[tokio::test]
async fn an_unknown_type_or_region_is_answered_with_near_ones() {
    let host = TestHost::start().await;
    let body = json!({ "name": "a", "server_type": "cx24", "region": "ngb1", "image": "debian12" });
    let (status, answer) = host.post("/api/servers", body).await;
    assert_eq!(status, 422);
    assert_eq!(pointers(&answer), ["/server_type", "/region", "/image"]);
    let said = answer["details"]["fields"].to_string();
    for near in ["`cx23`", "`nbg1`", "`debian-12`"] {
        assert!(said.contains(near), "{said}");
    }
    assert_eq!(host.get("/api/jobs").await.1["jobs"], json!([]));
}

#[tokio::test]
async fn a_type_that_is_not_there_in_a_region_is_refused() {
    let host = TestHost::start().await;
    let body = json!({ "name": "a", "server_type": "cax11", "region": "ash" });
    let (status, answer) = host.post("/api/servers", body).await;
    assert_eq!((status, pointers(&answer)), (422, vec!["/region"]));
    assert!(answer["error"].as_str().expect("a sentence").contains("nbg1"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_with_the_place() {
    let host = TestHost::start().await;
    for body in ["", "{", "{\"name\": \"a\",", "nonsense", "{\"name\": \"a\"} {}", "\u{0}"] {
        let request = host.request(Method::POST, "/api/servers").body(body);
        let (status, answer) =
            host.answer(request.header("content-type", "application/json")).await;
        assert!(status == 400 || status == 422, "{body:?}: {answer}");
        assert!(!pointers(&answer).is_empty());
    }
}

#[tokio::test]
async fn wrong_types_and_unknown_fields_are_refused_with_their_places() {
    let host = TestHost::start().await;
    let cases = [
        (json!({ "name": 1, "server_type": "cx23", "region": "nbg1" }), "/name"),
        (json!({ "name": "a", "server_type": "cx23", "region": "nbg1", "regoin": 1 }), "/regoin"),
        (json!({ "name": "a", "server_type": "cx23", "region": null }), "/region"),
        (json!({ "name": "a", "server_type": "x", "region": "x", "ssh_keys": [1] }), "/ssh_keys/0"),
        (json!({ "name": "a", "server_type": "x", "region": "x", "provider": "no" }), "/provider"),
        (json!({ "server_type": "cx23", "region": "nbg1" }), ""),
        (json!([]), ""),
        (json!(["a", "cx23", "nbg1"]), ""),
    ];
    for (body, place) in cases {
        let (status, answer) = host.post("/api/servers", body.clone()).await;
        assert_eq!((status, pointers(&answer)), (422, vec![place]), "{body}: {answer}");
    }
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused() {
    let host = TestHost::start().await;
    let body = json!({ "command": "a".repeat(2 * 1024 * 1024) });
    let (status, answer) = host.post("/api/servers/web-1/exec", body).await;
    assert_eq!((status, &answer["code"]), (413, &json!("body_too_large")));
}

#[tokio::test]
async fn a_body_that_is_not_called_json_is_refused() {
    let host = TestHost::start().await;
    let request = host.request(Method::POST, "/api/servers").body("{}");
    let (status, answer) = host.answer(request.header("content-type", "text/plain")).await;
    assert_eq!((status, &answer["code"]), (415, &json!("unsupported_media_type")));
}

#[tokio::test]
async fn without_a_good_token_nothing_under_api_answers() {
    let host = TestHost::start().await;
    let (status, answer) = host.answer(host.bare_request(Method::GET, "/api/jobs")).await;
    assert_eq!((status, &answer["code"]), (401, &json!("no_token")));
    for token in ["", "wl_wrong", "Bearer"] {
        let request = host.bare_request(Method::GET, "/api/servers").bearer_auth(token);
        assert_eq!(host.answer(request).await.0, 401, "{token}");
    }
    let request = host.bare_request(Method::GET, "/api/jobs").basic_auth("admin", Some("x"));
    assert_eq!(host.answer(request).await.0, 401);
}

#[tokio::test]
async fn a_token_that_may_read_changes_nothing() {
    let host = TestHost::start().await;
    let token = token(&host, "read").await;
    let ask = |method, path| host.bare_request(method, path).bearer_auth(&token);
    assert_eq!(host.answer(ask(Method::GET, "/api/jobs")).await.0, 200);
    let create = ask(Method::POST, "/api/servers").json(&wanted("a"));
    let (status, answer) = host.answer(create).await;
    assert_eq!((status, &answer["code"]), (403, &json!("insufficient_scope")));
    assert_eq!(host.answer(ask(Method::DELETE, "/api/servers/a")).await.0, 403);
    assert_eq!(host.answer(ask(Method::GET, "/api/tokens")).await.0, 403);
}

#[tokio::test]
async fn a_revoked_token_is_worthless_at_once() {
    let host = TestHost::start().await;
    let token = token(&host, "operate").await;
    let ask = || host.bare_request(Method::GET, "/api/jobs").bearer_auth(&token);
    assert_eq!(host.answer(ask()).await.0, 200);
    assert_eq!(host.delete("/api/tokens/a-operate").await.0, 200);
    assert_eq!(host.answer(ask()).await.0, 401);
}

#[tokio::test]
async fn the_last_admin_token_cannot_be_revoked() {
    let host = TestHost::start().await;
    let (status, answer) = host.delete("/api/tokens/admin").await;
    assert_eq!((status, &answer["code"]), (409, &json!("last_admin_token")));
    assert!(!host.get("/api/tokens").await.1.to_string().contains(&host.token()));
}

#[tokio::test]
async fn the_same_key_with_the_same_body_is_the_same_job() {
    let host = TestHost::start().await;
    let ask = |body: Value| {
        host.request(Method::POST, "/api/servers").header("Idempotency-Key", "k-1").json(&body)
    };
    let first = host.answer(ask(wanted("web-1"))).await;
    assert_eq!(first.0, 202, "{}", first.1);
    assert_eq!(host.answer(ask(wanted("web-1"))).await, first);
    let (status, answer) = host.answer(ask(wanted("web-2"))).await;
    assert_eq!((status, &answer["code"]), (422, &json!("idempotency_key_reused")));
    let jobs = host.get("/api/jobs").await.1;
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let host = TestHost::start().await;
    for key in ["a b", &"k".repeat(256)] {
        let request = host.request(Method::POST, "/api/servers").header("Idempotency-Key", key);
        assert_eq!(host.answer(request.json(&wanted("a"))).await.0, 422, "{key}");
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_a_conflict() {
    let host = TestHost::start().await;
    host.create_server("web-1").await;
    let (status, answer) = host.post("/api/servers", wanted("web-1")).await;
    assert_eq!((status, &answer["code"]), (409, &json!("server_exists")));
}

#[tokio::test]
async fn what_there_is_not_is_not_found_in_the_one_shape() {
    let host = TestHost::start().await;
    let unknown = "/api/jobs/job_20250110_150000_a1b2c3";
    for path in ["/nope", "/api/nope", "/api/servers/nope", unknown, "/api/jobs/"] {
        let (status, answer) = host.get(path).await;
        assert_eq!((status, &answer["error"]), (404, &answer["detail"]), "{path}");
    }
    let (status, answer) = host.delete("/api/servers").await;
    assert_eq!((status, &answer["code"]), (405, &json!("method_not_allowed")));
    let (status, answer) = host.delete("/api/servers/nope").await;
    assert_eq!((status, &answer["code"]), (404, &json!("no_such_server")));
    assert_eq!(host.delete(unknown).await.0, 404);
}

#[tokio::test]
async fn a_query_that_is_wrong_is_refused() {
    let host = TestHost::start().await;
    let wrong = [
        "limit=0",
        "limit=1001",
        "limit=x",
        "status=done",
        "cursor=x",
        "stauts=queued",
        "server=A",
    ];
    for query in wrong {
        let (status, answer) = host.get(&format!("/api/jobs?{query}")).await;
        assert_eq!(status, 422, "{query}: {answer}");
        assert_eq!(pointers(&answer), [format!("?{}", query.split('=').next().unwrap())]);
    }
}

#[tokio::test]
async fn a_finished_job_cannot_be_cancelled() {
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    let (status, answer) = host.delete(&format!("/api/jobs/{job}")).await;
    assert_eq!((status, &answer["code"]), (409, &json!("job_finished")));
}

#[tokio::test]
async fn events_go_on_where_the_listener_left() {
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    let all = host.events(&job, 0).await.all().await;
    let ids: Vec<u64> = all.iter().map(|event| event.id).collect();
    assert!(ids.is_sorted() && ids.len() > 5, "{ids:?}");
    let middle = ids[ids.len() / 2];
    let rest = host.events(&job, middle).await.all().await;
    let rest: Vec<u64> = rest.iter().map(|event| event.id).collect();
    assert_eq!(rest, ids.iter().copied().filter(|&id| id > middle).collect::<Vec<_>>());
    assert_eq!(all.last().map(|event| &event.content["status"]), Some(&json!("completed")));
}

#[tokio::test]
async fn logs_and_journal_are_complete_and_without_secrets() {
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    let (_, logs) = host.get(&format!("/api/jobs/{job}/logs?tail=10000&level=debug")).await;
    let (_, journal) = host.get(&format!("/api/jobs/{job}/journal?limit=1000")).await;
    let lines = logs["logs"].as_array().expect("lines").len();
    assert_eq!(json!(lines), logs["total"]);
    let kinds = journal["entries"].to_string();
    assert!(kinds.contains("\"intent\"") && kinds.contains("\"outcome\""), "{kinds}");
    assert!(!kinds.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_command_that_is_none_is_refused() {
    let host = TestHost::start().await;
    let cases = [
        (json!({ "command": "" }), "/command"),
        (json!({ "command": "id", "timeout": 0 }), "/timeout"),
        (json!({ "command": "id", "timeout": 301 }), "/timeout"),
        (json!({ "command": "id", "timeout": -1 }), "/timeout"),
        (json!({ "command": "id", "shell": "zsh" }), "/shell"),
    ];
    for (body, place) in cases {
        let (status, answer) = host.post("/api/servers/web-1/exec", body).await;
        assert_eq!((status, pointers(&answer)), (422, vec![place]), "{answer}");
    }
    let (status, _) = host.post("/api/servers/web-1/exec", json!({ "command": "id" })).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_provider_without_a_token_says_how_it_gets_one() {
    let host = TestHost::start().await;
    let (status, answer) = host.get("/api/providers/locations?provider=hetzner").await;
    assert_eq!((status, &answer["code"]), (409, &json!("provider_not_configured")));
    assert_eq!(answer["next"], json!(["POST /api/config/provider"]));
    let (status, answer) = host.post("/api/config/provider", json!({ "name": "hetzner" })).await;
    assert_eq!((status, pointers(&answer)), (422, vec!["/token"]));
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_kept_unverified_and_its_token_never_shown() {
    let host = TestHost::start().await;
    let secret = "a-token-that-nobody-may-see";
    let body = json!({ "name": "hetzner", "token": secret, "endpoint": "http://127.0.0.1:9" });
    let (status, answer) = host.post("/api/config/provider", body).await;
    assert_eq!((status, &answer["data"]["verified"]), (200, &json!(false)), "{answer}");
    let (status, offer) = host.get("/api/providers/images?provider=hetzner").await;
    assert_eq!(status, 502, "{offer}");
    assert!(![answer.to_string(), offer.to_string(), host.log()].concat().contains(secret));
}

#[tokio::test]
async fn the_sandbox_lists_what_it_offers() {
    let host = TestHost::start().await;
    for (path, list) in
        [("server-types", "server_types"), ("locations", "locations"), ("images", "images")]
    {
        let (status, answer) = host.get(&format!("/api/providers/{path}")).await;
        assert_eq!((status, &answer["stale"]), (200, &json!(false)));
        assert!(!answer[list].as_array().expect("a list").is_empty());
    }
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let host = TestHost::start().await;
    let own = host.url().to_owned();
    let from = |origin: &str| host.request(Method::GET, "/api/jobs").header("Origin", origin);
    assert_eq!(host.answer(from(&own)).await.0, 200);
    assert_eq!(host.answer(from("https://example.com")).await.0, 403);
    assert_eq!(host.answer(from("null")).await.0, 403);
    let named = host.request(Method::GET, "/api/jobs").header("Host", "example.com");
    assert_eq!(host.answer(named).await.0, 403);
}

#[tokio::test]
async fn a_request_keeps_its_id() {
    let host = TestHost::start().await;
    let request = host.bare_request(Method::GET, "/").header("X-Request-Id", "mine-1");
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.headers()["x-request-id"], "mine-1");
    let answer = host.bare_request(Method::GET, "/").send().await.expect("an answer");
    assert_eq!(answer.headers()["x-request-id"].len(), 32);
}

#[tokio::test]
async fn the_description_covers_every_route_of_the_plan_that_there_is() {
    let host = TestHost::start().await;
    let (_, document) = host.get("/openapi.json").await;
    assert_eq!(&document, windlass::http::document());
    let page = host.bare_request(Method::GET, "/docs").send().await.expect("an answer");
    let page = page.text().await.expect("a page");
    for (path, item) in document["paths"].as_object().expect("paths") {
        assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
        for (method, operation) in item.as_object().expect("operations") {
            assert!(operation["responses"]["500"].is_object(), "{method} {path}");
            let open = ["/", "/health", "/docs", "/openapi.json"].contains(&path.as_str());
            assert_eq!(operation["responses"]["401"].is_null(), open, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_running_job_can_be_stopped() {
    let pace = ("WINDLASS_SANDBOX_PACE".to_owned(), "realistic".to_owned());
    let host = TestHost::start_with(Options { environment: vec![pace] }).await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "running").await;
    let (status, answer) = host.delete(&format!("/api/jobs/{job}")).await;
    assert!(status == 200 || status == 202, "{status}: {answer}");
    let job = host.wait_for(&job, "cancelled").await;
    assert_eq!(job["cancel_requested"], json!(true));
    let (status, answer) = host.post("/api/servers/web-1/exec", json!({ "command": "id" })).await;
    assert!(status == 404 || status == 502, "{status}: {answer}");
}

#[tokio::test]
async fn a_log_can_be_followed_to_the_end_of_its_job() {
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    let path = format!("/api/jobs/{job}/logs?follow=true&level=debug");
    let stream = host.request(Method::GET, &path).send().await.expect("an answer");
    let stream = stream.text().await.expect("a stream that ends");
    let (_, logs) = host.get(&format!("/api/jobs/{job}/logs?level=debug&tail=10000")).await;
    assert_eq!(json!(stream.matches("event: log").count()), logs["total"], "{stream}");
}

#[tokio::test]
async fn a_job_goes_on_after_a_crash_of_its_host() {
    let pace = ("WINDLASS_SANDBOX_PACE".to_owned(), "realistic".to_owned());
    let mut host = TestHost::start_with(Options { environment: vec![pace] }).await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "running").await;
    host.crash();
    host.restart().await;
    let job = host.wait_for(&job, "completed").await;
    assert_eq!(job["attempt"], json!(2));
}
