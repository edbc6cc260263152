//! What a project at the fake has in it, and how actions change that over time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Instant;

use super::catalogue::Offer;
use super::keys::Key;
use super::{Pace, Server};
pub(super) use crate::fake_cloud::now;

/// An action on a server.
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) command: &'static str,
    pub(super) server: u64,
    pub(super) started: String,
    pub(super) finished: Option<String>,
    /// How it is to end, or has ended: code and message of an error.
    pub(super) error: Option<(String, String)>,
    looks: u32,
    since: Instant,
}

/// All that there is in it.
pub(super) struct Project {
    pub(super) pace: Pace,
    pub(super) offer: Offer,
    pub(super) servers: BTreeMap<u64, Server>,
    pub(super) servers_ever: usize,
    pub(super) keys: BTreeMap<u64, Key>,
    pub(super) actions: BTreeMap<u64, Action>,
    /// Names that orders being worked on have taken.
    pub(super) reserved: BTreeSet<String>,
    last_id: u64,
}

impl Project {
    pub(super) fn new(pace: Pace, extra_images: usize) -> Self {
        Self {
            pace,
            offer: Offer::new(extra_images),
            servers: BTreeMap::new(),
            servers_ever: 0,
            keys: BTreeMap::new(),
            actions: BTreeMap::new(),
            reserved: BTreeSet::new(),
            last_id: 1_000_000,
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn add_server(&mut self, name: &str, labels: BTreeMap<String, String>) -> u64 {
        let id = self.next_id();
        let ipv4 = Ipv4Addr::from_bits(0x7f4e_0000 | u32::try_from(id & 0xffff).unwrap());
        let server = Server {
            id,
            name: name.to_owned(),
            status: "running",
            labels,
            ipv4,
            server_type: "cx23".to_owned(),
            location: "nbg1".to_owned(),
            image: "debian-12".to_owned(),
            user_data: String::new(),
            protected: false,
            created: now(),
            never_boots: false,
        };
        self.put_server(server);
        id
    }

    pub(super) fn put_server(&mut self, server: Server) {
        self.servers_ever += 1;
        self.servers.insert(server.id, server);
    }

    /// Whether a server has this name, or is about to.
    pub(super) fn has_name(&self, name: &str) -> bool {
        let same = |other: &str| other.eq_ignore_ascii_case(name);
        self.servers.values().any(|server| same(&server.name))
            || self.reserved.iter().any(|other| same(other))
    }

    /// Starts an action, which will end with this error or well.
    pub(super) fn act(
        &mut self,
        command: &'static str,
        server: u64,
        error: Option<(String, String)>,
    ) -> u64 {
        let id = self.next_id();
        let looks = match self.pace {
            Pace::Looks(looks) => looks,
            Pace::Time(_) => 0,
        };
        let (started, since) = (now(), Instant::now());
        let action = Action { id, command, server, started, finished: None, error, looks, since };
        self.actions.insert(id, action);
        id
    }

    /// Looks at actions, which is what time passes by.
    pub(super) fn look(&mut self, ids: &[u64]) {
        let mut ended = Vec::new();
        for id in ids {
            let Some(action) = self.actions.get_mut(id) else { continue };
            if action.finished.is_some() {
                continue;
            }
            let is_over = match self.pace {
                Pace::Looks(_) => action.looks == 0,
                Pace::Time(time) => action.since.elapsed() >= time,
            };
            if is_over {
                action.finished = Some(now());
                ended.push((action.command, action.server, action.error.is_some()));
            } else {
                action.looks = action.looks.saturating_sub(1);
            }
        }
        for (command, server, failed) in ended {
            self.take_effect(command, server, failed);
        }
    }

    /// The ids of the server's actions.
    pub(super) fn actions_of(&self, server: u64) -> Vec<u64> {
        let its = self.actions.values().filter(|action| action.server == server);
        its.map(|action| action.id).collect()
    }

    pub(super) fn is_busy(&self, server: u64) -> bool {
        let mut actions = self.actions.values();
        actions.any(|action| action.server == server && action.finished.is_none())
    }

    fn take_effect(&mut self, command: &str, server: u64, failed: bool) {
        let Some(known) = self.servers.get_mut(&server) else { return };
        known.status = match command {
            "create_server" => "off",
            "start_server" if failed => "off",
            "start_server" if known.never_boots => "starting",
            "start_server" => "running",
            "delete_server" if failed => "running",
            "delete_server" => {
                self.servers.remove(&server);
                return;
            }
            _ => known.status,
        };
    }
}
