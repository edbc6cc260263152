//! What the account at the fake has in it, and how actions change that over time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Instant;

use super::catalogue::Offer;
use super::keys::Key;
use super::{Droplet, Pace};
use crate::fake_cloud::now;

/// An action on a droplet.
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) kind: &'static str,
    pub(super) droplet: u64,
    pub(super) region: String,
    pub(super) started: String,
    pub(super) finished: Option<String>,
    /// Whether it is to end badly, or has.
    pub(super) fails: bool,
    looks: u32,
    since: Instant,
}

/// All that there is in it.
pub(super) struct Account {
    pace: Pace,
    pub(super) offer: Offer,
    pub(super) droplets: BTreeMap<u64, Droplet>,
    pub(super) droplets_ordered: usize,
    pub(super) keys: BTreeMap<u64, Key>,
    pub(super) key_lists: usize,
    pub(super) actions: BTreeMap<u64, Action>,
    pub(super) tags: BTreeSet<String>,
    last_id: u64,
}

impl Account {
    pub(super) fn new(pace: Pace, extra_sizes: usize) -> Self {
        Self {
            pace,
            offer: Offer::new(extra_sizes),
            droplets: BTreeMap::new(),
            droplets_ordered: 0,
            keys: BTreeMap::new(),
            key_lists: 0,
            actions: BTreeMap::new(),
            tags: BTreeSet::new(),
            last_id: 3_000_000,
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn add_droplet(&mut self, name: &str, tags: &[&str], created: &str) -> u64 {
        let id = self.next_id();
        let ipv4 = Ipv4Addr::from_bits(0x7f4f_0000 | u32::try_from(id & 0xffff).unwrap());
        self.put_droplet(Droplet {
            id,
            name: name.to_owned(),
            status: "active",
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            ipv4,
            size: "s-1vcpu-1gb".to_owned(),
            region: "fra1".to_owned(),
            image: "debian-12-x64".to_owned(),
            keys: Vec::new(),
            user_data: String::new(),
            created: created.to_owned(),
            tags_hidden: 0,
            never_boots: false,
        });
        id
    }

    pub(super) fn put_droplet(&mut self, droplet: Droplet) {
        self.tags.extend(droplet.tags.iter().cloned());
        self.droplets.insert(droplet.id, droplet);
    }

    /// Looks at a droplet, which is what its tags' showing comes nearer by. Whether they show now.
    pub(super) fn look_at_tags(&mut self, id: u64) -> bool {
        let Some(droplet) = self.droplets.get_mut(&id) else { return false };
        let show = droplet.tags_hidden == 0;
        droplet.tags_hidden = droplet.tags_hidden.saturating_sub(1);
        show
    }

    /// Starts an action, which will end well or not.
    pub(super) fn act(&mut self, kind: &'static str, droplet: u64, fails: bool) -> u64 {
        let id = self.next_id();
        let looks = match self.pace {
            Pace::Looks(looks) => looks,
            Pace::Time(_) => 0,
        };
        let region = self.droplets[&droplet].region.clone();
        let (started, since, finished) = (now(), Instant::now(), None);
        let action = Action { id, kind, droplet, region, started, finished, fails, looks, since };
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
                ended.push((action.kind, action.droplet, action.fails));
            } else {
                action.looks = action.looks.saturating_sub(1);
            }
        }
        for (kind, droplet, fails) in ended {
            self.take_effect(kind, droplet, fails);
        }
    }

    /// The ids of the droplet's actions.
    pub(super) fn actions_of(&self, droplet: u64) -> Vec<u64> {
        let its = self.actions.values().filter(|action| action.droplet == droplet);
        its.map(|action| action.id).collect()
    }

    /// Whether something goes on with the droplet, after a look at it.
    pub(super) fn is_busy(&mut self, droplet: u64) -> bool {
        let ids = self.actions_of(droplet);
        self.look(&ids);
        ids.iter().any(|id| self.actions[id].finished.is_none())
    }

    fn take_effect(&mut self, kind: &str, id: u64, fails: bool) {
        let Some(droplet) = self.droplets.get_mut(&id) else { return };
        match kind {
            "create" if !fails && !droplet.never_boots => droplet.status = "active",
            "destroy" if !fails => drop(self.droplets.remove(&id)),
            _ => {}
        }
    }
}
