//! Recipes deployed and removed through the real host, on simulated servers.

use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};
use tests::host_process::TestHost;

use super::{Entry, catalogue};

/// A host with a large server that is set up with names.
async fn ready() -> TestHost {
    let host = TestHost::start().await;
    set_up(&host).await;
    host
}

/// Makes that server.
pub(super) async fn set_up(host: &TestHost) {
    let body = json!({ "name": "web-1", "server_type": "cx43", "region": "nbg1" });
    let job = host.submit(Method::POST, "/api/servers", Some(body)).await;
    host.wait_for(&job, "completed").await;
    let body = json!({
        "ssl_email": "admin@example.com", "zone_name": "example.com", "subdomain": "lab",
    });
    let job = host.submit(Method::POST, "/api/servers/web-1/setup", Some(body)).await;
    host.wait_for(&job, "completed").await;
}

pub(super) async fn install_app(host: &TestHost, name: &str, config: Value) -> Value {
    let body = json!({ "app_name": name, "config": config });
    let job = host.submit(Method::POST, "/api/servers/web-1/apps", Some(body)).await;
    host.wait_for(&job, "completed").await
}

pub(super) async fn remove(host: &TestHost, name: &str, delete_data: bool) -> Value {
    let path = format!("/api/servers/web-1/apps/{name}?delete_data={delete_data}");
    let job = host.submit(Method::DELETE, &path, None).await;
    host.wait_for(&job, "completed").await
}

pub(super) async fn said(host: &TestHost, job: &Value) -> Vec<String> {
    let path = format!("/api/jobs/{}/logs?tail=1000", job["job_id"].as_str().unwrap());
    let (_, logs) = host.get(&path).await;
    let lines = logs["logs"].as_array().unwrap().iter();
    lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

/// What an operator would write: no secret is a reference.
fn wish(entry: &Entry) -> Value {
    let required = entry.descriptor["params"]["required"].as_array().unwrap();
    let name = |it: &Value| it.as_str().unwrap().to_owned();
    required.iter().map(|it| (name(it), json!("someone@example.com"))).collect()
}

#[tokio::test]
async fn every_recipe_deploys_and_is_removed_on_the_sandbox() {
    let host = ready().await;
    let (mut slowest, began) = ((0, String::new()), Instant::now());
    let entries = catalogue();
    for entry in &entries {
        let start = Instant::now();
        let job = install_app(&host, &entry.name, wish(entry)).await;
        assert_eq!(job["result"]["app"], json!(entry.name), "{job}");
        slowest = slowest.max((start.elapsed().as_millis(), entry.name.clone()));
        let (_, answer) = host.get("/api/servers/web-1/apps").await;
        let apps = answer["apps"].as_array().unwrap();
        let app = apps.iter().find(|it| it["app_name"] == entry.name).unwrap();
        assert_eq!(app["status"], "running", "{app}");
    }
    let each = began.elapsed().as_millis() / u128::try_from(entries.len()).unwrap();
    println!("{} recipes, {each} ms each, slowest {slowest:?}", entries.len());
    // Those that others need go last.
    let needs = |it: &Entry| it.descriptor["dependencies"].as_array().unwrap().len();
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_by_key(|it| std::cmp::Reverse(needs(it)));
    for entry in order {
        let job = remove(&host, &entry.name, true).await;
        assert_eq!(job["result"]["changed"], true, "{job}");
    }
    let (_, answer) = host.get("/api/servers/web-1/apps").await;
    assert_eq!(answer["apps"], json!([]));
}

#[tokio::test]
async fn an_app_comes_with_what_it_needs_and_a_second_run_changes_nothing() {
    let host = ready().await;
    let config =
        json!({ "smtp_host": "mail.example.com", "smtp_password": "\"\n  privileged: true" });
    let first = install_app(&host, "n8n", config.clone()).await;
    assert_eq!(first["result"]["changed"], true);
    let urls = json!(["https://edt.lab.example.com", "https://whk.lab.example.com"]);
    assert_eq!(first["result"]["urls"], urls, "{:#?}", said(&host, &first).await);
    let (_, server) = host.get("/api/servers/web-1").await;
    assert_eq!(server["apps"], json!(["n8n", "postgres", "redis"]));
    let (_, zone) = host.get("/api/servers/web-1/apps").await;
    let n8n = zone["apps"].as_array().unwrap().iter().find(|it| it["app_name"] == "n8n").unwrap();
    let notes = n8n["notes"][0].as_str().unwrap();
    assert!(notes.contains("https://edt.lab.example.com"), "{notes}");
    let second = install_app(&host, "n8n", config).await;
    let lines = said(&host, &second).await;
    assert_eq!(second["result"]["changed"], false, "{lines:#?}");
    assert!(lines.contains(&"nothing to do: `n8n` runs as asked".to_owned()), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("privileged")), "{lines:#?}");
}

#[tokio::test]
async fn a_removed_app_leaves_its_data_unless_that_was_asked_for() {
    let host = ready().await;
    install_app(&host, "miniflux", json!({})).await;
    let kept = remove(&host, "miniflux", false).await;
    let lines = said(&host, &kept).await;
    assert!(lines.iter().any(|line| line.contains("its volumes stay")), "{lines:#?}");
    assert!(lines.iter().any(|line| line == "CNAME news.lab.example.com is gone"), "{lines:#?}");
    install_app(&host, "miniflux", json!({})).await;
    let gone = remove(&host, "miniflux", true).await;
    let lines = said(&host, &gone).await;
    let dropped = "the database miniflux of postgres is gone".to_owned();
    assert!(lines.contains(&dropped), "{lines:#?}");
}
