//! The whole way of a server: made through a plugin while the host is killed twice, used, deleted.
//! Once on the sandbox, once on a real machine behind a fake Hetzner.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tests::fake_hetzner::{self, FakeHetzner, Pace};
use tests::host_process::{Options, TestHost};
use tests::lab::Lab;

/// What a create does to the world, each once.
const ONCE: [&str; 4] =
    ["servers.ensure-ssh-key", "servers.create", "ssh.exec", "inventory.update-server"];

/// Waits until a job is in this step, and kills the host at once.
async fn kill_in_step(host: &mut TestHost, job: &str, step: &str) {
    let mut events = host.events(job, 0).await;
    loop {
        let event = events.next().await.unwrap_or_else(|| panic!("{job} ended before `{step}`"));
        if event.name == "step" && event.content["step"] == step {
            break;
        }
    }
    host.crash();
    host.restart().await;
}

async fn exec(host: &TestHost, command: &str) -> Value {
    let path = "/api/servers/web-1/exec";
    let (status, answer) = host.post(path, json!({ "command": command, "timeout": 60 })).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Create, kill, start, kill, start, use, delete.
async fn take_the_whole_way(host: &mut TestHost) -> Value {
    let job = host.create_server("web-1").await;
    kill_in_step(host, &job, "Create server").await;
    kill_in_step(host, &job, "Wait for boot").await;
    let made = host.wait_for(&job, "completed").await;
    assert_eq!(made["attempt"], 3, "{made:#}");
    assert_eq!(host.get("/api/servers/web-1").await.1["status"], "running");

    let uname = exec(host, "uname -a").await;
    assert_eq!((&uname["success"], &uname["exit_code"]), (&json!(true), &json!(0)), "{uname}");
    assert!(uname["stdout"].as_str().unwrap().starts_with("Linux "), "{uname}");
    let failing = exec(host, "echo no luck >&2; exit 3").await;
    assert_eq!((&failing["success"], &failing["exit_code"]), (&json!(false), &json!(3)));
    assert_eq!(failing["stderr"], "no luck\n");

    let journal = host.get(&format!("/api/jobs/{job}/journal")).await.1;
    let delete = host.submit(Method::DELETE, "/api/servers/web-1", None).await;
    host.wait_for(&delete, "completed").await;
    assert_eq!(host.get("/api/servers/web-1").await.0, 404);
    journal
}

/// The effects of a journal that were sent, each once.
fn sent(journal: &Value) -> Vec<&str> {
    let entries = journal["entries"].as_array().unwrap();
    let intents = entries.iter().filter(|entry| entry["kind"] == "intent");
    intents.map(|entry| entry["function"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_server_is_made_once_although_the_host_is_killed_twice_on_the_sandbox() {
    let environment = vec![("WINDLASS_SANDBOX_PACE".to_owned(), "realistic".to_owned())];
    let mut host = TestHost::start_with(Options { environment }).await;
    let journal = take_the_whole_way(&mut host).await;
    assert_eq!(sent(&journal), ONCE);
}

#[tokio::test]
async fn a_server_is_made_once_although_the_host_is_killed_twice_on_a_real_machine() {
    let Some(lab) = Lab::shared("the main job on a real machine") else { return };
    let (cloud, mut host) = FakeHetzner::with_host(fake_hetzner::Options {
        machines: Arc::new(lab),
        pace: Pace::Time(Duration::from_secs(2)),
        ..fake_hetzner::Options::default()
    })
    .await;

    let journal = take_the_whole_way(&mut host).await;

    assert_eq!(sent(&journal), ONCE);
    assert_eq!(cloud.servers_ever(), 1, "bought once");
    assert!(cloud.servers().is_empty() && cloud.key_names().is_empty(), "nothing is left");
}
