//! Published ports: past Traefik, and past the firewall, for all the internet.

use serde_json::{Map, Value};

use super::{Exception, Findings, Rules, scalar, shown};

/// What a service publishes.
pub(super) fn check(place: &str, value: &Value, rules: &Rules<'_>, findings: &mut Findings) {
    let Value::Array(ports) = value else {
        if !value.is_null() {
            findings.say(place, "`ports` is no list");
        }
        return;
    };
    for port in ports {
        let wanted = match port {
            Value::Object(fields) => long(fields),
            other => scalar(other).and_then(|text| short(&text)),
        };
        let is_allowed = wanted.as_ref().is_some_and(|(wanted, protocol)| {
            let wanted = Exception::Publish { port: *wanted, protocol: protocol.clone() };
            rules.exceptions.contains(&wanted)
        });
        if is_allowed {
            continue;
        }
        let text = shown(&scalar(port).unwrap_or_else(|| port.to_string()));
        findings.say(
            place,
            match wanted {
                Some((wanted, protocol)) => format!(
                    "it publishes port {wanted}/{protocol} of the server to everybody: let \
                     Traefik route to it, or have `publish:{wanted}/{protocol}` in the plugin's \
                     `grants.stack`"
                ),
                None => format!(
                    "the port `{text}` cannot be judged, and would be open to everybody: let \
                     Traefik route to it, or write `<published>:<target>` or \
                     `<published>:<target>/udp`, and have `publish:…` in `grants.stack`"
                ),
            },
        );
    }
}

/// Port and protocol of `8080:80`, `8080:80/tcp` and `8080:80/udp`; every other spelling publishes
/// more than one port, or one that nobody chose.
fn short(text: &str) -> Option<(u16, String)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (published, target) = ports.split_once(':')?;
    port(target)?;
    Some((port(published)?, known(protocol)?))
}

fn long(fields: &Map<String, Value>) -> Option<(u16, String)> {
    let text = |key: &str| fields.get(key).and_then(scalar);
    let allowed =
        |key: &String| matches!(key.as_str(), "target" | "published" | "protocol" | "mode");
    if !fields.keys().all(allowed) {
        return None;
    }
    port(&text("target")?)?;
    let protocol = text("protocol").unwrap_or_else(|| "tcp".to_owned());
    Some((port(&text("published")?)?, known(&protocol)?))
}

fn port(text: &str) -> Option<u16> {
    let is_plain = text.chars().all(|c| c.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

fn known(protocol: &str) -> Option<String> {
    matches!(protocol, "tcp" | "udp").then(|| protocol.to_owned())
}
