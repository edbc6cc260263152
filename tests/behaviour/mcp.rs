//! The door of agents, asked over HTTP by a client of our own and by those that others wrote.

mod apps;
mod calls;
mod clients;
mod conformance;
mod door;
mod list;
mod machine;
mod patience;
mod resources;
mod safety;
mod stdio;
mod tasks;
mod toolsets;
mod waits;

use serde_json::{Value, json};
use tests::agent::Agent;
use tests::fake_hetzner::{self, FakeHetzner};
use tests::host_process::{Options, TestHost};

/// What a server is made of on the sandbox.
fn wanted(name: &str) -> Value {
    json!({ "name": name, "server_type": "cx23", "region": "nbg1" })
}

/// A token of this scope.
async fn token(host: &TestHost, scope: &str) -> String {
    let body = json!({ "name": format!("a-{scope}"), "scope": scope });
    let (status, answer) = host.post("/api/tokens", body).await;
    assert_eq!(status, 201, "{answer}");
    answer["token"].as_str().expect("it is told once").to_owned()
}

/// A host that is told this.
async fn host_with(settings: &[(&str, &str)]) -> TestHost {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    TestHost::start_with(Options { environment: settings.iter().map(own).collect() }).await
}

/// A host with a job that goes on until somebody stops it: its machine never answers.
async fn host_with_endless_job() -> (TestHost, FakeHetzner, String) {
    host_with_endless_job_and("3").await
}

/// The same, where a wait takes so many seconds at most.
async fn host_with_endless_job_and(wait_cap: &str) -> (TestHost, FakeHetzner, String) {
    let cloud = FakeHetzner::start(fake_hetzner::Options::default()).await;
    let url = cloud.url();
    let host = host_with(&[("HCLOUD_ENDPOINT", &url), ("WINDLASS_MCP_WAIT_CAP", wait_cap)]).await;
    let config = json!({ "name": "hetzner", "token": cloud.token(), "default": true });
    assert_eq!(host.post("/api/config/provider", config).await.0, 200);
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "running").await;
    (host, cloud, job)
}

/// A server on the sandbox, made by an agent.
async fn make(agent: &Agent, name: &str) {
    let started = agent.does("criar-servidor", wanted(name)).await;
    let waited = agent.does("aguardar-job-completo", json!({ "job_id": started["job_id"] })).await;
    assert_eq!(waited["status"], "completed", "{waited:#}");
}
