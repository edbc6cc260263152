//! Jobs that take longer than any client waits for one answer.

use serde_json::{Value, json};
use tests::agent_kit::AgentKit;
use tests::forge;
use tests::host_process::TestHost;

use super::clients::told;

/// What a job of minutes looks like to who waits for it with the usual patience of his library.
fn check(story: &Value) {
    assert_eq!(story["status"], "completed", "{story:#}");
    let seconds = story["seconds"].as_f64().expect("seconds");
    assert!(seconds >= 150.0, "the job takes its time: {story:#}");
    // Three whole waits of 45 s and the rest, and no answer came after a client gives up.
    assert!(story["waits"].as_u64() >= Some(4), "{story:#}");
    assert!(story["longest"].as_f64() < Some(60.0), "{story:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_minutes_is_waited_for_by_clients_that_give_up_after_one() {
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: a job of 150 s, set SLOW_TESTS");
    }
    let Some(kit) = AgentKit::shared("a_job_of_minutes_is_waited_for") else { return };
    let host = TestHost::start().await;
    let descriptor = forge::descriptor("create-server", &["job", "ssh"]);
    let plugin = forge::described(forge::hostile(), &descriptor);
    let (status, added) = host.upload("accept_grants=true&replace_built_in=true", plugin).await;
    assert_eq!(status, 201, "{added}");
    let story = |mut client: std::process::Command, name: &str| {
        client.arg(format!("{}/mcp", host.url())).arg(host.token()).arg(name);
        told(client)
    };
    let (python, typescript) = tokio::join!(
        story(kit.patient(), "takes-150-python"),
        story(kit.node("patient.mjs"), "takes-150-node")
    );
    println!("{python}\n{typescript}");
    check(&python);
    check(&typescript);
    assert_eq!(host.get("/api/jobs").await.1["jobs"].as_array().map(Vec::len), Some(2));
    assert_eq!(host.get("/api/jobs?status=completed").await.1["jobs"][0]["error"], json!(null));
}
