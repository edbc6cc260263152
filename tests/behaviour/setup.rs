//! Setting a server up: on the sandbox, on a real machine, and the texts of the scripts.

mod bad_days;
mod cuts;
pub(crate) mod machine;
mod names;
mod restarts;
pub(crate) mod scripts;

use reqwest::Method;
use serde_json::{Value, json};
use tests::host_process::TestHost;

/// How often a job said that it had nothing to do.
async fn idle_lines(host: &TestHost, job: &str) -> usize {
    said(host, job).await.iter().filter(|line| line.starts_with("nothing to do: ")).count()
}

/// What a job said.
async fn said(host: &TestHost, job: &str) -> Vec<String> {
    let (_, logs) = host.get(&format!("/api/jobs/{job}/logs?tail=10000")).await;
    let lines = logs["logs"].as_array().unwrap().iter();
    lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

fn wanted() -> Value {
    json!({ "ssl_email": "admin@example.com", "zone_name": "example.com", "subdomain": "lab" })
}

async fn sandbox_server(host: &TestHost, name: &str) {
    let job = host.create_server(name).await;
    host.wait_for(&job, "completed").await;
}

#[tokio::test]
async fn one_post_makes_a_server_ready_and_a_second_has_nothing_to_do() {
    let host = TestHost::start().await;
    sandbox_server(&host, "web-1").await;
    let path = "/api/servers/web-1/setup";
    let first = host.submit(Method::POST, path, Some(wanted())).await;
    let job = host.wait_for(&first, "completed").await;
    assert_eq!(job["result"]["changed"], true, "{job}");
    assert_eq!(job["result"]["portainer_url"], "https://ptn.lab.example.com");
    let (_, server) = host.get("/api/servers/web-1").await;
    assert_eq!(server["status"], "ready", "{server}");
    assert_eq!(server["dns"]["records"][0]["name"], "ptn.lab.example.com", "{server}");
    let second = host.submit(Method::POST, path, Some(wanted())).await;
    let job = host.wait_for(&second, "completed").await;
    assert_eq!(job["result"]["changed"], false, "{:?}", said(&host, &second).await);
    assert!(idle_lines(&host, &second).await >= 8, "{:?}", said(&host, &second).await);
    assert_eq!(host.get("/api/servers/web-1").await.1["setup"], server["setup"]);
}

#[tokio::test]
async fn a_server_that_goes_takes_its_names_along() {
    let host = TestHost::start().await;
    sandbox_server(&host, "web-1").await;
    let setup = host.submit(Method::POST, "/api/servers/web-1/setup", Some(wanted())).await;
    host.wait_for(&setup, "completed").await;
    let delete = host.submit(Method::DELETE, "/api/servers/web-1", None).await;
    host.wait_for(&delete, "completed").await;
    let lines = said(&host, &delete).await;
    assert!(lines.iter().any(|line| line == "A ptn.lab.example.com is gone"), "{lines:?}");
}

#[tokio::test]
async fn wrong_addresses_are_refused_before_there_is_a_job() {
    let host = TestHost::start().await;
    sandbox_server(&host, "web-1").await;
    let body = json!({ "ssl_email": "nobody", "zone_name": "a b", "subdomain": "x" });
    let (status, answer) = host.post("/api/servers/web-1/setup", body).await;
    assert_eq!(status, 422, "{answer}");
    let fields = answer["details"]["fields"].as_array().unwrap();
    let pointers: Vec<&str> = fields.iter().map(|it| it["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/ssl_email", "/zone_name", "/subdomain"]);
    let body = json!({ "ssl_email": "a@b.de" });
    assert_eq!(host.post("/api/servers/nobody/setup", body).await.0, 404);
}

#[tokio::test]
async fn the_administrators_password_is_in_no_log_and_no_journal() {
    let host = TestHost::start().await;
    sandbox_server(&host, "web-1").await;
    let job = host.submit(Method::POST, "/api/servers/web-1/setup", Some(wanted())).await;
    host.wait_for(&job, "completed").await;
    let (_, journal) = host.get(&format!("/api/jobs/{job}/journal")).await;
    assert!(journal.to_string().contains("secrets.ensure"), "{journal}");
    assert!(journal.to_string().contains("${secret:web-1/portainer/admin-password}"));
}
