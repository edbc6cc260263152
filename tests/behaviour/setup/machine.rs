//! A real machine: packages, Docker Engine, swarm and stacks, over a real SSH connection.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tests::host_process::TestHost;
use tests::lab::Lab;

use super::scripts::stacks;
use super::{idle_lines, said};

/// How long a step of a setup may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Waits until a job says a line, or begins a step, that has this in it.
async fn see(host: &TestHost, job: &str, wanted: &str) {
    let seeing = async {
        // A stream lasts a minute; the next one goes on behind it.
        let mut after = 0;
        loop {
            let mut events = host.events(job, after).await;
            while let Some(event) = events.next().await {
                after = event.id;
                let text = |field: &str| event.content[field].as_str().unwrap_or_default();
                if text("message").contains(wanted) || text("step") == wanted {
                    return true;
                }
                let is_over = ["completed", "failed", "cancelled", "uncertain"];
                if is_over.contains(&text("status")) {
                    return false;
                }
            }
        }
    };
    let seen = tokio::time::timeout(PATIENCE, seeing).await;
    assert_eq!(seen, Ok(true), "{job} never said `{wanted}`: {:#?}", said(host, job).await);
}

#[tokio::test]
async fn a_fresh_machine_becomes_a_swarm_node_though_its_host_is_killed_meanwhile() {
    let Some(lab) = Lab::shared("a_fresh_machine_becomes_a_swarm_node") else { return };
    let mut host = TestHost::start().await;
    let provider = json!({ "name": "docker", "endpoint": lab.socket(), "default": true });
    assert_eq!(host.post("/api/config/provider", provider).await.0, 200);
    let body = json!({ "name": "setup-1", "server_type": "medium", "region": "local" });
    let created = host.submit(Method::POST, "/api/servers", Some(body)).await;
    host.wait_for(&created, "completed").await;
    let machine = lab.find("windlass-setup-1").await.unwrap();

    let path = "/api/servers/setup-1/setup";
    let wanted = json!({ "ssl_email": "admin@example.com" });
    let first = host.submit(Method::POST, path, Some(wanted.clone())).await;
    see(&host, &first, "Install Docker").await;
    see(&host, &first, "Unpacking docker.io").await;
    host.crash();
    host.restart().await;
    see(&host, &first, "Initialize Swarm").await;
    let images = [stacks::TRAEFIK, stacks::PORTAINER, stacks::AGENT].map(|it| format!("'{it}'"));
    let build = include_str!("../../src/standins.sh");
    let built = machine.inside(&format!("set -- {}\n{build}", images.join(" "))).await.unwrap();
    see(&host, &first, "Configure DNS").await;
    let job = host.wait_for(&first, "completed").await;
    assert_eq!(job["result"]["changed"], true, "{built} {job}");
    let history = machine.inside("cat /var/log/apt/history.log").await.unwrap();
    let installs = history.lines().filter(|line| line.contains("install -y"));
    let docker = installs.filter(|line| line.contains("docker.io") || line.contains("docker-ce"));
    assert_eq!(docker.count(), 1, "{history}");
    let services = machine.inside("docker service ls --format '{{.Name}} {{.Replicas}}'").await;
    let mut services: Vec<String> = services.unwrap().lines().map(str::to_owned).collect();
    services.sort();
    assert_eq!(services, ["portainer_agent 1/1", "portainer_portainer 1/1", "traefik_traefik 1/1"]);

    let began = Instant::now();
    let second = host.submit(Method::POST, path, Some(wanted)).await;
    let job = host.wait_for(&second, "completed").await;
    let took = began.elapsed();
    let lines = said(&host, &second).await;
    println!("the second run took {took:?}");
    assert_eq!(job["result"]["changed"], false, "{lines:#?}");
    assert!(idle_lines(&host, &second).await >= 8, "{lines:#?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    lab.destroy("windlass-setup-1").await.unwrap();
}
