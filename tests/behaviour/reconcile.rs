//! Servers that their provider does not have any more, at both clouds: what is known for sure is
//! told, and what is not changes nothing.

use std::time::Duration;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tests::fake_cloud::{Fault, Harm};
use tests::fake_digitalocean::{self, FakeDigitalOcean};
use tests::fake_hetzner::{self, FakeHetzner};
use tests::host_process::{Options, TestHost};
use tests::journal;
use tests::workshop::Workshop;
use windlass::model::server::Server;
use windlass::ssh::keys::KeyPair;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

/// One of the clouds.
enum Cloud {
    Hetzner(FakeHetzner),
    DigitalOcean(FakeDigitalOcean),
}

/// What somebody took away at a cloud.
enum Taken {
    Server(fake_hetzner::Server),
    Droplet(fake_digitalocean::Droplet),
}

impl Cloud {
    async fn both() -> [Self; 2] {
        [
            Self::Hetzner(FakeHetzner::start(fake_hetzner::Options::default()).await),
            Self::DigitalOcean(
                FakeDigitalOcean::start(fake_digitalocean::Options::default()).await,
            ),
        ]
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Hetzner(_) => "hetzner",
            Self::DigitalOcean(_) => "digitalocean",
        }
    }

    fn add(&self, name: &str) -> u64 {
        match self {
            Self::Hetzner(fake) => {
                let labels = [("windlass-job".to_owned(), "job_x".to_owned())];
                fake.add_server(name, labels.into())
            }
            Self::DigitalOcean(fake) => fake.add_droplet(name, &[], "2026-11-22T12:00:00Z"),
        }
    }

    fn add_key(&self) -> u64 {
        match self {
            Self::Hetzner(fake) => fake.add_key("windlass-web-1", KEY),
            Self::DigitalOcean(fake) => fake.add_key("windlass-web-1", KEY),
        }
    }

    fn take(&self, id: u64) -> Taken {
        match self {
            Self::Hetzner(fake) => Taken::Server(fake.take_server(id)),
            Self::DigitalOcean(fake) => Taken::Droplet(fake.take_droplet(id)),
        }
    }

    fn put(&self, taken: Taken) {
        match (self, taken) {
            (Self::Hetzner(fake), Taken::Server(server)) => fake.put_server(server),
            (Self::DigitalOcean(fake), Taken::Droplet(droplet)) => fake.put_droplet(droplet),
            _ => panic!("that is another cloud's"),
        }
    }

    const fn list(&self) -> &'static str {
        match self {
            Self::Hetzner(_) => "GET /servers",
            Self::DigitalOcean(_) => "GET /droplets",
        }
    }

    fn lists(&self) -> usize {
        match self {
            Self::Hetzner(fake) => fake.count(self.list()),
            Self::DigitalOcean(fake) => fake.count(self.list()),
        }
    }

    fn inject(&self, fault: Fault) {
        match self {
            Self::Hetzner(fake) => fake.inject(fault),
            Self::DigitalOcean(fake) => fake.inject(fault),
        }
    }

    /// What is left there: servers and keys.
    fn left(&self) -> (usize, usize) {
        match self {
            Self::Hetzner(fake) => (fake.servers().len(), fake.key_names().len()),
            Self::DigitalOcean(fake) => (fake.droplets().len(), fake.key_names().len()),
        }
    }

    /// A host that looks often, with a record of a server that has this id and key.
    async fn host(&self, server: u64, key: Option<u64>) -> TestHost {
        let (variable, url, token) = match self {
            Self::Hetzner(fake) => ("HCLOUD_ENDPOINT", fake.url(), fake.token()),
            Self::DigitalOcean(fake) => ("DIGITALOCEAN_ENDPOINT", fake.url(), fake.token()),
        };
        let environment = vec![
            (variable.to_owned(), url),
            ("WINDLASS_RECONCILE_SECONDS".to_owned(), "0.1".to_owned()),
            ("WINDLASS_SANDBOX_PACE".to_owned(), "realistic".to_owned()),
            ("WINDLASS_WORKERS".to_owned(), "1".to_owned()),
        ];
        let mut host = TestHost::start_with(Options { environment }).await;
        let config = json!({ "name": self.kind(), "token": token });
        assert_eq!(host.post("/api/config/provider", config).await.0, 200);
        host.terminate().await;
        journal::put_server(&host.home().join("windlass.db"), &self.record(server, key));
        host.restart().await;
        host
    }

    fn record(&self, server: u64, key: Option<u64>) -> Value {
        json!({
            "name": "web-1", "provider": self.kind(), "provider_id": server.to_string(),
            "server_type": "cx23", "region": "nbg1", "image": "debian-12",
            "ipv4": "127.77.3.1", "ipv6": null, "status": "ready",
            "created_at": "2026-11-22T12:00:00Z",
            "ssh": {
                "user": "root", "port": 22, "host_key_fingerprint": null,
                "key_id": key.map(|key| key.to_string()),
            },
            "setup": { "done_at": "2026-11-22T12:10:00Z" }, "dns": {}, "apps": [],
            "simulated": false,
        })
    }

    /// Waits until the host looked so often since.
    async fn looked(&self, times: usize) {
        let since = self.lists();
        let looking = async {
            let mut pause = tokio::time::interval(Duration::from_millis(20));
            while self.lists() < since + times {
                pause.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), looking).await.expect("it looks often");
    }
}

