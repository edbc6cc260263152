//! All that a host reaches in a storm: two clouds, a keeper of names and two machines, each behind a
//! proxy, and each of which counts what it was asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::Url;
use serde_json::{Value, json};
use tests::fake_cloud::Pace;
use tests::fake_cloudflare::{self, FakeCloudflare};
use tests::fake_digitalocean::{self, FakeDigitalOcean};
use tests::fake_hetzner::{self, FakeHetzner};
use tests::host_process::TestHost;
use tests::proxy::Proxy;
use tokio::time::Duration;

use crate::machine::{self, Machine};
use crate::plan::Way;

/// How long a cloud's actions go on: long enough to be asked for several times.
const PACE: Pace = Pace::Time(Duration::from_millis(20));

/// The zone of all names.
pub(crate) const ZONE: &str = "example.com";

/// The servers, in the order of their clouds.
pub(crate) const SERVERS: [&str; 2] = ["web-1", "web-2"];

/// What a host reaches.
pub(crate) struct Outside {
    hetzner: FakeHetzner,
    digitalocean: FakeDigitalOcean,
    cloudflare: FakeCloudflare,
    machines: [Arc<Machine>; 2],
    proxies: BTreeMap<Way, Proxy>,
}

/// What a cloud counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sold {
    /// Servers that were ever made.
    pub(crate) ever: usize,
    /// Servers that there are.
    pub(crate) servers: usize,
    /// Keys that there are.
    pub(crate) keys: usize,
}

/// What all of them counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// By each cloud.
    pub(crate) sold: [Sold; 2],
    /// Records that were ever made, and those that there are.
    pub(crate) records: (usize, usize),
    /// By each machine.
    pub(crate) machines: [machine::Counted; 2],
}

impl Outside {
    /// Starts all of it.
    pub(crate) async fn start() -> Self {
        let machines = [Arc::new(Machine::new().await), Arc::new(Machine::new().await)];
        let hetzner = FakeHetzner::start(fake_hetzner::Options {
            machines: machines[0].clone(),
            pace: PACE,
            ..fake_hetzner::Options::default()
        })
        .await;
        let digitalocean = FakeDigitalOcean::start(fake_digitalocean::Options {
            machines: machines[1].clone(),
            pace: PACE,
            ..fake_digitalocean::Options::default()
        })
        .await;
        let cloudflare = FakeCloudflare::start(fake_cloudflare::Options::default()).await;
        cloudflare.add_zone(ZONE, "ours");
        let urls = [hetzner.url(), digitalocean.url(), cloudflare.url()];
        let mut proxies = BTreeMap::new();
        for (way, url) in [Way::Hetzner, Way::DigitalOcean, Way::Cloudflare].into_iter().zip(urls) {
            let port = Url::parse(&url).unwrap().port().unwrap();
            proxies.insert(way, Proxy::to(port).await);
        }
        Self { hetzner, digitalocean, cloudflare, machines, proxies }
    }

    /// Tells a host where all of it is.
    pub(crate) async fn introduce_to(&self, host: &TestHost) {
        let hetzner = self.endpoint(Way::Hetzner, &self.hetzner.url());
        let digitalocean = self.endpoint(Way::DigitalOcean, &self.digitalocean.url());
        let cloudflare = self.endpoint(Way::Cloudflare, &self.cloudflare.url());
        let token = &self.cloudflare.options().token;
        for (path, body) in [
            (
                "/api/config/provider",
                json!({ "name": "hetzner", "token": self.hetzner.token(), "endpoint": hetzner }),
            ),
            (
                "/api/config/provider",
                json!({
                    "name": "digitalocean", "token": self.digitalocean.token(),
                    "endpoint": digitalocean,
                }),
            ),
            ("/api/config/cloudflare", json!({ "api_token": token, "endpoint": cloudflare })),
        ] {
            let (status, answer) = host.post(path, body).await;
            assert_eq!((status, &answer["data"]["verified"]), (200, &json!(true)), "{answer}");
        }
    }

    /// What is ordered at each cloud.
    pub(crate) fn orders() -> [Value; 2] {
        [
            json!({
                "name": SERVERS[0], "provider": "hetzner", "server_type": "cx23", "region": "nbg1",
            }),
            json!({
                "name": SERVERS[1], "provider": "digitalocean", "server_type": "s-1vcpu-1gb",
                "region": "fra1", "image": "debian-12-x64",
            }),
        ]
    }

    /// The proxy on this way.
    pub(crate) fn proxy(&self, way: Way) -> &Proxy {
        match way.server() {
            Some(server) => &self.machines[server].way,
            None => &self.proxies[&way],
        }
    }

    /// Waits until a proxy struck, and answers which.
    pub(crate) async fn struck(&self) -> Way {
        let struck = Way::ALL.map(|way| {
            Box::pin(async move {
                self.proxy(way).struck().await;
                way
            })
        });
        futures_util::future::select_all(struck).await.0
    }

    /// Restarts the sshd at the end of this way, where there is one.
    pub(crate) async fn restart_sshd(&self, way: Way) {
        let Some(server) = way.server() else { return };
        let machine = Arc::clone(&self.machines[server]);
        tokio::task::spawn_blocking(move || machine.restart_sshd()).await.unwrap();
    }

    /// What all of them counted so far.
    pub(crate) fn counted(&self) -> Counted {
        let hetzner = Sold {
            ever: self.hetzner.servers_ever(),
            servers: self.hetzner.servers().len(),
            keys: self.hetzner.key_names().len(),
        };
        let digitalocean = Sold {
            ever: self.digitalocean.droplets_ordered(),
            servers: self.digitalocean.droplets().len(),
            keys: self.digitalocean.key_names().len(),
        };
        Counted {
            sold: [hetzner, digitalocean],
            records: (self.cloudflare.records_ever(), self.cloudflare.records().len()),
            machines: [self.machines[0].counted(), self.machines[1].counted()],
        }
    }

    fn endpoint(&self, way: Way, url: &str) -> String {
        let mut endpoint = Url::parse(url).unwrap();
        endpoint.set_port(Some(self.proxy(way).port())).unwrap();
        endpoint.as_str().trim_end_matches('/').to_owned()
    }
}
