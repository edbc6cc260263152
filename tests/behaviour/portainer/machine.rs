//! A real machine, set up whole, with a Portainer that really deploys and whose port is closed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tests::host_process::TestHost;
use tests::lab::{Lab, Machine};
use tests::workshop::{Workshop, code, result};
use windlass::model::job::JobRecord;

use crate::setup::machine::see;
use crate::setup::scripts::stacks;

const SERVER: &str = "ptn-1";
/// Where the volumes of Portainer and of the app are on the machine.
const VOLUMES: &str = "/var/lib/docker/volumes";
/// How long anything on the machine may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// The stack of an app, which prints what it was told when it is asked.
fn app(stack: &str, version: &str) -> Value {
    let image = stacks::AGENT;
    let compose = format!(
        "version: \"3.8\"\nservices:\n  web:\n    image: {image}\n    entrypoint: [/bin/sleep, infinity]\n    \
         environment:\n      VERSION: \"{version}\"\n      PASSWORD: ${{PASSWORD}}\n      \
         INLINE: \"THE_PASSWORD\"\n    volumes: [\"data:/data\"]\n    stop_grace_period: 1s\n\
         volumes:\n  data: {{}}\n"
    );
    json!({ "stack": stack, "compose": compose })
}

/// A machine with Portainer, and a workshop that deploys to it.
struct Scene {
    machine: Machine,
    host: TestHost,
    workshop: Option<Workshop>,
}

impl Scene {
    /// Sets a fresh machine up through the door of a real host.
    async fn set_up(lab: &Lab) -> Self {
        let mut host = TestHost::start().await;
        let provider = json!({ "name": "docker", "endpoint": lab.socket(), "default": true });
        assert_eq!(host.post("/api/config/provider", provider).await.0, 200);
        let body = json!({ "name": SERVER, "server_type": "medium", "region": "local" });
        let created = host.submit(Method::POST, "/api/servers", Some(body)).await;
        host.wait_for(&created, "completed").await;
        let machine = lab.find(&format!("windlass-{SERVER}")).await.unwrap();
        let wanted = json!({ "ssl_email": "a@example.com", "zone_name": "example.com" });
        let path = format!("/api/servers/{SERVER}/setup");
        let setup = host.submit(Method::POST, &path, Some(wanted)).await;
        until(&machine, "docker info --format '{{.Swarm.LocalNodeState}}' | grep -qx active").await;
        build_images(&machine).await;
        see(&host, &setup, "Configure DNS").await;
        let job = host.wait_for(&setup, "completed").await;
        assert_eq!(job["result"]["portainer_url"], "https://ptn.example.com");
        host.terminate().await;
        let workshop = Some(Workshop::open_in(&host.home()).await);
        Self { machine, host, workshop }
    }

    fn workshop(&self) -> &Workshop {
        self.workshop.as_ref().unwrap()
    }

    async fn run(&self, how: &str, what: Value) -> JobRecord {
        let id = self.workshop().submit_with(SERVER, how, what).await;
        self.workshop().finished(&id).await
    }

    async fn deploys(&self, what: Value) -> JobRecord {
        let job = self.run("deploys-a-stack", what).await;
        assert_eq!(result(&job)["status"], "healthy", "{job:#?}");
        job
    }

    async fn inside(&self, command: &str) -> String {
        self.machine.inside(command).await.unwrap().trim().to_owned()
    }

    /// The calls that Portainer got since this was asked last, but for signing in and looking.
    async fn orders(&self) -> Vec<String> {
        let calls = format!("{VOLUMES}/portainer_data/_data/calls");
        let told = self.inside(&format!("cat {calls}; : > {calls}")).await;
        let orders = told.lines().filter(|line| !line.ends_with(" began"));
        let orders = orders.filter(|line| !line.starts_with("GET ") && !line.contains("/auth"));
        orders.map(str::to_owned).collect()
    }

    /// A container of the app, by its id, with its variables.
    async fn container(&self, stack: &str) -> (String, String) {
        let filter = format!("label=com.docker.swarm.service.name={stack}_web");
        let id = self.inside(&format!("docker ps -q --filter {filter}")).await;
        let shown = self.inside(&format!("docker inspect -f '{{{{.Config.Env}}}}' {id}")).await;
        (id, shown)
    }

