//! Servers of a fake cloud with a real sshd behind each, on loopback addresses of their own. What
//! runs on them runs on this very machine.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::fake_cloud::Machines;
use crate::proxy::Proxy;
use crate::sshd::{BootedSshd, Sshd};

/// Machines that are doors to this one.
#[derive(Default)]
pub struct Doors {
    open: Mutex<BTreeMap<String, Door>>,
}

struct Door {
    _sshd: BootedSshd,
    _way: Proxy,
}

impl Doors {
    /// None, and a line that says so, where there is no sshd or this user may not listen at its
    /// usual port.
    pub fn new(test: &str) -> Option<Arc<Self>> {
        let missing = if !Sshd::is_installed() {
            "sshd is not installed"
        } else if !rustix::process::geteuid().is_root() {
            "only root may listen at port 22"
        } else {
            return Some(Arc::default());
        };
        crate::lab::skip(test, missing);
        None
    }
}

#[async_trait]
impl Machines for Doors {
    async fn boot(&self, name: &str, user_data: &str) -> anyhow::Result<Ipv4Addr> {
        let sshd = BootedSshd::start(user_data)?;
        // Other tests of this machine have theirs.
        let here = Ipv4Addr::new(127, 78, rand::random(), rand::random_range(1..255));
        let way = Proxy::between((here, 22).into(), (Ipv4Addr::LOCALHOST, sshd.port()).into());
        let door = Door { _sshd: sshd, _way: way.await };
        self.open.lock().unwrap().insert(name.to_owned(), door);
        Ok(here)
    }

    async fn destroy(&self, name: &str) -> anyhow::Result<()> {
        self.open.lock().unwrap().remove(name);
        Ok(())
    }
}
