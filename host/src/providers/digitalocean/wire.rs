//! What DigitalOcean's answers look like, as far as we read them. Words that the API may add to
//! are texts here, so that a new one breaks nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::providers::{Machine, MachineStatus};

/// The answer about the token's account.
#[derive(Deserialize)]
pub(super) struct OneAccount {
    pub(super) account: Account,
}

#[derive(Deserialize)]
pub(super) struct Account {
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) status_message: String,
}

/// The answer to an order.
#[derive(Deserialize)]
pub(super) struct Ordered {
    pub(super) droplet: Droplet,
    #[serde(default)]
    pub(super) links: Links,
}

#[derive(Default, Deserialize)]
pub(super) struct Links {
    #[serde(default)]
    pub(super) actions: Vec<ActionLink>,
}

#[derive(Deserialize)]
pub(super) struct ActionLink {
    pub(super) id: u64,
}

/// The answer about one droplet.
#[derive(Deserialize)]
pub(super) struct OneDroplet {
    pub(super) droplet: Droplet,
}

#[derive(Deserialize)]
pub(super) struct Droplet {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) created_at: String,
    #[serde(default)]
    pub(super) networks: Networks,
    pub(super) tags: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
pub(super) struct Networks {
    #[serde(default)]
    pub(super) v4: Vec<Network>,
    #[serde(default)]
    pub(super) v6: Vec<Network>,
}

#[derive(Deserialize)]
pub(super) struct Network {
    ip_address: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The answer about one action.
#[derive(Deserialize)]
pub(super) struct OneAction {
    pub(super) action: Action,
}

#[derive(Deserialize)]
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) status: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// The answer about one key.
#[derive(Deserialize)]
pub(super) struct OneKey {
    pub(super) ssh_key: SshKey,
}

#[derive(Deserialize)]
pub(super) struct SshKey {
    pub(super) id: u64,
    pub(super) name: String,
}

/// The answer about one tag.
#[derive(Deserialize)]
pub(super) struct OneTag {
    pub(super) tag: Tag,
}

#[derive(Deserialize)]
pub(super) struct Tag {
    pub(super) resources: Tagged,
}

#[derive(Deserialize)]
pub(super) struct Tagged {
    pub(super) count: u64,
}

#[derive(Deserialize)]
pub(super) struct Size {
    pub(super) slug: String,
    #[serde(default)]
    pub(super) description: String,
    /// In MB.
    pub(super) memory: f64,
    pub(super) vcpus: u32,
    pub(super) disk: u32,
    pub(super) price_monthly: f64,
    #[serde(default)]
    pub(super) regions: Vec<String>,
    #[serde(default = "yes")]
    pub(super) available: bool,
}

#[derive(Deserialize)]
pub(super) struct Region {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) available: bool,
    #[serde(default)]
    pub(super) sizes: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Image {
    pub(super) slug: Option<String>,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) distribution: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) regions: Vec<String>,
}

fn yes() -> bool {
    true
}

impl Action {
    pub(super) fn is_running(&self) -> bool {
        self.status == "in-progress"
    }

    pub(super) fn has_failed(&self) -> bool {
        self.status == "errored"
    }
}

impl Droplet {
    pub(super) fn tags(&self) -> &[String] {
        self.tags.as_deref().unwrap_or_default()
    }

    /// When it was ordered, where that can be read.
    pub(super) fn made_at(&self) -> Option<Timestamp> {
        self.created_at.parse().ok()
    }

    pub(super) fn has_public_ipv4(&self) -> bool {
        public(&self.networks.v4).is_some()
    }

    pub(super) fn into_machine(self, actions: Vec<String>) -> Machine {
        let labels: BTreeMap<String, String> = self
            .tags()
            .iter()
            .filter_map(|tag| tag.split_once(':'))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Machine {
            id: self.id.to_string(),
            status: self.machine_status(),
            name: self.name,
            ipv4: public(&self.networks.v4).and_then(|address| address.parse().ok()),
            ipv6: public(&self.networks.v6).and_then(|address| address.parse().ok()),
            ssh_port: 22,
            labels,
            actions,
        }
    }

    fn machine_status(&self) -> MachineStatus {
        match self.status.as_str() {
            "new" => MachineStatus::Booting,
            "active" => MachineStatus::Running,
            "off" => MachineStatus::Off,
            _ => MachineStatus::Unknown,
        }
    }
}

/// The public address among them: a private one may come first.
fn public(networks: &[Network]) -> Option<&str> {
    let network = networks.iter().find(|network| network.kind == "public")?;
    Some(&network.ip_address)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_public_address_is_taken_wherever_it_stands() {
        let droplet: Droplet = serde_json::from_value(json!({
            "id": 1, "name": "web-1", "status": "active", "tags": null,
            "networks": {"v4": [{"ip_address": "10.0.0.2", "type": "private"},
                {"ip_address": "192.0.2.7", "type": "public"}]},
        }))
        .unwrap();
        assert!(droplet.has_public_ipv4());
        let machine = droplet.into_machine(Vec::new());
        assert_eq!((machine.ipv4, machine.ipv6), ("192.0.2.7".parse().ok(), None));
    }
}
