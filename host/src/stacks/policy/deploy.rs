//! How a service is deployed: what it may use up, and where it runs.

use serde_json::{Map, Value};

use super::{Findings, Rules, labels, scalar, shown};

/// What changes nothing but when and where the app's own containers run.
const FREE: [&str; 6] = [
    "replicas",
    "restart_policy",
    "update_config",
    "rollback_config",
    "placement",
    "endpoint_mode",
];

/// The least memory that the engine takes as a limit, in bytes.
const LEAST_MEMORY: f64 = 6.0 * 1024.0 * 1024.0;

/// The `deploy` of a service.
pub(super) fn check(
    place: &str,
    value: Option<&Value>,
    rules: &Rules<'_>,
    findings: &mut Findings,
) {
    let none = Map::new();
    let fields = match value {
        None | Some(Value::Null) => &none,
        Some(Value::Object(fields)) => fields,
        Some(_) => return findings.say(place, "`deploy` is no mapping"),
    };
    for (key, value) in fields {
        match key.as_str() {
            "labels" => labels::check(place, value, rules, findings),
            "resources" => {}
            "mode" if matches!(value.as_str(), Some("replicated" | "global")) => {}
            "mode" => findings.say(place, "`deploy.mode` is `replicated` or `global`"),
            key if FREE.contains(&key) => {}
            _ => {
                findings
                    .say(place, format!("`deploy.{}` is not allowed; leave it out", shown(key)));
            }
        }
    }
    resources(place, fields.get("resources"), findings);
}

fn resources(place: &str, value: Option<&Value>, findings: &mut Findings) {
    let none = Map::new();
    let fields = match value {
        None | Some(Value::Null) => &none,
        Some(Value::Object(fields)) => fields,
        Some(_) => return findings.say(place, "`deploy.resources` is no mapping"),
    };
    for (part, value) in fields {
        let allowed: &[&str] = match part.as_str() {
            "limits" => &["memory", "cpus", "pids"],
            "reservations" => &["memory", "cpus"],
            _ => &[],
        };
        let is_fine = match value {
            Value::Null => true,
            Value::Object(fields) => fields.keys().all(|key| allowed.contains(&key.as_str())),
            _ => false,
        };
        if !is_fine {
            let part = shown(part);
            findings.say(
                place,
                format!("`deploy.resources.{part}` has more than memory, cpus and pids in it"),
            );
        }
    }
    let limit = |name: &str| fields.get("limits")?.get(name).and_then(scalar);
    if !limit("memory").is_some_and(|text| memory(&text) >= Some(LEAST_MEMORY)) {
        findings.say(
            place,
            "it could use up the server's memory: set `deploy.resources.limits.memory`, such as \
             `512M` (at least 6M)",
        );
    }
    if !limit("cpus").is_some_and(|text| plain_number(&text) > Some(0.0)) {
        findings.say(
            place,
            "it could use up the server's processors: set `deploy.resources.limits.cpus`, such as \
             `\"1.0\"`",
        );
    }
}

/// Bytes of `512M`, `1.5g`, `256mb`, `1GiB`.
fn memory(text: &str) -> Option<f64> {
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let factor = match unit.trim_start() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    plain_number(number).map(|number| number * factor)
}

/// A number of digits, perhaps with a point in it.
fn plain_number(text: &str) -> Option<f64> {
    let is_plain = text.len() <= 20 && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|_| is_plain)
}
