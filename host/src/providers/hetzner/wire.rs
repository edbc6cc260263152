//! What Hetzner's answers look like, as far as we read them. Words that the API may add to are
//! texts here, so that a new one breaks nothing.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use serde::Deserialize;

use crate::providers::{Machine, MachineStatus};

/// The answer to an order.
#[derive(Deserialize)]
pub(super) struct Ordered {
    pub(super) server: Server,
    pub(super) action: Action,
    #[serde(default)]
    pub(super) next_actions: Vec<Action>,
}

/// The answer about one server.
#[derive(Deserialize)]
pub(super) struct OneServer {
    pub(super) server: Server,
}

/// The answer to a deletion.
#[derive(Deserialize)]
pub(super) struct Deleted {
    pub(super) action: Option<Action>,
}

/// The answer about actions.
#[derive(Deserialize)]
pub(super) struct Actions {
    pub(super) actions: Vec<Action>,
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
    pub(super) fingerprint: String,
}

#[derive(Deserialize)]
pub(super) struct Server {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) public_net: PublicNet,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub(super) struct PublicNet {
    pub(super) ipv4: Option<Address>,
    pub(super) ipv6: Option<Address>,
}

#[derive(Deserialize)]
pub(super) struct Address {
    pub(super) ip: String,
}

#[derive(Deserialize)]
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) command: String,
    pub(super) status: String,
    pub(super) error: Option<ActionError>,
}

#[derive(Deserialize)]
pub(super) struct ActionError {
    pub(super) code: String,
    pub(super) message: String,
}

#[derive(Deserialize)]
pub(super) struct ServerType {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) cores: f64,
    pub(super) memory: f64,
    pub(super) disk: f64,
    pub(super) architecture: String,
    #[serde(default)]
    pub(super) prices: Vec<LocationPrice>,
    #[serde(default)]
    pub(super) locations: Vec<TypeLocation>,
}

#[derive(Deserialize)]
pub(super) struct LocationPrice {
    pub(super) location: String,
    pub(super) price_monthly: Amount,
}

#[derive(Deserialize)]
pub(super) struct Amount {
    pub(super) gross: String,
}

/// That a server type is to be had somewhere.
#[derive(Deserialize)]
pub(super) struct TypeLocation {
    pub(super) name: String,
    pub(super) deprecation: Option<Deprecation>,
    #[serde(default = "yes")]
    pub(super) available: bool,
}

#[derive(Deserialize)]
pub(super) struct Deprecation {
    pub(super) unavailable_after: Timestamp,
}

#[derive(Deserialize)]
pub(super) struct Location {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) country: Option<String>,
    pub(super) city: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Image {
    pub(super) name: Option<String>,
    pub(super) description: String,
    pub(super) architecture: String,
    pub(super) deprecated: Option<String>,
}

/// The answer about prices, of which only the currency stands nowhere else.
#[derive(Deserialize)]
pub(super) struct Pricing {
    pub(super) pricing: Currency,
}

#[derive(Deserialize)]
pub(super) struct Currency {
    pub(super) currency: String,
}

fn yes() -> bool {
    true
}

impl Action {
    pub(super) fn is_running(&self) -> bool {
        self.status == "running"
    }

    pub(super) fn has_failed(&self) -> bool {
        self.status == "error"
    }
}

impl Server {
    pub(super) fn into_machine(self, actions: Vec<String>) -> Machine {
        Machine {
            id: self.id.to_string(),
            status: self.machine_status(),
            name: self.name,
            ipv4: self.public_net.ipv4.and_then(|address| address.ip.parse::<Ipv4Addr>().ok()),
            ipv6: self.public_net.ipv6.and_then(|address| first_of(&address.ip)),
            ssh_port: 22,
            labels: self.labels,
            actions,
        }
    }

    fn machine_status(&self) -> MachineStatus {
        match self.status.as_str() {
            "initializing" | "starting" | "rebuilding" => MachineStatus::Booting,
            "running" => MachineStatus::Running,
            "off" => MachineStatus::Off,
            "deleting" => MachineStatus::Deleting,
            _ => MachineStatus::Unknown,
        }
    }
}

/// The address that a machine takes of its network: `2001:db8::/64` becomes `2001:db8::1`.
fn first_of(network: &str) -> Option<Ipv6Addr> {
    match network.split_once('/') {
        Some((address, _)) => {
            let first: Ipv6Addr = address.parse().ok()?;
            Some(Ipv6Addr::from_bits(first.to_bits() | 1))
        }
        None => network.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_the_first_address_of_its_network() {
        assert_eq!(first_of("2001:db8::/64"), "2001:db8::1".parse().ok());
        assert_eq!(first_of("2001:db8::5"), "2001:db8::5".parse().ok());
        assert_eq!(first_of("nonsense/64"), None);
    }
}
