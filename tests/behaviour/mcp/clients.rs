//! Clients that nobody here wrote, from the first question to a destroyed server.

use std::process::Command;

use serde_json::{Value, json};
use tests::agent_kit::AgentKit;
use tests::host_process::{TestHost, program};

use super::host_with;

/// The one line of JSON that a story ends with.
async fn told(mut story: Command) -> Value {
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
    assert!(forms.len() == 1 && forms[0].to_string().contains("web-1"), "{story:#}");
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
    assert_eq!((story["forms"].as_array().map(Vec::len), &story["left"]), (Some(1), &json!([])));
}
