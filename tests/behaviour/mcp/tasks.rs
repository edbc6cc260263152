//! Waits as tasks.

use std::time::Instant;

use serde_json::{Value, json};
use tests::agent::{Agent, Reply};
use tests::host_process::TestHost;

use super::{host_with_endless_job, token, wanted};

/// A wait as a task.
async fn begin(agent: &Agent, job: &str) -> Value {
    let task = agent.call("aguardar-job-completo", json!({ "job_id": job })).await;
    assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")));
    task["taskId"].clone()
}

async fn task(agent: &Agent, method: &str, id: &Value) -> Reply {
    agent.ask(method, json!({ "taskId": id, "inputResponses": {} })).await
}

#[tokio::test]
async fn a_client_that_polls_gets_a_task_that_ends_with_the_job() {
    let host = TestHost::start().await;
    let agent = Agent::of(&host).with_tasks();
    let started = agent.does("criar-servidor", wanted("web-1")).await;
    let job = started["job_id"].as_str().expect("an id");
    let id = begin(&agent, job).await;
    host.wait_for(job, "completed").await;
    let done = task(&agent, "tasks/get", &id).await.result();
    assert_eq!(done["status"], "completed", "{done:#}");
    assert_eq!(done["result"]["structuredContent"]["job_id"], job, "{done:#}");
    assert_eq!(done["result"]["isError"], false);
    assert_eq!(task(&agent, "tasks/cancel", &id).await.status, 200);
}

/// What the official suite's scenarios of tasks look at: names of fields, whole milliseconds, nothing
/// of the older revision, headers, and methods that there are no more.
#[tokio::test]
async fn tasks_look_on_the_wire_as_the_extension_has_them() {
    let (host, _cloud, job) = host_with_endless_job().await;
    let agent = Agent::of(&host).with_tasks();
    let begun = agent.call("aguardar-job-completo", json!({ "job_id": job })).await;
    let id = begun["taskId"].clone();
    let shown = task(&agent, "tasks/get", &id).await.result();
    assert_eq!(shown["resultType"], "complete", "{shown:#}");
    for seen in [&begun, &shown] {
        assert!(seen["pollIntervalMs"].is_u64(), "{seen:#}");
        let forever = seen.get("ttlMs").is_none_or(|it| it.is_null() || it.is_u64());
        assert!(forever && seen["createdAt"].is_string(), "{seen:#}");
        assert!(seen["lastUpdatedAt"].is_string(), "{seen:#}");
        for old in ["ttl", "pollInterval", "requestState", "result", "error"] {
            assert!(seen.get(old).is_none(), "{old}: {seen:#}");
        }
    }
    for gone in ["tasks/result", "tasks/list"] {
        let reply = task(&agent, gone, &id).await;
        assert_eq!((reply.status, reply.error().0), (404, -32_601), "{gone}: {reply:?}");
    }
    let message = agent.message("tasks/get", json!({ "taskId": id }));
    let wrong = agent.request(&message).header("Mcp-Name", "another").send().await;
    let wrong = Reply::read(wrong.expect("the host answers"), Instant::now()).await;
    assert_eq!((wrong.status, wrong.error().0), (400, -32_020), "{wrong:?}");
    // A wait asks nobody anything: what is said to it is taken and changes nothing.
    assert_eq!(task(&agent, "tasks/update", &id).await.status, 200);
    assert_eq!(task(&agent, "tasks/get", &id).await.result()["status"], "working");
}

#[tokio::test]
async fn cancelling_a_wait_leaves_the_job_running() {
    let (host, _cloud, job) = host_with_endless_job().await;
    let agent = Agent::of(&host).with_tasks();
    let id = begin(&agent, &job).await;
    let working = task(&agent, "tasks/get", &id).await.result();
    assert_eq!(working["status"], "working", "{working:#}");
    assert!(working["statusMessage"].as_str().expect("words").contains('%'));
    assert_eq!(task(&agent, "tasks/cancel", &id).await.status, 200);
    assert_eq!(task(&agent, "tasks/get", &id).await.result()["status"], "cancelled");
    let (_, shown) = host.get(&format!("/api/jobs/{job}")).await;
    assert_eq!((&shown["status"], &shown["cancel_requested"]), (&json!("running"), &json!(false)));
}

#[tokio::test]
async fn a_wait_outlives_the_host_that_gave_it() {
    let (mut host, _cloud, job) = host_with_endless_job().await;
    let id = begin(&Agent::of(&host).with_tasks(), &job).await;
    host.crash();
    host.restart().await;
    let agent = Agent::of(&host).with_tasks();
    assert_eq!(task(&agent, "tasks/get", &id).await.result()["status"], "working");
    host.delete(&format!("/api/jobs/{job}")).await;
    host.wait_for(&job, "cancelled").await;
    let done = task(&agent, "tasks/get", &id).await.result();
    assert_eq!((&done["status"], &done["result"]["isError"]), (&json!("completed"), &json!(true)));
}

#[tokio::test]
async fn tasks_are_only_for_those_who_declared_them_and_only_their_own() {
    let (host, _cloud, job) = host_with_endless_job().await;
    let agent = Agent::of(&host).with_tasks();
    let id = begin(&agent, &job).await;
    let undeclared = task(&Agent::of(&host), "tasks/get", &id).await;
    assert_eq!((undeclared.status, undeclared.error().0), (400, -32_021), "{undeclared:?}");
    let other = agent.clone().with_token(&token(&host, "read").await);
    assert_eq!(task(&other, "tasks/get", &id).await.error().0, -32_602);
    let forged = format!("{}x", id.as_str().expect("text"));
    assert_eq!(task(&agent, "tasks/get", &json!(forged)).await.error().0, -32_602);
    assert_eq!(task(&agent, "tasks/cancel", &json!("wait_none")).await.error().0, -32_602);
}
