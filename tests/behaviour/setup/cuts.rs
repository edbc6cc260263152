//! A connection that is cut in the middle of an installation: it goes on without a second one.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use reqwest::Method;
use serde_json::json;
use tests::commands;
use tests::fake_hetzner::{self, FakeHetzner, Machines};
use tests::lab::{Lab, Machine};
use tests::proxy::Proxy;

use super::machine::{docker_installs, see};

/// Where the machine is as its host sees it.
const SEEN: Ipv4Addr = Ipv4Addr::new(127, 79, 0, 1);

/// A machine of the lab behind a proxy.
struct BehindProxy {
    lab: &'static Lab,
    there: Mutex<Option<(Arc<Machine>, Arc<Proxy>)>>,
}

impl BehindProxy {
    fn there(&self) -> (Arc<Machine>, Arc<Proxy>) {
        self.there.lock().unwrap().clone().unwrap()
    }
}

#[async_trait]
impl Machines for BehindProxy {
    async fn boot(&self, name: &str, user_data: &str) -> anyhow::Result<Ipv4Addr> {
        let machine = self.lab.boot(name, user_data).await?;
        let proxy = Proxy::between((SEEN, 22).into(), SocketAddr::from((machine.ip, 22))).await;
        *self.there.lock().unwrap() = Some((Arc::new(machine), Arc::new(proxy)));
        Ok(SEEN)
    }

    async fn destroy(&self, name: &str) -> anyhow::Result<()> {
        self.lab.destroy(name).await
    }
}

#[tokio::test]
async fn an_installation_goes_on_when_its_connection_is_cut() {
    let Some(lab) = Lab::shared("an_installation_goes_on_when_its_connection_is_cut") else {
        return;
    };
    let machines = Arc::new(BehindProxy { lab, there: Mutex::default() });
    let options = fake_hetzner::Options {
        machines: Arc::clone(&machines) as Arc<dyn Machines>,
        ..fake_hetzner::Options::default()
    };
    let (_cloud, host) = FakeHetzner::with_host(options).await;
    let created = host.create_server("cut-1").await;
    host.wait_for(&created, "completed").await;
    let (machine, proxy) = machines.there();

    let wanted = json!({ "ssl_email": "admin@example.com" });
    let job = host.submit(Method::POST, "/api/servers/cut-1/setup", Some(wanted)).await;
    see(&host, &job, "Install Docker").await;
    see(&host, &job, "Unpacking docker.io").await;
    let before = proxy.connections();
    proxy.cut();
    see(&host, &job, "fact docker").await;
    // What follows needs the machine's own address; this is about what was before.
    host.delete(&format!("/api/jobs/{job}")).await;
    host.wait_for(&job, "cancelled").await;
    assert!(proxy.connections() > before, "it was connected anew");
    assert_eq!(docker_installs(&machine).await, 1);
    let sent = commands::sent(&host, &job).await;
    let docker = sent.iter().filter(|it| it.line == "# windlass: install-docker");
    let docker: Vec<_> = docker.collect();
    assert_eq!((docker.len(), docker[0].exit_code), (1, Some(0)), "{docker:?}");
    assert_eq!(docker[0].recovered, None, "the host itself went on all the time");
    lab.destroy("cut-1").await.unwrap();
}
