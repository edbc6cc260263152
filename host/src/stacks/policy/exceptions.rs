//! What an operator allowed one plugin's stacks beyond the policy for all.

use std::str::FromStr;

/// One thing that a stack may do although others may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exception {
    /// `publish:<port>/<tcp|udp>`: a port of the server.
    Publish {
        /// Which.
        port: u16,
        /// `tcp` or `udp`.
        protocol: String,
    },
    /// `host-path:<path>` or `host-path:<path>:ro`: exactly this path of the server.
    HostPath {
        /// Which.
        path: String,
        /// Whether it may only be read.
        read_only: bool,
    },
    /// `docker-socket`: the engine itself, and so the whole server.
    DockerSocket,
    /// `host-network`: the server's own network.
    HostNetwork,
    /// `capability:<NAME>`, without `CAP_`.
    Capability(String),
    /// `privileged`.
    Privileged,
}

impl FromStr for Exception {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let parsed = match (kind, rest) {
            ("docker-socket", "") => Some(Self::DockerSocket),
            ("host-network", "") => Some(Self::HostNetwork),
            ("privileged", "") => Some(Self::Privileged),
            ("capability", name) if is_capability(name) => Some(Self::Capability(name.to_owned())),
            ("publish", rest) => publish(rest),
            ("host-path", rest) => host_path(rest),
            _ => None,
        };
        parsed.ok_or_else(|| {
            format!(
                "`{}` is no exception that there is: use publish:<port>/<tcp|udp>, \
                 host-path:<path>, host-path:<path>:ro, docker-socket, host-network, \
                 capability:<NAME> or privileged",
                super::shown(text)
            )
        })
    }
}

fn is_capability(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

fn publish(text: &str) -> Option<Exception> {
    let (port, protocol) = text.split_once('/')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let protocol = matches!(protocol, "tcp" | "udp").then(|| protocol.to_owned())?;
    Some(Exception::Publish { port, protocol })
}

fn host_path(text: &str) -> Option<Exception> {
    let (path, read_only) = match text.strip_suffix(":ro") {
        Some(path) => (path, true),
        None => (text, false),
    };
    is_exact_path(path).then(|| Exception::HostPath { path: path.to_owned(), read_only })
}

/// An absolute path with one spelling.
pub(super) fn is_exact_path(path: &str) -> bool {
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, ':' | '$' | '\\' | ',');
    let mut parts = path.split('/');
    parts.next() == Some("")
        && path.chars().all(allowed)
        && parts.all(|part| !matches!(part, "" | "." | ".."))
}
