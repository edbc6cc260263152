//! Resources, prompts and completion.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::agent::{Agent, Stream, Wire};
use tests::host_process::TestHost;

use super::{host_with, make, wanted};

async fn read(agent: &Agent, uri: &str) -> Value {
    let contents = agent.ask("resources/read", json!({ "uri": uri })).await.result();
    contents["contents"][0].clone()
}

#[tokio::test]
async fn jobs_logs_and_servers_can_be_read() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host);
    make(&agent, "web-1").await;
    let list = agent.ask("resources/list", json!({})).await.result();
    let job = list["resources"][0]["uri"].as_str().expect("a job").to_owned();
    let shown = read(&agent, &job).await["text"].as_str().expect("text").to_owned();
    let shown: Value = serde_json::from_str(&shown).expect("a job is JSON");
    assert_eq!(shown["type"], "create_server");
    let log = read(&agent, &format!("{job}/log")).await;
    assert_eq!(log["mimeType"], "text/plain");
    assert!(log["text"].as_str().expect("text").contains(" info "), "{log:#}");
    let server = read(&agent, "server://web-1").await;
    assert!(server["text"].as_str().expect("text").contains("cx23"), "{server:#}");
    let templates = agent.ask("resources/templates/list", json!({})).await.result();
    assert!(templates.to_string().contains("job://{job_id}/log"), "{templates:#}");
}

#[tokio::test]
async fn a_resource_that_there_is_not_is_told_by_its_uri() {
    let host = TestHost::start().await;
    for (wire, code) in [(Wire::Legacy, -32_002), (Wire::Modern, -32_602)] {
        let agent = Agent::of(&host).on(wire);
        for uri in ["job://job_20250110_150000_a1b2c3", "server://none", "file:///etc/passwd"] {
            let reply = agent.ask("resources/read", json!({ "uri": uri })).await;
            assert_eq!(reply.error().0, code, "{reply:?}");
            assert_eq!(reply.answer()["error"]["data"]["uri"], uri);
        }
    }
}

#[tokio::test]
async fn who_listens_to_a_log_is_told_of_new_lines_until_the_host_ends() {
    let mut host = host_with(&[("WINDLASS_SANDBOX_PACE", "realistic")]).await;
    let agent = Agent::of(&host);
    let started = agent.does("criar-servidor", wanted("web-1")).await;
    let uri = started["log_uri"].clone();
    let wanted = json!({ "notifications": { "resourceSubscriptions": [uri] } });
    let response = agent.send(&agent.message("subscriptions/listen", wanted)).await;
    let mut stream = Stream::new(response, Instant::now());
    let (_, first) = stream.next().await.expect("it is acknowledged");
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first:#}");
    let (at, update) = stream.next().await.expect("something happens");
    assert_eq!(update["method"], "notifications/resources/updated", "{update:#}");
    assert_eq!(update["params"]["uri"], uri);
    let (later, _) = stream.next().await.expect("and goes on");
    assert!(later - at >= Duration::from_millis(900), "{at:?} {later:?}");
    let (ended, rest) = tokio::join!(host.terminate(), async {
        let mut rest = Vec::new();
        while let Some((_, message)) = stream.next().await {
            rest.push(message);
        }
        rest
    });
    assert!(ended.success());
    assert!(rest.iter().all(|message| message["error"].is_null()), "{rest:#?}");
}

#[tokio::test]
async fn prompts_are_written_and_completed() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host);
    make(&agent, "web-1").await;
    let list = agent.ask("prompts/list", json!({})).await.result();
    assert_eq!(list["prompts"][0]["name"], "provisionar-servidor", "{list:#}");
    let arguments = json!({ "name": "provisionar-servidor", "arguments": { "name": "web-2" } });
    let prompt = agent.ask("prompts/get", arguments).await.result();
    let text = prompt["messages"][0]["content"]["text"].as_str().expect("text");
    assert!(text.contains("`web-2`") && text.contains("criar-servidor"), "{text}");
    let missing = agent.ask("prompts/get", json!({ "name": "diagnosticar-job" })).await;
    assert_eq!(missing.error().0, -32_602);
    let wanted = json!({ "ref": { "type": "ref/prompt", "name": "provisionar-servidor" },
                         "argument": { "name": "name", "value": "we" } });
    let completed = agent.ask("completion/complete", wanted).await.result();
    assert_eq!(completed["completion"]["values"], json!(["web-1"]), "{completed:#}");
}
