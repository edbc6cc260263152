//! A server as the host records it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::app::AppDnsRecord;
use crate::model::names::{ProviderKind, ServerName};

/// The record of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Server {
    /// Unique among servers that are not deleted.
    #[schema(value_type = String, example = "prod-01")]
    pub name: ServerName,
    /// Who runs it.
    pub provider: ProviderKind,
    /// The provider's id, once it took the order.
    pub provider_id: Option<String>,
    /// The provider's name of the size.
    #[schema(example = "cx23")]
    pub server_type: String,
    /// The provider's name of the place.
    #[schema(example = "nbg1")]
    pub region: String,
    /// The provider's name of the system image.
    #[schema(example = "debian-12")]
    pub image: String,
    /// Its public address.
    #[schema(value_type = Option<String>)]
    pub ipv4: Option<Ipv4Addr>,
    /// Its public IPv6 address.
    #[schema(value_type = Option<String>)]
    pub ipv6: Option<Ipv6Addr>,
    /// How it stands.
    pub status: ServerStatus,
    /// When somebody asked for it.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// How the host gets into it.
    pub ssh: SshAccess,
    /// What was set up on it, by name: `done_at`, `docker`, `swarm`, `traefik`, `portainer`.
    #[schema(value_type = Object)]
    pub setup: BTreeMap<String, serde_json::Value>,
    /// Its names: `zone_name`, `subdomain`.
    #[schema(value_type = Object)]
    pub dns: BTreeMap<String, serde_json::Value>,
    /// The apps on it.
    pub apps: Vec<String>,
    /// What was said about deleting it.
    #[serde(default)]
    pub deletion_protection: Protection,
    /// Whether agents cannot destroy it: it was said so, or nothing was and apps are on it.
    #[serde(default)]
    pub protected: bool,
    /// Whether nothing real stands behind it.
    pub simulated: bool,
}

impl Server {
    /// The domain under which its apps have their names, if it has one.
    pub fn domain(&self) -> Option<String> {
        let text = |name: &str| self.dns.get(name).and_then(serde_json::Value::as_str);
        text("zone_name").map(|zone| domain(zone, text("subdomain")))
    }

    /// The records of its own names.
    pub fn dns_records(&self) -> Vec<AppDnsRecord> {
        let records = self.dns.get("records").and_then(serde_json::Value::as_array);
        let records = records.into_iter().flatten().cloned();
        records.filter_map(|record| serde_json::from_value(record).ok()).collect()
    }

    /// Whether it was made ready for apps.
    pub fn is_set_up(&self) -> bool {
        self.setup.contains_key("done_at")
    }
}

/// Whether a server is protected against being deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// Against agents, as long as apps are on it.
    #[default]
    Automatic,
    /// Against everybody.
    On,
    /// Against nobody: agents destroy it as soon as a person confirms it.
    Off,
}

impl Protection {
    /// Whether agents cannot destroy a server with these apps on it.
    pub const fn holds(self, apps: &[String]) -> bool {
        match self {
            Self::Automatic => !apps.is_empty(),
            Self::On => true,
            Self::Off => false,
        }
    }
}

/// What becomes of the apps on a server that is to be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppsOnIt {
    /// They are a reason not to delete it.
    #[default]
    Refuse,
    /// They go with it.
    Lose,
    /// They go with it unless it is protected.
    LoseUnprotected,
}

/// The domain that a job of these parameters gives its server.
pub fn domain_asked(params: &serde_json::Value) -> Option<String> {
    let text = |name: &str| params.get(name).and_then(serde_json::Value::as_str);
    text("zone_name").map(|zone| domain(zone, text("subdomain")))
}

/// The domain of a server's apps, in this zone.
pub fn domain(zone: &str, subdomain: Option<&str>) -> String {
    subdomain.map_or_else(|| zone.to_owned(), |subdomain| format!("{subdomain}.{zone}"))
}

/// How a server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServerStatus {
    /// A job makes it.
    Creating,
    /// It takes commands.
    Running,
    /// It is set up for apps.
    Ready,
    /// A job deletes it.
    Deleting,
    /// The provider does not know it any more.
    Missing,
    /// Making or deleting it failed; something of it may be left.
    Error,
}

/// How the host gets into a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SshAccess {
    /// Whom it logs in as.
    #[schema(example = "root")]
    pub user: String,
    /// TCP port.
    pub port: u16,
    /// The only host key that is accepted, `SHA256:…`; made by the host before the server was.
    pub host_key_fingerprint: Option<String>,
    /// The provider's id of the server's public key.
    pub key_id: Option<String>,
}

impl Default for SshAccess {
    fn default() -> Self {
        Self { user: "root".to_owned(), port: 22, host_key_fingerprint: None, key_id: None }
    }
}
