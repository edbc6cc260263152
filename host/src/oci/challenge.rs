//! What a registry asks for before it answers: `WWW-Authenticate`, by RFC 9110 and the token protocol
//! of the distribution specification.

/// How to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With the login itself.
    Basic,
    /// With a token that somebody else gives.
    Bearer {
        /// Who gives it: a URL.
        realm: String,
        /// Whom it is for.
        service: Option<String>,
        /// What it is good for.
        scope: Option<String>,
    },
}

impl Challenge {
    /// The first one of a header that can be met.
    pub(super) fn of(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameters = parameters(rest);
        let of = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        Some(Self::Bearer { realm: of("realm")?, service: of("service"), scope: of("scope") })
    }
}

/// `name="value"` or `name=value`, with commas between.
fn parameters(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let name = name.trim_matches(|c: char| c == ',' || c.is_whitespace()).to_owned();
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        found.push((name, value.trim().to_owned()));
        text = rest;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenges_of_real_registries_are_understood() {
        let docker = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let bearer = Challenge::Bearer {
            realm: "https://auth.docker.io/token".to_owned(),
            service: Some("registry.docker.io".to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        assert_eq!(Challenge::of(docker), Some(bearer));
        assert_eq!(Challenge::of(r#"Basic realm="Registry""#), Some(Challenge::Basic));
        assert_eq!(Challenge::of("basic"), Some(Challenge::Basic));
        let bare = Challenge::of("bearer realm=https://x/t, service=y");
        assert!(
            matches!(bare, Some(Challenge::Bearer { service: Some(ref it), .. }) if it == "y"),
            "{bare:?}"
        );
        for none in ["", "Negotiate", "Bearer", "Bearer service=\"x\"", "Bearer realm"] {
            assert_eq!(Challenge::of(none), None, "{none}");
        }
    }
}
