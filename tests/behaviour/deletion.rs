//! A deletion removes what this host made, each thing by its id, and nothing else: not a stranger's
//! server or key, not a record that somebody made, changed or took over.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tests::fake_cloudflare::{self, FakeCloudflare};
use tests::fake_hetzner::{self, FakeHetzner};
use tests::host_process::{Options, TestHost};
use tests::journal;
use windlass::dns::domains::{Domains, Settings};
use windlass::model::dns::{Content, DnsRecord, NewRecord};
use windlass::model::names::Identity;
use windlass::storage::Store;
use windlass::storage::sqlite::{self, Sqlite};
use windlass::vault::Vault;
use windlass::vault::source::Source;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
const OTHER_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

/// A host with a server at Hetzner that has names, beside strangers' things.
struct Scene {
    host: TestHost,
    hetzner: FakeHetzner,
    cloudflare: FakeCloudflare,
    zone: String,
    /// The records of the server, by name.
    records: Vec<DnsRecord>,
}

impl Scene {
    /// `names` are those that the host made for the server.
    async fn with(names: &[&str]) -> Self {
        let hetzner = FakeHetzner::start(fake_hetzner::Options::default()).await;
        let cloudflare = FakeCloudflare::start(fake_cloudflare::Options::default()).await;
        let zone = cloudflare.add_zone("example.com", "ours");
        let environment = vec![
            ("HCLOUD_ENDPOINT".to_owned(), hetzner.url()),
            ("CLOUDFLARE_ENDPOINT".to_owned(), cloudflare.url()),
        ];
        let mut host = TestHost::start_with(Options { environment }).await;
        let config = json!({ "name": "hetzner", "token": hetzner.token() });
        assert_eq!(host.post("/api/config/provider", config).await.0, 200);
        let config = json!({ "api_token": cloudflare.options().token });
        assert_eq!(host.post("/api/config/cloudflare", config).await.0, 200);
        host.terminate().await;

        let records = publish(&host, &cloudflare, names).await;
        hetzner.add_server("somebody-elses", [].into());
        hetzner.add_key("windlass-web-10", OTHER_KEY);
        let server = hetzner.add_server("web-1", [].into());
        let key = hetzner.add_key("windlass-web-1", KEY);
        let record = record(server, key, &records);
        journal::put_server(&host.home().join("windlass.db"), &record);
        host.restart().await;
        Self { host, hetzner, cloudflare, zone, records }
    }

