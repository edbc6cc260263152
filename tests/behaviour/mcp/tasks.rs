//! Waits as tasks.

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
