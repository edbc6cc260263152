//! A machine that a fake cloud boots: a real sshd behind a proxy, at a loopback address of its own.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use tests::fake_hetzner::Machines;
use tests::proxy::Proxy;
use tests::sshd::BootedSshd;

/// Where the proxy leads while there is no sshd: nobody listens there.
const NOWHERE: u16 = 1;

/// A machine; what it was told to do is counted.
pub(crate) struct Machine {
    address: Ipv4Addr,
    /// The way to its sshd.
    pub(crate) way: Proxy,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sshd: Option<BootedSshd>,
    counted: Counted,
}

/// What a machine counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// How often it was booted.
    pub(crate) boots: usize,
    /// Whether it was destroyed.
    pub(crate) is_destroyed: bool,
    /// The lines that its commands left, in their order.
    pub(crate) ran: Vec<String>,
}

impl Machine {
    /// One that is not booted.
    pub(crate) async fn new() -> Self {
        // Others on this machine have theirs.
        let address = Ipv4Addr::new(127, 80, rand::random(), rand::random_range(1..255));
        let nowhere = (Ipv4Addr::LOCALHOST, NOWHERE).into();
        let way = Proxy::between((address, 22).into(), nowhere).await;
        Self { address, way, state: Mutex::default() }
    }

    /// Restarts its sshd where there is one, which ends all connections.
    pub(crate) fn restart_sshd(&self) {
        let mut state = self.state();
        match &mut state.sshd {
            Some(sshd) => {
                sshd.restart();
                self.way.lead_to(sshd.port());
            }
            None => self.way.cut(),
        }
    }

    /// What it counted so far.
    pub(crate) fn counted(&self) -> Counted {
        let state = self.state();
        let mut counted = state.counted.clone();
        counted.ran.extend(state.sshd.iter().flat_map(|sshd| lines(sshd.home())));
        counted
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn lines(home: &Path) -> Vec<String> {
    let ran = std::fs::read_to_string(home.join("ran")).unwrap_or_default();
    ran.lines().map(str::to_owned).collect()
}

#[async_trait]
impl Machines for Machine {
    async fn boot(&self, _name: &str, user_data: &str) -> anyhow::Result<Ipv4Addr> {
        let sshd = BootedSshd::start(user_data)?;
        self.way.lead_to(sshd.port());
        let mut state = self.state();
        state.counted.boots += 1;
        state.sshd = Some(sshd);
        Ok(self.address)
    }

    async fn destroy(&self, _name: &str) -> anyhow::Result<()> {
        let mut state = self.state();
        if let Some(sshd) = state.sshd.take() {
            state.counted.ran.extend(lines(sshd.home()));
        }
        state.counted.is_destroyed = true;
        self.way.lead_to(NOWHERE);
        Ok(())
    }
}
