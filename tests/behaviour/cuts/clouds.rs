//! A server's life, bought at the fakes of clouds, with the way there cut or the host killed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tests::doors::Doors;
use tests::fake_cloud::Pace;
use tests::fake_digitalocean::{self, FakeDigitalOcean};
use tests::fake_hetzner::{self, FakeHetzner};
use tests::host_process::TestHost;
use tests::proxy::{Proxy, Strike};

use super::{is_struck_before, strikes};

/// How many lives are lived at once.
const TOGETHER: usize = 3;

/// How long a cloud's actions go on: long enough to be asked for twice, so that a cut can come
/// between.
const PACE: Pace = Pace::Time(Duration::from_millis(20));

#[derive(Clone, Copy, Debug)]
enum Kind {
    Hetzner,
    DigitalOcean,
}

enum Cloud {
    Hetzner(FakeHetzner),
    DigitalOcean(FakeDigitalOcean),
}

impl Cloud {
    async fn start(kind: Kind, machines: Arc<Doors>) -> Self {
        match kind {
            Kind::Hetzner => {
                let defaults = fake_hetzner::Options::default();
                let options = fake_hetzner::Options { machines, pace: PACE, ..defaults };
                Self::Hetzner(FakeHetzner::start(options).await)
            }
            Kind::DigitalOcean => {
                let defaults = fake_digitalocean::Options::default();
                let options = fake_digitalocean::Options { machines, pace: PACE, ..defaults };
                Self::DigitalOcean(FakeDigitalOcean::start(options).await)
            }
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Hetzner(cloud) => cloud.url(),
            Self::DigitalOcean(cloud) => cloud.url(),
        }
    }

    /// How it is configured at a host that reaches it there.
    fn config(&self, endpoint: &str) -> Value {
        let (name, token) = match self {
            Self::Hetzner(cloud) => ("hetzner", cloud.token()),
            Self::DigitalOcean(cloud) => ("digitalocean", cloud.token()),
        };
        json!({ "name": name, "token": token, "endpoint": endpoint, "default": true })
    }

    fn order(&self) -> Value {
        match self {
            Self::Hetzner(_) => json!({
                "name": "web-1", "provider": "hetzner", "server_type": "cx23", "region": "nbg1",
            }),
            Self::DigitalOcean(_) => json!({
                "name": "web-1", "provider": "digitalocean", "server_type": "s-1vcpu-1gb",
                "region": "fra1", "image": "debian-12-x64",
            }),
        }
    }

    /// Servers ever made, servers that there are, and keys.
    fn has(&self) -> (usize, usize, usize) {
        match self {
            Self::Hetzner(it) => (it.servers_ever(), it.servers().len(), it.key_names().len()),
            Self::DigitalOcean(it) => {
                (it.droplets_ordered(), it.droplets().len(), it.key_names().len())
            }
        }
    }
}

/// One host, and the way to its cloud.
struct Life {
    host: TestHost,
    cloud: Cloud,
    proxy: Proxy,
    strike: Option<Strike>,
}

impl Life {
    async fn begin(kind: Kind, machines: Arc<Doors>, strike: Option<Strike>) -> Self {
        let cloud = Cloud::start(kind, machines).await;
        let url = reqwest::Url::parse(&cloud.url()).unwrap();
        let proxy = Proxy::to(url.port().unwrap()).await;
        let mut endpoint = url;
        endpoint.set_port(Some(proxy.port())).unwrap();
        let host = TestHost::start().await;
        let config = cloud.config(endpoint.as_str().trim_end_matches('/'));
        let (status, answer) = host.post("/api/config/provider", config).await;
        assert_eq!((status, &answer["data"]["verified"]), (200, &json!(true)), "{answer}");
        proxy.arm(strike);
        Self { host, cloud, proxy, strike }
    }

    /// Asks for a job, again when the host was killed before it answered.
    async fn ask(&mut self, method: Method, path: &str, body: Option<&Value>) -> String {
        loop {
            let request = self.host.request(method.clone(), path);
            let request = request.header("Idempotency-Key", format!("{method}-once"));
            let request = if let Some(body) = body { request.json(body) } else { request };
            let mut answer = None;
            let asked = async { answer = Some(self.host.answer(request).await) };
            if is_struck_before(&self.proxy, self.strike, asked).await {
                self.kill().await;
                continue;
            }
            let (status, answer) = answer.expect("it was not struck");
            assert_eq!(status, 202, "{:?} {answer}", self.strike);
            return answer["job_id"].as_str().unwrap().to_owned();
        }
    }

    /// Waits for the end of a job, and kills the host where that is wanted.
    async fn see_through(&mut self, job: &str) {
        let completed = self.host.wait_for(job, "completed");
        if is_struck_before(&self.proxy, self.strike, completed).await {
            self.kill().await;
            self.host.wait_for(job, "completed").await;
        }
    }

    async fn kill(&mut self) {
        self.strike = None;
        self.host.crash();
        self.proxy.cut();
        self.host.restart().await;
    }

    /// A server is made and deleted. Answers how many bytes went to the cloud and back.
    async fn live(mut self) -> (u64, u64) {
        let strike = self.strike;
        let order = self.cloud.order();
        let job = self.ask(Method::POST, "/api/servers", Some(&order)).await;
        self.see_through(&job).await;
        assert_eq!(self.cloud.has(), (1, 1, 1), "{strike:?}");
        assert_eq!(self.host.get("/api/servers/web-1").await.1["status"], "running", "{strike:?}");
        let job = self.ask(Method::DELETE, "/api/servers/web-1", None).await;
        self.see_through(&job).await;
        assert_eq!(self.cloud.has(), (1, 0, 0), "{strike:?}");
        assert_eq!(self.host.get("/api/servers/web-1").await.0, 404, "{strike:?}");
        self.proxy.carried()
    }
}

async fn lives(test: &str, kind: Kind) {
    let Some(machines) = Doors::new(test) else { return };
    let carried = Life::begin(kind, machines.clone(), None).await.live().await;
    assert!(carried.0 > 1_000 && carried.1 > 1_000, "{carried:?}");
    let lives = strikes(6, 80, carried).into_iter().map(|strike| {
        let machines = Doors::new(test).unwrap();
        async move { Life::begin(kind, machines, Some(strike)).await.live().await }
    });
    stream::iter(lives).buffer_unordered(TOGETHER).collect::<Vec<_>>().await;
}

#[tokio::test]
async fn a_server_is_bought_once_at_hetzner_whatever_byte_is_the_last_to_arrive() {
    lives("a_server_is_bought_once_at_hetzner", Kind::Hetzner).await;
}

#[tokio::test]
async fn a_droplet_is_bought_once_at_digitalocean_whatever_byte_is_the_last_to_arrive() {
    lives("a_droplet_is_bought_once_at_digitalocean", Kind::DigitalOcean).await;
}