async fn becomes(host: &TestHost, status: &str) {
    host.until("/api/servers/web-1", |server| server["status"] == status).await;
}

async fn status(host: &TestHost) -> Value {
    host.get("/api/servers/web-1").await.1["status"].clone()
}

#[tokio::test]
async fn a_server_that_is_gone_is_missing_until_it_is_there_again() {
    for cloud in Cloud::both().await {
        let id = cloud.add("web-1");
        let host = cloud.host(id, Some(cloud.add_key())).await;
        cloud.looked(3).await;
        assert_eq!(status(&host).await, "ready");
        let taken = cloud.take(id);
        becomes(&host, "missing").await;
        cloud.put(taken);
        becomes(&host, "ready").await;
        cloud.take(id);
        becomes(&host, "missing").await;
        let job = host.submit(Method::DELETE, "/api/servers/web-1", None).await;
        host.wait_for(&job, "completed").await;
        assert_eq!(host.get("/api/servers/web-1").await.0, 404);
        assert_eq!(cloud.left(), (0, 0), "its key is gone too");
    }
}

/// Gives the server of the record a login, so that jobs try to reach it.
async fn give_login(host: &mut TestHost) {
    host.terminate().await;
    let mut workshop = Workshop::open_in(&host.home()).await;
    let key = KeyPair::generate().unwrap();
    let (name, secret) = ("web-1".parse().unwrap(), "server/web-1/ssh_key");
    let private = key.private_pem().unwrap();
    let sealed = workshop.outside.vault.seal(secret, private.expose_secret().as_bytes());
    workshop.store.put_secret(secret, &sealed).await.unwrap();
    let fingerprint = key.fingerprint();
    let change = move |it: &mut Server| it.ssh.host_key_fingerprint = Some(fingerprint);
    workshop.store.update_server(&name, Box::new(change)).await.unwrap().unwrap();
    workshop.stop().await;
    host.restart().await;
}

#[tokio::test]
async fn a_server_on_which_a_job_waits_is_left_to_it() {
    for cloud in Cloud::both().await {
        let id = cloud.add("web-1");
        let mut host = cloud.host(id, Some(cloud.add_key())).await;
        give_login(&mut host).await;
        let body = json!({ "ssl_email": "admin@example.com" });
        let setup = host.submit(Method::POST, "/api/servers/web-1/setup", Some(body)).await;
        let logs = format!("/api/jobs/{setup}/logs");
        let told = host.until(&logs, |it| it.to_string().contains("waiting for the server")).await;
        assert!(told.to_string().contains("refused"), "{told:#}");
        cloud.take(id);
        cloud.looked(3).await;
        assert_eq!(status(&host).await, "ready");
        host.delete(&format!("/api/jobs/{setup}")).await;
        host.wait_for(&setup, "cancelled").await;
        becomes(&host, "missing").await;
    }
}

#[tokio::test]
async fn a_provider_that_is_down_or_refuses_the_token_changes_nothing() {
    for cloud in Cloud::both().await {
        let id = cloud.add("web-1");
        let host = cloud.host(id, Some(cloud.add_key())).await;
        let refuse = Harm::refuse(401, "unauthorized");
        cloud.inject(Fault::on(cloud.list(), refuse).times(3));
        cloud.inject(Fault::on(cloud.list(), Harm::Html(502)).times(2));
        cloud.looked(1).await;
        cloud.take(id);
        assert_eq!(status(&host).await, "ready");
        cloud.looked(2).await;
        assert_eq!(status(&host).await, "ready");
        becomes(&host, "missing").await;
        assert!(host.log().contains("could not see which servers are still there"));
    }
}

#[tokio::test]
async fn a_token_of_another_project_makes_nothing_missing_and_no_deletion_look_done() {
    for cloud in Cloud::both().await {
        // A stranger's server is no sign that the project is ours.
        cloud.add("somebody-elses");
        let host = cloud.host(999_999, Some(888_888)).await;
        cloud.looked(3).await;
        assert_eq!(status(&host).await, "ready");
        assert!(host.log().contains("may be of another project"), "{}", host.log());
        let job = host.submit(Method::DELETE, "/api/servers/web-1", None).await;
        let failed = host.wait_for(&job, "failed").await;
        assert_eq!(failed["failure"]["code"], "wrong_project", "{failed:#}");
        assert!(failed["error"].as_str().unwrap().contains("--force"), "{failed:#}");
        assert_eq!(host.get("/api/servers/web-1").await.1["provider_id"], "999999");
        let path = "/api/servers/web-1?force=true";
        let job = host.submit(Method::DELETE, path, None).await;
        host.wait_for(&job, "completed").await;
        assert_eq!(host.get("/api/servers/web-1").await.0, 404);
        assert_eq!(cloud.left(), (1, 0), "the stranger's server is still there");
    }
}
