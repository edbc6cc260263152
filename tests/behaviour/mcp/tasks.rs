//! Waits as tasks.

use std::time::Instant;

use serde_json::{Value, json};
use tests::agent::{Agent, Reply};
use tests::fake_hetzner::{self, FakeHetzner};
use tests::host_process::TestHost;

use super::{host_with, host_with_endless_job, token, wanted};

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
async fn a_cancelled_wait_stays_cancelled_when_the_host_is_killed_and_starts_again() {
    let (mut host, _cloud, job) = host_with_endless_job().await;
    let agent = Agent::of(&host).with_tasks();
    let (ended, kept) = (begin(&agent, &job).await, begin(&agent, &job).await);
    assert_eq!(task(&agent, "tasks/cancel", &ended).await.status, 200);
    // The answer is the promise: what comes after it may be a power cut.
    host.crash();
    host.restart().await;
    let agent = Agent::of(&host).with_tasks();
    assert_eq!(task(&agent, "tasks/get", &ended).await.result()["status"], "cancelled");
    assert_eq!(task(&agent, "tasks/get", &kept).await.result()["status"], "working");
    host.delete(&format!("/api/jobs/{job}")).await;
    host.wait_for(&job, "cancelled").await;
    // What was cancelled does not complete any more, and what completed is not cancelled any more.
    assert_eq!(task(&agent, "tasks/get", &ended).await.result()["status"], "cancelled");
    assert_eq!(task(&agent, "tasks/cancel", &kept).await.status, 200);
    assert_eq!(task(&agent, "tasks/get", &kept).await.result()["status"], "completed");
    let (status, _) = host.delete("/api/jobs?older_than=0m&status=cancelled").await;
    assert!(status < 300, "old jobs can be removed");
    assert_eq!(task(&agent, "tasks/get", &ended).await.error().0, -32_602);
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

/// A host that gives out tasks in this way, with a cloud whose machines never answer.
async fn host_with_tasks(mode: &str) -> (TestHost, FakeHetzner) {
    let cloud = FakeHetzner::start(fake_hetzner::Options::default()).await;
    let url = cloud.url();
    let settings = [("HCLOUD_ENDPOINT", &*url), ("WINDLASS_MCP_TASKS", mode)];
    let host = host_with(&settings).await;
    let config = json!({ "name": "hetzner", "token": cloud.token() });
    assert_eq!(host.post("/api/config/provider", config).await.0, 200);
    (host, cloud)
}

fn on_hetzner(name: &str) -> Value {
    let mut wanted = wanted(name);
    wanted["provider"] = json!("hetzner");
    wanted
}

/// A job started as a task.
async fn start(agent: &Agent, arguments: Value) -> Value {
    let task = agent.call("criar-servidor", arguments).await;
    assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")));
    task
}

#[tokio::test]
async fn where_jobs_are_tasks_cancelling_the_task_cancels_the_job() {
    let (host, _cloud) = host_with_tasks("all").await;
    let agent = Agent::of(&host).with_tasks();
    let begun = start(&agent, on_hetzner("web-1")).await;
    let words = begun["statusMessage"].as_str().expect("it says which job it is");
    let job = words.split(':').next().expect("the job comes first").to_owned();
    host.wait_for(&job, "running").await;
    // The same asked twice is one job, and each task of it is the job.
    let again = start(&agent, on_hetzner("web-1")).await;
    assert_eq!(host.get("/api/jobs").await.1["jobs"].as_array().map(Vec::len), Some(1));
    assert_eq!(task(&agent, "tasks/cancel", &begun["taskId"]).await.status, 200);
    host.wait_for(&job, "cancelled").await;
    for id in [&begun["taskId"], &again["taskId"]] {
        let ended = task(&agent, "tasks/get", id).await.result();
        assert_eq!((&ended["status"], ended.get("result")), (&json!("cancelled"), None));
        assert_eq!(task(&agent, "tasks/cancel", id).await.status, 200);
    }
}

#[tokio::test]
async fn where_jobs_are_tasks_a_task_ends_with_what_the_job_gave() {
    let (host, _cloud) = host_with_tasks("all").await;
    let agent = Agent::of(&host).with_tasks();
    let mut wanted = wanted("web-1");
    wanted["provider"] = json!("sandbox");
    let begun = start(&agent, wanted.clone()).await;
    let job = host.get("/api/jobs").await.1["jobs"][0]["job_id"].as_str().unwrap().to_owned();
    host.wait_for(&job, "completed").await;
    let ended = task(&agent, "tasks/get", &begun["taskId"]).await.result();
    assert_eq!(
        (&ended["status"], &ended["result"]["isError"]),
        (&json!("completed"), &json!(false))
    );
    assert_eq!(ended["result"]["structuredContent"]["job_id"], job, "{ended:#}");
    // Waits are tasks too, and who polls none is answered as ever.
    begin(&agent, &job).await;
    wanted["name"] = json!("web-2");
    let plain = Agent::of(&host).does("criar-servidor", wanted).await;
    assert!(plain["job_id"].is_string(), "{plain:#}");
    // What only tells, and what asks first, is no task.
    let plan = json!({ "name": "web-1", "plan": true });
    assert_eq!(agent.does("destruir-servidor", plan).await["status"], "planned");
    let asking = agent.clone().able(json!({ "elicitation": { "form": {} },
        "extensions": { "io.modelcontextprotocol/tasks": {} } }));
    let asked = asking.call("destruir-servidor", json!({ "name": "web-1" })).await;
    assert_eq!(asked["resultType"], "input_required", "{asked:#}");
    let params = json!({ "name": "destruir-servidor", "arguments": { "name": "web-1" },
        "requestState": asked["requestState"],
        "inputResponses": { "confirm": { "action": "accept", "content": { "name": "web-1" } } } });
    let destroyed = asking.ask("tools/call", params).await.result();
    assert_eq!(destroyed["resultType"], "task", "{destroyed:#}");
}

#[tokio::test]
async fn a_job_is_not_cancelled_through_its_task_by_who_may_only_look_now() {
    let (host, _cloud) = host_with_tasks("all").await;
    let agent = Agent::of(&host).with_tasks();
    let begun = start(&agent, on_hetzner("web-1")).await;
    let job = host.get("/api/jobs").await.1["jobs"][0]["job_id"].as_str().unwrap().to_owned();
    host.wait_for(&job, "running").await;
    let shy = agent.clone().with_header("X-MCP-Readonly", "1");
    let refused = task(&shy, "tasks/cancel", &begun["taskId"]).await;
    assert!(refused.error().1.contains("leitura"), "{refused:?}");
    assert_eq!(task(&shy, "tasks/get", &begun["taskId"]).await.result()["status"], "working");
    let (_, shown) = host.get(&format!("/api/jobs/{job}")).await;
    assert_eq!(shown["cancel_requested"], false, "{shown:#}");
}

#[tokio::test]
async fn where_tasks_are_off_nobody_gets_one() {
    let (host, _cloud) = host_with_tasks("off").await;
    let agent = Agent::of(&host).with_tasks();
    let found = agent.ask("server/discover", json!({})).await.result();
    let extensions = &found["capabilities"]["extensions"];
    assert!(extensions.get("io.modelcontextprotocol/tasks").is_none(), "{found:#}");
    let mut wanted = wanted("web-1");
    wanted["provider"] = json!("sandbox");
    let job = agent.does("criar-servidor", wanted).await;
    let waited = agent.does("aguardar-job-completo", json!({ "job_id": job["job_id"] })).await;
    assert_eq!(waited["status"], "completed", "{waited:#}");
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        let reply = task(&agent, method, &json!("wait_x")).await;
        assert_eq!((reply.status, reply.error().0), (404, -32_601), "{method}: {reply:?}");
    }
}
