//! What an app's job may touch: its own app, names, secrets and record.

use serde_json::json;
use tests::apps::{AppsHost, component, recipe};
use windlass::plugins::plugin::Plugin;

use super::ready;

fn curious() -> serde_json::Value {
    let more = json!({
        "dns_prefixes": ["mine"],
        "params": { "properties": { "how": { "default": "reaches-out" } } },
    });
    recipe("curious", &[], more)
}

#[tokio::test]
async fn an_apps_job_touches_nothing_but_its_own() {
    let apps = ready(&[curious(), recipe("other", &[], json!({}))]).await;
    let job = apps.host.create_server("other").await;
    apps.host.wait_for(&job, "completed").await;
    apps.installed("other", json!({})).await;
    let job = apps.installed("curious", json!({})).await;
    let denied = "access_denied";
    let expected = json!({
        "put_another_app": denied,
        "delete_another_app": denied,
        "delete_itself_while_deploying": "conflict",
        "status": "invalid_argument",
        "another_servers_app": denied,
        "another_servers_apps": denied,
        "server_record": denied,
        "server_removal": denied,
        "another_server": denied,
        "servers": "1",
        "another_servers_stack": denied,
        "foreign_name": denied,
        "own_name_of_another_zone": denied,
        "name_above": denied,
        "own_name_by_force": denied,
        "own_name": "got it",
        "foreign_record": denied,
        "foreign_secret": denied,
        "own_secret": "got it",
    });
    assert_eq!(job["result"], expected);
}

#[tokio::test]
async fn an_apps_names_go_with_it_and_with_its_server() {
    let prefixes = json!({ "prefixes": { "type": "array", "default": ["mine"] } });
    let more = json!({ "dns_prefixes": ["mine"], "params": { "properties": prefixes } });
    let apps = ready(&[recipe("named", &[], more)]).await;
    let job = apps.installed("named", json!({})).await;
    assert_eq!(job["result"]["urls"], json!(["https://mine.lab.example.com"]));
    assert_eq!(apps.app("named").await["url"], "https://mine.lab.example.com");
    let job = apps.removed("named", false).await;
    let path = format!("/api/jobs/{}/journal", job["job_id"].as_str().unwrap());
    let (_, journal) = apps.host.get(&path).await;
    assert!(journal.to_string().contains("dns.delete"), "{journal}");
    apps.installed("named", json!({})).await;
    let job =
        apps.host.submit(reqwest::Method::DELETE, "/api/servers/web-1?force=true", None).await;
    apps.host.wait_for(&job, "completed").await;
    let (_, logs) = apps.host.get(&format!("/api/jobs/{job}/logs")).await;
    assert!(logs.to_string().contains("CNAME mine.lab.example.com is gone"), "{logs}");
}

#[tokio::test]
async fn an_app_that_asks_for_commands_on_servers_is_no_app() {
    let mut greedy = curious();
    greedy["grants"]["interfaces"] = json!(["job", "ssh"]);
    let refused = Plugin::read(component(&greedy)).err().unwrap().to_string();
    assert!(refused.contains("an app has no `ssh`"), "{refused}");
    let plugin = Plugin::read(component(&curious())).unwrap();
    let operations: Vec<&str> = plugin.operations.iter().map(|it| it.as_str()).collect();
    assert_eq!(operations, ["deploy_app:curious", "delete_app:curious"]);
}

#[tokio::test]
async fn a_name_of_another_servers_app_is_taken() {
    let domain = json!({ "domain": { "type": "string" } });
    let more = json!({ "dns_prefixes": ["mine"], "params": { "properties": domain } });
    let apps: AppsHost = ready(&[recipe("named", &[], more)]).await;
    apps.installed("named", json!({})).await;
    apps.ready_server("web-2").await;
    let body = json!({ "app_name": "named", "config": { "domain": "lab.example.com" } });
    let (status, answer) = apps.host.post("/api/servers/web-2/apps", body).await;
    assert_eq!((status, &answer["code"]), (409, &json!("name_taken")), "{answer}");
}
