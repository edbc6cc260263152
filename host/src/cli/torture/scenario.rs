//! What is tried: one request each, on a home where the ones before it were done.

use std::fmt;

use reqwest::Method;
use serde_json::{Value, json};

/// The server of all scenarios.
pub(super) const SERVER: &str = "torture-1";

/// The app of all scenarios: one that needs another app, a database in it, secrets and a name.
const APP: &str = "umami";

/// One request, in the order of a server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Scenario {
    /// Create a server
    Create,
    /// Make it a swarm node with Traefik, Portainer and names
    Setup,
    /// Deploy an app, and the one that it needs
    Deploy,
    /// Remove the app with its data
    Remove,
    /// Delete the server, and the app that is left on it
    Delete,
}

impl Scenario {
    /// All of them.
    const ALL: [Self; 5] = [Self::Create, Self::Setup, Self::Deploy, Self::Remove, Self::Delete];

    /// Those that were named, each once; all when none was.
    pub(super) fn chosen(named: &[Self]) -> Vec<Self> {
        let is_chosen = |scenario: &Self| named.is_empty() || named.contains(scenario);
        Self::ALL.into_iter().filter(is_chosen).collect()
    }

    /// What has to be done before.
    pub(super) fn before(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().take_while(move |&it| it != self)
    }

    /// The request that makes its job.
    pub(super) fn request(self) -> (Method, String, Option<Value>) {
        let server = format!("/api/servers/{SERVER}");
        match self {
            Self::Create => {
                let body = json!({ "name": SERVER, "server_type": "cx23", "region": "nbg1",
                                   "provider": "sandbox" });
                (Method::POST, "/api/servers".to_owned(), Some(body))
            }
            Self::Setup => {
                let body = json!({ "ssl_email": "ops@example.com", "zone_name": "example.com",
                                   "subdomain": "lab" });
                (Method::POST, format!("{server}/setup"), Some(body))
            }
            Self::Deploy => {
                let body = json!({ "app_name": APP });
                (Method::POST, format!("{server}/apps"), Some(body))
            }
            Self::Remove => (Method::DELETE, format!("{server}/apps/{APP}?delete_data=true"), None),
            Self::Delete => (Method::DELETE, format!("{server}?force=true"), None),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Setup => "setup",
            Self::Deploy => "deploy",
            Self::Remove => "remove",
            Self::Delete => "delete",
        })
    }
}