    async fn has_volume(&self, stack: &str) -> bool {
        self.inside("docker volume ls -q").await.lines().any(|it| it == format!("{stack}_data"))
    }

    /// What steers the stand-in, or nothing any more.
    async fn steer(&self, file: &str, content: Option<&str>) {
        let path = format!("{VOLUMES}/portainer_data/_data/{file}");
        let command = content.map_or_else(
            || format!("rm -f {path}"),
            |content| format!("printf '%s' '{content}' > {path}"),
        );
        self.inside(&command).await;
    }
}

async fn until(machine: &Machine, condition: &str) {
    let command = format!("until {{ {condition}; }} 2>/dev/null; do sleep 0.2; done; echo there");
    let waited = tokio::time::timeout(PATIENCE, machine.inside(&command)).await;
    let said = waited.unwrap_or_else(|_| panic!("never: {condition}")).unwrap();
    assert!(said.contains("there"), "{said}");
}

/// Images that cannot be pulled here; Portainer's and its agent's do what these do.
async fn build_images(machine: &Machine) {
    let program = include_str!("../../src/lab/portainer.py");
    machine
        .inside(&format!("cat > /root/portainer.py <<'PROGRAM'\n{program}\nPROGRAM"))
        .await
        .unwrap();
    let (traefik, portainer, agent) = (stacks::TRAEFIK, stacks::PORTAINER, stacks::AGENT);
    let simple = include_str!("../../src/standins.sh");
    let real = include_str!("../../src/lab/portainer.sh");
    for script in [
        format!("set -- '{traefik}' 'unused:1' 'unused:2'\n{simple}"),
        format!("set -- '{portainer}' '{agent}'\n{real}\necho built"),
    ] {
        let said = machine.inside(&script).await.unwrap();
        println!("{said}");
    }
}

#[tokio::test]
async fn stacks_go_through_portainer_whose_port_is_closed() {
    let Some(lab) = Lab::shared("stacks_go_through_portainer_whose_port_is_closed") else { return };
    let mut scene = Scene::set_up(lab).await;
    assert!(std::net::TcpStream::connect((scene.machine.ip, 9443)).is_err(), "9443 is open");
    makes_updates_and_leaves_alone(&scene).await;
    removes_with_and_without_data(&scene).await;
    keeps_to_what_made_a_stack(&scene).await;
    says_what_is_wrong(&scene).await;
    makes_one_stack_though_its_host_is_killed(&mut scene).await;
    scene.workshop.take().unwrap().stop().await;
    lab.destroy(&format!("windlass-{SERVER}")).await.unwrap();
}

async fn makes_updates_and_leaves_alone(scene: &Scene) {
    let first = scene.deploys(app("shop", "1")).await;
    assert_eq!(scene.orders().await, ["POST /api/stacks/create/swarm/string 200"]);
    let (one, variables) = scene.container("shop").await;
    let password = variables.split("PASSWORD=").nth(1).unwrap().split([' ', ']']).next().unwrap();
    assert!(
        password.len() == 32 && variables.contains(&format!("INLINE={password}")),
        "{variables}"
    );
    let log = scene.workshop().log(&first.id).await;
    assert!(log.contains(&"Portainer made the stack `shop`".to_owned()), "{log:?}");

    let again = scene.deploys(app("shop", "1")).await;
    assert_eq!(scene.container("shop").await.0, one, "the same again started a new container");
    assert_eq!(result(&again)["properties"], result(&first)["properties"]);
    scene.deploys(app("shop", "2")).await;
    assert_eq!(scene.orders().await, ["PUT /api/stacks/1 200", "PUT /api/stacks/1 200"]);
    let (two, variables) = scene.container("shop").await;
    assert!(two != one && variables.contains("VERSION=2"), "{variables}");
}

async fn removes_with_and_without_data(scene: &Scene) {
    let removed = scene.run("removes-a-stack", json!({ "stack": "shop" })).await;
    assert_eq!(result(&removed)["status"], "absent");
    assert_eq!(scene.orders().await, ["DELETE /api/stacks/1 204"]);
    assert!(scene.has_volume("shop").await);
    scene.deploys(app("shop", "1")).await;
    let what = json!({ "stack": "shop", "delete_data": true });
    result(&scene.run("removes-a-stack", what.clone()).await);
    assert!(!scene.has_volume("shop").await);
    assert_eq!(result(&scene.run("removes-a-stack", what).await)["status"], "absent");
    let orders = ["POST /api/stacks/create/swarm/string 200", "DELETE /api/stacks/2 204"];
    assert_eq!(scene.orders().await, orders);
}

