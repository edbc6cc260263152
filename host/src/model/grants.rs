//! What a plugin asks to be allowed, before anybody says yes.

use std::fmt;

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
    /// What its stacks may do beyond the policy for all: `publish:<port>/<tcp|udp>`,
    /// `host-path:<path>` (or `host-path:<path>:ro`), `docker-socket`, `host-network`,
    /// `capability:<NAME>`, `privileged`.
    #[serde(default)]
    pub stack: Vec<String>,
}

impl GrantsWanted {
    /// What everybody may who runs at all: tell how his job is getting on.
    pub fn least() -> Self {
        Self { interfaces: vec!["job".to_owned()], ..Self::default() }
    }

    /// What of this the other one does not have.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        self.by_kind(other, |mine, others| {
            mine.iter().filter(|it| !others.iter().any(|has| covers(has, it))).cloned().collect()
        })
    }

    /// What of this the other one has as well.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        self.by_kind(other, |mine, others| {
            mine.iter().filter(|it| others.iter().any(|has| covers(has, it))).cloned().collect()
        })
    }

    /// This and what the other one has.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        self.by_kind(&other.beyond(self), |mine, others| {
            mine.iter().chain(others).cloned().collect()
        })
    }

    /// Whether it is nothing at all.
    pub const fn is_empty(&self) -> bool {
        self.interfaces.is_empty()
            && self.http_hosts.is_empty()
            && self.secrets.is_empty()
            && self.stack.is_empty()
    }

    fn by_kind(&self, other: &Self, combine: impl Fn(&[String], &[String]) -> Vec<String>) -> Self {
        Self {
            interfaces: combine(&self.interfaces, &other.interfaces),
            http_hosts: combine(&self.http_hosts, &other.http_hosts),
            secrets: combine(&self.secrets, &other.secrets),
            stack: combine(&self.stack, &other.stack),
        }
    }
}

impl fmt::Display for GrantsWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("interfaces", &self.interfaces),
            ("http hosts", &self.http_hosts),
            ("secrets", &self.secrets),
            ("stack", &self.stack),
        ];
        let told: Vec<String> = kinds
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(kind, names)| format!("{kind} {}", names.join(", ")))
            .collect();
        f.write_str(if told.is_empty() { "nothing" } else { "" })?;
        f.write_str(&told.join("; "))
    }
}

/// Whether one grant is the other, or `prefix/*` that the other begins with.
fn covers(has: &str, wanted: &str) -> bool {
    let prefix = has.strip_suffix('*').filter(|prefix| prefix.ends_with('/'));
    has == wanted || prefix.is_some_and(|prefix| wanted.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(interfaces: &[&str], secrets: &[&str]) -> GrantsWanted {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        GrantsWanted {
            interfaces: owned(interfaces),
            secrets: owned(secrets),
            ..GrantsWanted::default()
        }
    }

    #[test]
    fn what_is_taken_away_is_gone_and_what_is_covered_is_no_more() {
        let old = grants(&["job", "ssh"], &["app/*"]);
        let new = grants(&["job", "ssh", "dns"], &["app/password", "root/password"]);
        assert_eq!(new.beyond(&old), grants(&["dns"], &["root/password"]));
        assert_eq!(new.within(&old), grants(&["job", "ssh"], &["app/password"]));
        assert_eq!(old.beyond(&grants(&["ssh"], &[])), grants(&["job"], &["app/*"]));
        assert_eq!(old.with(&grants(&["dns", "ssh"], &[])).interfaces, ["job", "ssh", "dns"]);
        assert!(old.beyond(&old).is_empty());
    }

    #[test]
    fn a_prefix_covers_what_is_below_it_and_nothing_else() {
        assert!(covers("app/*", "app/password") && covers("app/*", "app/*"));
        assert!(!covers("app*", "apple") && !covers("app/password", "app/*"));
    }

    #[test]
    fn grants_are_told_in_a_line() {
        let told = grants(&["ssh", "dns"], &["app/*"]).to_string();
        assert_eq!(told, "interfaces ssh, dns; secrets app/*");
        assert_eq!(GrantsWanted::default().to_string(), "nothing");
    }
}
