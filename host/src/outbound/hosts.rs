//! Which hosts a plugin was granted: `example.org`, `*.example.org`, or either with `:port`.

use reqwest::Url;

/// Whether requests to this URL were granted. Without a port in the grant only the usual ones are.
pub fn is_granted(granted: &[String], url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    granted.iter().any(|granted| {
        let (name, port) = match granted.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().ok()),
            None => (granted.as_str(), None),
        };
        let is_port = match port {
            Some(port) => url.port_or_known_default() == Some(port),
            None => !granted.contains(':') && url.port().is_none(),
        };
        is_port && is_name(&name.to_ascii_lowercase(), &host)
    })
}

fn is_name(granted: &str, host: &str) -> bool {
    match granted.strip_prefix("*.") {
        Some(domain) => {
            let label = host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
            domain.contains('.') && label.is_some_and(|label| !label.is_empty())
        }
        None => granted == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_what_it_names() {
        let granted = ["example.org", "*.example.com", "api.test:8443", "*.com", "*", "10.0.0.1"];
        let granted = granted.map(str::to_owned);
        for (url, is_covered) in [
            ("https://example.org/", true),
            ("http://EXAMPLE.org./x", true),
            ("https://example.org:8443/", false),
            ("https://www.example.org/", false),
            ("https://a.example.com/", true),
            ("https://a.b.example.com/", true),
            ("https://example.com/", false),
            ("https://evilexample.com/", false),
            ("https://api.test:8443/", true),
            ("https://api.test/", false),
            ("https://other.net/", false),
        ] {
            assert_eq!(is_granted(&granted, &url.parse().unwrap()), is_covered, "{url}");
        }
    }
}