    /// Deletes the server and answers what the job said.
    async fn delete(&self, query: &str) -> Vec<String> {
        let path = format!("/api/servers/web-1{query}");
        let job = self.host.submit(Method::DELETE, &path, None).await;
        self.host.wait_for(&job, "completed").await;
        assert_eq!(self.host.get("/api/servers/web-1").await.0, 404);
        let (_, logs) = self.host.get(&format!("/api/jobs/{job}/logs?tail=1000")).await;
        let lines = logs["logs"].as_array().unwrap().iter();
        lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    /// What is left at Hetzner is the strangers', and only our two things were asked to go.
    fn check_hetzner(&self) {
        let servers: Vec<String> = self.hetzner.servers().into_iter().map(|it| it.name).collect();
        assert_eq!(servers, ["somebody-elses"]);
        assert_eq!(self.hetzner.key_names(), ["windlass-web-10"]);
        let requests = self.hetzner.requests().into_iter();
        let changes: Vec<(String, usize)> =
            requests.filter(|(name, _)| !name.starts_with("GET ")).collect();
        let once = |name: &str| (name.to_owned(), 1);
        assert_eq!(changes, [once("DELETE /servers/{id}"), once("DELETE /ssh_keys/{id}")]);
    }

    /// The names of the records that there are.
    fn left(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.cloudflare.records().into_iter().map(|it| it.name).collect();
        names.sort();
        names
    }

    /// Somebody at the dashboard makes a record be this.
    async fn edit(&self, name: &str, content: &str, comment: &str) {
        let record = self.records.iter().find(|it| it.name.as_str() == name).unwrap();
        let url = self.cloudflare.url();
        let url = format!("{url}/zones/{}/dns_records/{}", self.zone, record.id);
        let body = json!({
            "type": "A", "name": name, "content": content, "ttl": 1, "proxied": false,
            "comment": comment,
        });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let token = &self.cloudflare.options().token;
        let answer = client.put(url).bearer_auth(token).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    fn comment_of(&self, name: &str) -> String {
        let records = self.cloudflare.records();
        records.into_iter().find(|it| it.name == name).unwrap().comment.unwrap()
    }
}

/// Makes records as the host of this home makes them.
async fn publish(host: &TestHost, cloudflare: &FakeCloudflare, names: &[&str]) -> Vec<DnsRecord> {
    let database = host.home().join("windlass.db");
    let store: Arc<dyn Store> = Sqlite::open(&database, &sqlite::Options::default()).unwrap();
    let vault = Arc::new(Vault::open(&host.home(), &Source::File, &store).await.unwrap());
    let settings = Settings { home: host.home(), cloudflare_endpoint: Some(cloudflare.url()) };
    let domains = Domains::open(settings, store.clone(), vault).await.unwrap();
    let identity = Identity { job: "job_20261122_120000_a1b2c3".parse().unwrap(), effect: 9 };
    let mut made = Vec::new();
    for name in names {
        let wanted = NewRecord {
            zone: "example.com".parse().unwrap(),
            name: name.parse().unwrap(),
            content: Content::parse("A", "127.78.0.1").unwrap(),
            proxied: false,
            ttl: None,
            note: "server web-1".to_owned(),
            force: false,
        };
        let zones = domains.of(false).await.unwrap();
        made.push(zones.upsert(&wanted, &domains.marker(&identity)).await.unwrap());
    }
    store.close().await;
    made
}

fn record(server: u64, key: u64, records: &[DnsRecord]) -> Value {
    let records: Vec<Value> = records
        .iter()
        .map(|it| {
            json!({
                "zone": "example.com", "id": it.id, "name": it.name, "kind": "A",
                "content": "127.78.0.1",
            })
        })
        .collect();
    json!({
        "name": "web-1", "provider": "hetzner", "provider_id": server.to_string(),
        "server_type": "cx23", "region": "nbg1", "image": "debian-12", "ipv4": "127.78.0.1",
        "ipv6": null, "status": "ready", "created_at": "2026-11-22T12:00:00Z",
        "ssh": {
            "user": "root", "port": 22, "host_key_fingerprint": null, "key_id": key.to_string(),
        },
        "setup": {}, "dns": { "zone_name": "example.com", "records": records }, "apps": [],
        "simulated": false,
    })
}

#[tokio::test]
async fn what_was_made_goes_and_what_is_somebody_elses_stays() {
    let scene = Scene::with(&["ptn.example.com", "whoami.example.com"]).await;
    scene.cloudflare.add_record(&scene.zone, "TXT", "ptn.example.com", "\"somebody's\"");
    scene.cloudflare.add_record(&scene.zone, "A", "ptn2.example.com", "127.78.0.1");
    let lines = scene.delete("").await;
    assert!(lines.iter().any(|line| line == "A ptn.example.com is gone"), "{lines:?}");
    assert_eq!(scene.left(), ["ptn.example.com", "ptn2.example.com"]);
    assert!(scene.cloudflare.records().iter().all(|it| it.comment.is_none()));
    scene.check_hetzner();
}

#[tokio::test]
async fn a_name_that_somebody_changed_since_is_named_and_left() {
    let names = ["a.example.com", "b.example.com", "c.example.com", "d.example.com"];
    let scene = Scene::with(&names).await;
    let ours = scene.comment_of("a.example.com");
    scene.edit("a.example.com", "127.78.9.9", &ours).await;
    scene.edit("b.example.com", "127.78.0.1", "kept for mail").await;
    scene.edit("c.example.com", "127.78.0.1", &ours).await;
    let lines = scene.delete("").await;
    assert_eq!(scene.left(), ["a.example.com", "b.example.com"], "{lines:?}");
    for (name, why) in [("a.example.com", "it says 127.78.9.9 by now"), ("b.example.com", "")] {
        let told =
            |line: &&String| line.contains(&format!("A {name} is left")) && line.contains(why);
        assert!(lines.iter().any(|line| told(&line)), "{lines:?}");
    }
    scene.check_hetzner();
}

#[tokio::test]
async fn names_stay_when_that_was_asked_for() {
    let scene = Scene::with(&["ptn.example.com"]).await;
    let before = scene.cloudflare.writes();
    let lines = scene.delete("?keep_dns=true").await;
    assert_eq!((scene.left(), scene.cloudflare.writes()), (vec!["ptn.example.com".into()], before));
    assert!(lines.iter().any(|line| line.contains("stay, as asked")), "{lines:?}");
    scene.check_hetzner();
}