/// A stack that somebody deployed by hand goes on by `docker stack deploy`, with Portainer or
/// without.
async fn keeps_to_what_made_a_stack(scene: &Scene) {
    let image = stacks::AGENT;
    let compose = format!(
        "{{version: \"3.8\", services: {{web: {{image: \"{image}\", entrypoint: [/bin/sleep, \"99\"]}}}}}}"
    );
    scene.inside(&format!("echo '{compose}' | docker stack deploy -c - byhand 2>&1")).await;
    scene.deploys(app("byhand", "1")).await;
    scene.inside("docker service scale -d portainer_portainer=0").await;
    until(&scene.machine, "! docker ps | grep -q portainer_portainer").await;
    scene.deploys(app("byhand", "2")).await;
    assert!(scene.container("byhand").await.1.contains("VERSION=2"));
    let job = scene.run("deploys-a-stack", app("shop", "1")).await;
    assert_eq!(code(&job), "portainer_unavailable", "{job:#?}");
    scene.inside("docker service scale -d portainer_portainer=1").await;
    result(&scene.run("removes-a-stack", json!({ "stack": "byhand" })).await);
    assert_eq!(scene.orders().await, Vec::<String>::new());
}

async fn says_what_is_wrong(scene: &Scene) {
    until(&scene.machine, "docker ps | grep -q portainer_portainer").await;
    scene.steer("password", Some("somebody changed it")).await;
    let state = format!("{VOLUMES}/portainer_data/_data/state");
    scene.inside(&format!("sed -i 's/\"tokens\": .[^]]*./\"tokens\": []/' {state}")).await;
    let job = scene.run("deploys-a-stack", app("shop", "1")).await;
    assert_eq!(code(&job), "portainer_refused", "{job:#?}");
    scene.steer("password", None).await;

    let broken = json!({ "stack": "shop", "compose": "{version: '3.8', services: {web: {image: 'a:1', ports: {}}}}" });
    let job = scene.run("deploys-a-stack", broken).await;
    let failure = job.failure.unwrap();
    assert_eq!(failure.code, "stack_failed", "{failure:#?}");
    assert!(failure.message.starts_with("Portainer cannot deploy the stack `shop` (HTTP 500): "));
    assert!(failure.message.contains("ports"), "{failure:#?}");
    scene.orders().await;
}

/// The host dies while Portainer makes the stack, which goes on with that.
async fn makes_one_stack_though_its_host_is_killed(scene: &mut Scene) {
    scene.steer("hold", Some("")).await;
    scene.workshop.take().unwrap().stop().await;
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("workshop-under-test");
    let mut child = Command::new(program)
        .arg(scene.host.home())
        .args([SERVER, "deploys-a-stack", &app("shop", "1").to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut id = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut id).unwrap();
    let calls = format!("{VOLUMES}/portainer_data/_data/calls");
    until(&scene.machine, &format!("grep -q 'POST /api/stacks/create.* began' {calls}")).await;
    child.kill().unwrap();
    child.wait().unwrap();

    scene.workshop = Some(Workshop::open_in(&scene.host.home()).await);
    let job = id.trim().parse().unwrap();
    let waits = "Portainer was told to make the stack `shop` and its answer was not taken: waiting \
                 whether it goes on";
    scene.workshop().says(&job, waits).await;
    scene.steer("hold", None).await;
    let job = scene.workshop().finished(&job).await;
    assert_eq!(result(&job)["status"], "healthy", "{job:#?}");
    let orders = scene.orders().await;
    let made = orders.iter().filter(|it| it.starts_with("POST ")).collect::<Vec<_>>();
    assert_eq!(made, ["POST /api/stacks/create/swarm/string 200"], "{orders:?}");
    let state = scene.inside(&format!("cat {VOLUMES}/portainer_data/_data/state")).await;
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["stacks"].as_object().unwrap().len(), 1, "{state}");
}
