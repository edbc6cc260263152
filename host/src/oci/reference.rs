//! Where an artifact is: `oci://registry/repository:tag`, or `@sha256:…` for these very bytes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::model::names::{Digest, InvalidName};

/// What every reference begins with.
pub const SCHEME: &str = "oci://";

/// Where an artifact is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The registry: a host name or address, with a port where it is not the usual one.
    pub registry: String,
    /// The repository in it.
    pub repository: String,
    /// A name that can come to mean another artifact.
    pub tag: Option<String>,
    /// The digest of its manifest, which always means the same.
    pub digest: Option<Digest>,
}

impl Reference {
    /// What a registry is asked for: the digest where there is one.
    pub fn pointer(&self) -> Option<&str> {
        self.digest.as_ref().map(Digest::as_str).or(self.tag.as_deref())
    }

    /// The same repository, by this digest.
    #[must_use]
    pub fn at(&self, digest: &Digest) -> Self {
        Self { digest: Some(digest.clone()), ..self.clone() }
    }

    /// The same repository, by this tag.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }

    /// The tag that a version of a plugin has: a `+` cannot be in one.
    pub fn tag_of(version: &str) -> String {
        version.replace('+', "_")
    }

    /// Whether the registry is this very machine.
    pub fn is_local(&self) -> bool {
        is_loopback(&self.registry)
    }
}

/// Whether `host` or `host:port` is this very machine.
pub(super) fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => registry.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

impl FromStr for Reference {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let shown: String = text.chars().take(120).collect();
        let refused = |why: &str| {
            InvalidName::new(format!(
                "`{}` names no plugin in a registry: {why}; a reference looks like \
                 oci://registry.example.com/team/my-app:1.0.0",
                shown.escape_debug()
            ))
        };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| refused("it begins with oci://"))?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (rest, None),
        };
        let (registry, path) =
            rest.split_once('/').ok_or_else(|| refused("a repository follows the registry"))?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (path, None),
        };
        if !is_registry(registry) {
            return Err(refused("its registry is no host name"));
        }
        if repository.len() > 255 || !repository.split('/').all(is_component) {
            return Err(refused("its repository has other characters than a-z, 0-9, . _ - and /"));
        }
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(refused("its tag has other characters than letters, digits, . _ and -"));
        }
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned(), tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("v6", port.strip_prefix(':'))
            }
            _ => return false,
        },
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    host.len() <= 253
        && host.split('.').all(is_label)
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Runs of a-z and 0-9, with `.`, `_`, `__` or dashes between them.
fn is_component(component: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separator = String::new();
    for c in component.chars() {
        if !is_alphanumeric(c) {
            separator.push(c);
            continue;
        }
        let is_one = matches!(separator.as_str(), "" | "." | "_" | "__")
            || separator.chars().all(|it| it == '-');
        if !is_one {
            return false;
        }
        separator.clear();
    }
    component.starts_with(is_alphanumeric) && component.ends_with(is_alphanumeric)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=128).contains(&tag.len())
        && tag.starts_with(is_word)
        && tag.chars().all(|c| is_word(c) || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_taken_apart_and_put_together() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for text in [
            "oci://ghcr.io/team/my-app:1.0.0".to_owned(),
            "oci://127.0.0.1:5000/shop".to_owned(),
            "oci://[::1]:5000/a/b/c:latest".to_owned(),
            format!("oci://localhost/a__b/c--d@{digest}"),
            format!("oci://ghcr.io/team/my-app:1.0.0@{digest}"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        let both: Reference = format!("oci://ghcr.io/a:1@{digest}").parse().unwrap();
        assert_eq!(both.pointer(), Some(digest.as_str()));
        assert_eq!(Reference::tag_of("1.0.0+build.5"), "1.0.0_build.5");
    }

    #[test]
    fn what_is_none_is_refused_with_an_example() {
        for text in [
            "ghcr.io/a:1",
            "oci://ghcr.io",
            "oci:///a",
            "oci://ghcr.io/A",
            "oci://ghcr.io/a/../b",
            "oci://ghcr.io/a//b",
            "oci://ghcr.io/a:1/../2",
            "oci://user@ghcr.io/a",
            "oci://ghcr.io:99999/a",
            "oci://ghcr.io/a?x=1",
            "oci://ghcr.io/a:",
            "oci://ghcr.io/a@sha256:12",
            "oci://gh cr.io/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        let said = "oci://x/A".parse::<Reference>().unwrap_err().to_string();
        assert!(said.contains("oci://registry.example.com/team/my-app:1.0.0"), "{said}");
    }

    #[test]
    fn only_this_machine_is_local() {
        for local in ["localhost:5000", "127.0.0.1", "127.8.8.8:1", "[::1]:5000"] {
            assert!(is_loopback(local), "{local}");
        }
        for other in ["localhost.example.com", "128.0.0.1", "ghcr.io", "[::2]:5000"] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
