//! The server that an app is for, as the host's record tells of it.

use serde_json::{Map, Value};

use crate::{Failure, inventory};

/// The network that apps share where the record names none.
const NETWORK: &str = "livchat_network";

/// Where an app goes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) server: String,
    pub(super) ipv4: Option<String>,
    pub(super) network: String,
    /// What stands behind the prefixes of its names.
    pub(super) domain: Option<String>,
    /// The zone that the host keeps for the server.
    pub(super) zone: Option<String>,
    /// The server's own name with its address.
    pub(super) target: Option<String>,
}

impl Place {
    /// Reads the record.
    pub(super) fn of(server: &str, config: &Map<String, Value>) -> Result<Self, Failure> {
        let record = inventory::get_server(server)?.ok_or_else(|| {
            Failure::new("not_found", format!("there is no server `{server}`: create it first"))
        })?;
        let record: Value = serde_json::from_str(&record)?;
        let text = |pointer: &str| record.pointer(pointer)?.as_str().map(str::to_owned);
        let zone = text("/dns/zone_name");
        let own = zone.as_ref().map(|zone| match text("/dns/subdomain") {
            Some(subdomain) => format!("{subdomain}.{zone}"),
            None => zone.clone(),
        });
        let chosen = config.get("domain").and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            server: server.to_owned(),
            ipv4: text("/ipv4"),
            network: text("/setup/network").unwrap_or_else(|| NETWORK.to_owned()),
            domain: chosen.or(own),
            target: address_record(&record),
            zone,
        })
    }

    /// One that there is not, for looking at what a deployment would be.
    pub(super) fn made_up(config: &Map<String, Value>) -> Self {
        let chosen = config.get("domain").and_then(Value::as_str);
        Self {
            server: "web-1".to_owned(),
            ipv4: None,
            network: NETWORK.to_owned(),
            domain: Some(chosen.unwrap_or("lab.example.com").to_owned()),
            zone: None,
            target: None,
        }
    }

    /// The whole name of a prefix.
    pub(super) fn name(&self, prefix: &str) -> Result<String, Failure> {
        let domain = self.domain.as_ref().ok_or_else(|| {
            let message = format!(
                "`{}` has no zone for the app's names: set it up with one, or give the app a \
                 `domain` in its config",
                self.server
            );
            Failure::new("no_domain", message)
        })?;
        Ok(format!("{prefix}.{domain}"))
    }

    /// The zone that this name is in, where the host keeps it.
    pub(super) fn zone_of(&self, name: &str) -> Option<&str> {
        let zone = self.zone.as_deref()?;
        let is_in = name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'));
        is_in.then_some(zone)
    }
}

/// The name of the first address record that the set-up made.
fn address_record(record: &Value) -> Option<String> {
    let mut records = record.pointer("/dns/records")?.as_array()?.iter();
    let is_address = |it: &&Value| it.get("kind").and_then(Value::as_str) == Some("A");
    records.find(is_address)?.get("name")?.as_str().map(str::to_owned)
}
