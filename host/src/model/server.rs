//! A server as the host records it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    /// Whether nothing real stands behind it.
    pub simulated: bool,
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
