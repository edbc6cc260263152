//! The stack policy at the door of the engine, and that the engine reads what was judged.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::bench::{AppJob, Bench};
use windlass::effects::stacks::Deploy;
use windlass::model::failure::Failure;
use windlass::stacks::compose;

const SHOP: &str = r#"
x-limits: &limits { resources: { limits: { memory: 64M, cpus: "0.5" } } }
services:
  web:
    image: shop:1.2
    environment: [A=1, "B=${GIVEN}", "C=$$HOME"]
    command: ["serve", "--on", "yes", "022", "on", 12:30:00]
    networks: [shared]
    volumes: ["files:/data:ro"]
    deploy:
      <<: *limits
      labels:
        traefik.enable: "true"
        traefik.http.routers.shop.rule: Host(`shop.example.com`)
networks: { shared: { external: true, name: livchat_network } }
volumes: { files: {} }
"#;

async fn deploy(job: &AppJob, stack: &str, text: &str) -> Result<(), Failure> {
    let effect = Deploy {
        server: "web-1".parse().unwrap(),
        name: stack.parse().unwrap(),
        compose: text.to_owned(),
        environment: vec![("GIVEN".to_owned(), "it's".to_owned())],
    };
    job.perform(&effect).await
}

#[tokio::test]
async fn an_apps_stack_is_judged_before_the_engine_sees_it() {
    let bench = Bench::simulated().await;
    let job = bench.app_job("shop", &[], false).await;
    for (change, with, said) in [
        ("shop:1.2", "shop", "image"),
        ("files:/data:ro", "/etc:/data:ro", "`host-path:/etc:ro`"),
        ("shop.example.com", "bank.example.com", "its own are shop.example.com"),
        ("livchat_network", "bank_default", "`livchat_network`"),
        ("networks: [shared]", "networks: [shared]\n    privileged: true", "`privileged`"),
        ("  web:\n", "  web: {}\n  web:\n", "no YAML"),
    ] {
        let failure = deploy(&job, "shop", &SHOP.replace(change, with)).await.unwrap_err();
        assert_eq!(failure.code, "stack_refused", "{with}: {}", failure.message);
        assert!(failure.message.contains(said), "{with}: {}", failure.message);
    }
    let failure = deploy(&job, "bank", SHOP).await.unwrap_err();
    assert_eq!(failure.code, "access_denied", "{}", failure.message);
    // What is let through comes as far as the engine, which this server does not have.
    let failure = deploy(&job, "shop", SHOP).await.unwrap_err();
    assert_eq!(failure.code, "stack_failed", "{}", failure.message);
}

/// What the engine's own program makes of a Compose file.
fn resolved(text: &str) -> Option<Value> {
    let mut config = Command::new("docker")
        .args(["stack", "config", "-c", "-"])
        .env("GIVEN", "it's")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    config.stdin.take()?.write_all(text.as_bytes()).unwrap();
    let output = config.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}\n{text}");
    Some(compose::tree(&String::from_utf8(output.stdout).unwrap()).unwrap())
}

#[test]
fn the_engine_reads_what_was_judged() {
    if Command::new("docker").arg("--version").output().is_err() {
        return tests::lab::skip("the_engine_reads_what_was_judged", "docker is not installed");
    }
    let tree = compose::tree(SHOP).unwrap();
    let read = resolved(&compose::normal(&tree)).unwrap();
    let web = |tree: &Value, place: &str| tree.pointer(&format!("/services/web{place}")).cloned();
    assert_eq!(web(&read, "/image"), web(&tree, "/image"));
    assert_eq!(web(&read, "/privileged"), None);
    assert_eq!(read.pointer("/services").unwrap().as_object().unwrap().len(), 1);
    let label = "/deploy/labels/traefik.http.routers.shop.rule";
    assert_eq!(web(&read, label), web(&tree, label));
    let command = web(&tree, "/command").unwrap();
    let words = |value: &Value| {
        let text = |it: &Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
        value.as_array().unwrap().iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(words(&web(&read, "/command").unwrap()), words(&command));
    let mounts = web(&read, "/volumes").unwrap();
    assert_eq!(mounts.pointer("/0/type").unwrap(), "volume");
    assert_eq!(mounts.pointer("/0/source").unwrap(), "files");
    assert_eq!(mounts.pointer("/0/read_only").unwrap(), true);
    assert_eq!(web(&read, "/environment/C").unwrap(), "$HOME");
    assert_eq!(web(&read, "/environment/B").unwrap(), "it's");
    assert_eq!(read.pointer("/networks/shared/name").unwrap(), "livchat_network");
}
