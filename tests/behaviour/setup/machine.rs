//! A real machine: packages, Docker Engine, swarm and stacks, over a real SSH connection.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tests::commands::{self, Sent};
use tests::host_process::TestHost;
use tests::lab::{Lab, Machine};

use super::scripts::stacks;
use super::{idle_lines, said};

/// How long a step of a setup may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Waits until a job says a line, or begins a step, that has this in it.
pub(crate) async fn see(host: &TestHost, job: &str, wanted: &str) {
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

/// Builds what cannot be pulled here.
pub(super) async fn build_images(machine: &Machine) -> String {
    let images = [stacks::TRAEFIK, stacks::PORTAINER, stacks::AGENT].map(|it| format!("'{it}'"));
    let build = include_str!("../../src/standins.sh");
    machine.inside(&format!("set -- {}\n{build}", images.join(" "))).await.unwrap()
}

/// How often the machine was asked by apt-get to install Docker.
pub(super) async fn docker_installs(machine: &Machine) -> usize {
    let history = machine.inside("cat /var/log/apt/history.log").await.unwrap();
    let installs = history.lines().filter(|line| line.contains("install -y"));
    installs.filter(|line| line.contains("docker.io") || line.contains("docker-ce")).count()
}

/// A host and a machine on the lab's engine that it made.
pub(super) async fn host_and_machine(lab: &Lab, name: &str) -> (TestHost, Machine) {
    let host = TestHost::start().await;
    let provider = json!({ "name": "docker", "endpoint": lab.socket(), "default": true });
    assert_eq!(host.post("/api/config/provider", provider).await.0, 200);
    let body = json!({ "name": name, "server_type": "medium", "region": "local" });
    let created = host.submit(Method::POST, "/api/servers", Some(body)).await;
    host.wait_for(&created, "completed").await;
    let machine = lab.find(&format!("windlass-{name}")).await.unwrap();
    (host, machine)
}

/// Both stacks run, and nothing else does. An engine that was restarted a moment ago is given the
/// time to start its containers again.
pub(super) async fn check_services(machine: &Machine) {
    let wanted = "portainer_agent 1/1\nportainer_portainer 1/1\ntraefik_traefik 1/1";
    let look = format!(
        "for turn in $(seq 300); do \
           there=$(docker service ls --format '{{{{.Name}}}} {{{{.Replicas}}}}' | sort); \
           [ \"$there\" != '{wanted}' ] || break; sleep 0.2; \
         done; echo \"$there\""
    );
    assert_eq!(machine.inside(&look).await.unwrap().trim(), wanted);
}

/// Each command has one intent, one receipt and one end, and no two are the same.
pub(super) async fn check_ran_once(host: &TestHost, job: &str) -> Vec<Sent> {
    let commands = commands::sent(host, job).await;
    let mut receipts: Vec<&str> = commands.iter().map(|it| it.receipt.as_str()).collect();
    let mut texts: Vec<&str> = commands.iter().map(|it| it.sha256.as_str()).collect();
    for list in [&mut receipts, &mut texts] {
        list.sort_unstable();
        let all = list.len();
        list.dedup();
        assert_eq!(list.len(), all, "something ran twice");
    }
    assert!(commands.iter().all(|it| it.exit_code == Some(0)), "{commands:#?}");
    commands
}

#[tokio::test]
async fn a_fresh_machine_becomes_a_swarm_node_though_its_host_is_killed_meanwhile() {
    let Some(lab) = Lab::shared("a_fresh_machine_becomes_a_swarm_node") else { return };
    let (mut host, machine) = host_and_machine(lab, "setup-1").await;
    let path = "/api/servers/setup-1/setup";
    let wanted = json!({ "ssl_email": "admin@example.com" });
    let began = Instant::now();
    let first = host.submit(Method::POST, path, Some(wanted.clone())).await;
    see(&host, &first, "Install Docker").await;
    see(&host, &first, "Unpacking docker.io").await;
    host.crash();
    host.restart().await;
    see(&host, &first, "Initialize Swarm").await;
    let built = build_images(&machine).await;
    see(&host, &first, "Configure DNS").await;
    let job = host.wait_for(&first, "completed").await;
    println!("the first run took {:?}:", began.elapsed());
    said(&host, &first).await.iter().for_each(|line| println!("  {line}"));
    assert_eq!(job["result"]["changed"], true, "{built} {job}");
    assert_eq!(docker_installs(&machine).await, 1);
    assert!(check_ran_once(&host, &first).await.len() >= 8);
    let (_, shown) = host.get(&format!("/api/jobs/{first}/logs?tail=10000&level=info")).await;
    assert!(!shown.to_string().contains("\"fact "), "facts are for the plugin");
    check_services(&machine).await;

    let began = Instant::now();
    let second = host.submit(Method::POST, path, Some(wanted)).await;
    let job = host.wait_for(&second, "completed").await;
    let took = began.elapsed();
    let lines = said(&host, &second).await;
    println!("the second run took {took:?}");
    assert_eq!(job["result"]["changed"], false, "{lines:#?}");
    assert!(idle_lines(&host, &second).await >= 8, "{lines:#?}");
    // Under 15 s on a machine with nothing else to do; what is printed is the figure.
    assert!(took < Duration::from_secs(90), "{took:?}");
    lab.destroy("windlass-setup-1").await.unwrap();
}
