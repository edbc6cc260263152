//! What a plugin asks to be allowed, before anybody says yes.

use serde::{Deserialize, Serialize};

/// What a plugin wants to be allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantsWanted {
    /// Interfaces of the contract, such as `servers`.
    pub interfaces: Vec<String>,
    /// Hosts that it may send HTTP requests to.
    #[serde(default)]
    pub http_hosts: Vec<String>,
    /// Names of secrets that it may make.
    #[serde(default)]
    pub secrets: Vec<String>,
}
