//! Clients that nobody here wrote, from the first question to a destroyed server.

use std::process::Command;

use serde_json::{Value, json};
use tests::agent_kit::AgentKit;
use tests::host_process::{TestHost, program};

use super::host_with;
use super::waits::logged;

/// The one line of JSON that a story ends with.
pub(super) async fn told(mut story: Command) -> Value {
    let run = tokio::task::spawn_blocking(move || story.output());
    let output = run.await.expect("no panic").expect("the story can be told");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    serde_json::from_str(said.lines().last().unwrap_or_default()).expect("it ends with JSON")
}

fn over_http(mut story: Command, host: &TestHost) -> Command {
    story.arg(format!("{}/mcp", host.url())).arg(host.token());
    story
}

#[tokio::test(flavor = "multi_thread")]
async fn pythons_older_sdk_tells_the_whole_story_over_http() {
    let Some(kit) = AgentKit::shared("pythons_older_sdk") else { return };
    let host = host_with(&[("WINDLASS_SANDBOX_PACE", "realistic")]).await;
    let story = told(over_http(kit.python("legacy"), &host)).await;
    assert_eq!((&story["version"], &story["stdout"]), (&json!("2025-11-25"), &json!("0\n")));
    assert_eq!((&story["refused"], &story["left"]), (&json!(true), &json!([])), "{story:#}");
    assert!(story["waits"].as_u64() > Some(3), "waits are repeated: {story:#}");
    assert!(story["longest"].as_f64() < Some(20.0), "{story:#}");
    assert!(story["progress"].as_u64() > Some(10), "{story:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pythons_sdk_of_today_tells_it_over_standard_output_and_its_user_confirms() {
    let Some(kit) = AgentKit::shared("pythons_sdk_of_today") else { return };
    let host = TestHost::start().await;
    let mut story = kit.python("modern");
    story.arg(program().get_program()).arg("mcp");
    story.env("LIVCHAT_API_URL", host.url()).env("LIVCHAT_API_KEY", host.token());
    let story = told(story).await;
    assert_eq!((&story["version"], &story["left"]), (&json!("2026-07-28"), &json!([])));
    let forms = story["forms"].as_array().expect("forms");
    assert!(forms.len() == 4 && forms[3].to_string().contains("web-1"), "{story:#}");
    check_apps(&story);
    assert!(story["log"].as_str().expect("a log").contains(" info "), "{story:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn typescripts_older_sdk_tells_it_with_its_usual_timeouts() {
    let Some(kit) = AgentKit::shared("typescripts_older_sdk") else { return };
    let host = host_with(&[("WINDLASS_SANDBOX_PACE", "realistic")]).await;
    let story = told(over_http(kit.node("legacy.mjs"), &host)).await;
    assert_eq!((&story["stdout"], &story["left"]), (&json!("0\n"), &json!([])), "{story:#}");
    assert!(story["waits"].as_u64() > Some(3), "waits are repeated: {story:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn typescripts_sdk_of_today_shows_its_user_a_form_before_it_destroys() {
    let Some(kit) = AgentKit::shared("typescripts_sdk_of_today") else { return };
    let host = TestHost::start().await;
    let story = told(over_http(kit.node("modern.mjs"), &host)).await;
    assert_eq!((story["forms"].as_array().map(Vec::len), &story["left"]), (Some(4), &json!([])));
    check_apps(&story);
}

/// What was installed, as it was planned.
pub(super) fn check_apps(story: &Value) {
    let running = |name: &str| json!([name, "running"]);
    let apps = json!([running("n8n"), running("postgres"), running("redis")]);
    assert_eq!(story["apps"], apps, "{story:#}");
    assert!(story["planned"].as_u64() > Some(5), "{story:#}");
}

/// A host on which making a server takes its time.
async fn slow_host() -> TestHost {
    host_with(&[("WINDLASS_SANDBOX_PACE", "realistic")]).await
}

/// The waiter of Python's SDK, through a process of ours that looks for the host of the home.
fn waiter_of(kit: &AgentKit, host: &TestHost) -> Command {
    let mut waiter = kit.waiter();
    waiter.arg(program().get_program()).arg("--home").arg(host.home()).arg("mcp");
    waiter
}

/// How often a server was ordered.
async fn orders(host: &TestHost) -> usize {
    let (_, jobs) = host.get("/api/jobs?type=create_server").await;
    jobs["jobs"].as_array().expect("jobs").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_foreign_clients_that_want_the_same_server_at_once_get_one() {
    let Some(kit) = AgentKit::shared("two_foreign_clients") else { return };
    let host = slow_host().await;
    let (one, other) =
        tokio::join!(told(waiter_of(kit, &host)), told(over_http(kit.node("waiter.mjs"), &host)));
    assert_eq!((&one["status"], &other["status"]), (&json!("completed"), &json!("completed")));
    assert_eq!(one["job"], other["job"], "{one} {other}");
    assert_ne!(one["before"], other["before"], "{one} {other}");
    assert_eq!(orders(&host).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_client_that_dies_while_it_waits_harms_nothing() {
    let Some(kit) = AgentKit::shared("a_foreign_client_that_dies") else { return };
    let host = slow_host().await;
    let mut waiter = over_http(kit.node("waiter.mjs"), &host).spawn().expect("it can be run");
    logged(&host, "somebody waits for a job").await;
    waiter.kill().expect("it runs");
    waiter.wait().expect("it is over");
    logged(&host, "nobody waits for a job any more").await;
    let story = told(over_http(kit.node("waiter.mjs"), &host)).await;
    assert_eq!((&story["status"], &story["before"]), (&json!("completed"), &json!(true)));
    assert_eq!(orders(&host).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_client_goes_on_waiting_when_the_host_starts_again() {
    let Some(kit) = AgentKit::shared("a_foreign_client_goes_on") else { return };
    let mut host = slow_host().await;
    let story = tokio::spawn(told(waiter_of(kit, &host)));
    logged(&host, "somebody waits for a job").await;
    host.crash();
    host.restart().await;
    let story = story.await.expect("no panic");
    assert_eq!(story["status"], "completed", "{story}");
    assert_eq!(orders(&host).await, 1);
}
