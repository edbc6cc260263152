//! Labels: what Traefik, Portainer and the engine read of a service. A label can take another app's
//! name away, or send its visitors elsewhere.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Findings, Rules, rule, scalar, shown};

/// Whose labels nobody but they themselves set.
const OTHERS: [&str; 4] = ["com.docker.", "io.portainer.", "windlass", "org.windlass."];

/// Kinds of Traefik's middlewares that only change what goes through the app's own routers.
const MIDDLEWARES: [&str; 14] = [
    "addprefix",
    "basicauth",
    "buffering",
    "compress",
    "contenttype",
    "headers",
    "inflightreq",
    "ipallowlist",
    "ratelimit",
    "redirectregex",
    "redirectscheme",
    "replacepath",
    "replacepathregex",
    "stripprefix",
];

/// Where requests come in that an app may answer.
const ENTRY_POINTS: [&str; 2] = ["web", "websecure"];

/// Labels of something that is no service.
pub(super) fn plain(place: &str, value: &Value, findings: &mut Findings) {
    for key in pairs(place, value, findings).keys() {
        if OTHERS.iter().any(|prefix| key.starts_with(prefix)) {
            findings.say(place, format!("the label `{}` is the host's own to set", shown(key)));
        }
    }
}

/// Labels of a service or of its containers.
pub(super) fn check(place: &str, value: &Value, rules: &Rules<'_>, findings: &mut Findings) {
    plain(place, value, findings);
    let pairs = pairs(place, value, &mut Findings::default());
    let mut routers: BTreeMap<&str, bool> = BTreeMap::new();
    for (key, values) in &pairs {
        let Some(rest) = key.strip_prefix("traefik.") else { continue };
        let parts: Vec<&str> = rest.split('.').collect();
        if let ["http", "routers", name, property, ..] = parts.as_slice() {
            *routers.entry(name).or_default() |= *property == "rule";
        }
        for value in values {
            if let Some(said) = traefik(&parts, value, rules) {
                findings.say(place, format!("the label `{}`: {said}", shown(key)));
            }
        }
    }
    for (name, _) in routers.iter().filter(|(_, has_rule)| !**has_rule) {
        findings.say(
            place,
            format!("the router `{}` has no rule: add `traefik.http.routers.….rule`", shown(name)),
        );
    }
}

/// Each key, in lower case as Traefik reads it, with every value that is given for it.
fn pairs(place: &str, value: &Value, findings: &mut Findings) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |key: &str, value: String| {
        found.entry(key.trim().to_ascii_lowercase()).or_default().push(value);
    };
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (key, value) in fields {
                match scalar(value) {
                    Some(value) => add(key, value),
                    None if value.is_null() => add(key, String::new()),
                    None => {
                        findings.say(place, format!("the label `{}` is no text", shown(key)));
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                match item.as_str() {
                    Some(text) => {
                        let (key, value) = text.split_once('=').unwrap_or((text, ""));
                        add(key, value.to_owned());
                    }
                    None => findings.say(place, "a label in a list is no text"),
                }
            }
        }
        _ => findings.say(place, "`labels` are neither a mapping nor a list"),
    }
    found
}

/// What is wrong with one of Traefik's labels.
fn traefik(parts: &[&str], value: &str, rules: &Rules<'_>) -> Option<String> {
    match parts {
        ["enable"] | ["docker" | "swarm", "lbswarm"] => None,
        ["docker" | "swarm", "network"] => (value != rules.network)
            .then(|| format!("Traefik reaches apps in `{}` only", rules.network)),
        ["http", kind @ ("routers" | "services" | "middlewares"), name, rest @ ..] => {
            if !is_own(name, rules.app) {
                let app = rules.app;
                return Some(format!(
                    "`{}` may be another app's: {kind} of this one are named `{app}` or `{app}-…`",
                    shown(name)
                ));
            }
            match *kind {
                "routers" => router(rest, value, rules),
                "services" => service(rest),
                _ => middleware(rest, value),
            }
        }
        _ => Some("an app may set Traefik's HTTP routers, services and middlewares only".into()),
    }
}

fn is_own(name: &str, app: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let rest = name.strip_prefix(app);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
        && name.chars().all(allowed)
}

fn router(rest: &[&str], value: &str, rules: &Rules<'_>) -> Option<String> {
    let names = || value.split(',').map(str::trim);
    match rest {
        ["rule"] => match rule::is_confined(value, rules.hosts) {
            Some(true) => None,
            Some(false) => Some(foreign(value, rules)),
            None => Some(format!(
                "the rule `{}` cannot be judged: write Host(`…`), Path(`…`), PathPrefix(`…`) and \
                 the like with backticks, joined by && and ||",
                shown(value)
            )),
        },
        ["entrypoints"] => {
            let other = names().find(|name| !ENTRY_POINTS.contains(name));
            other.map(|name| format!("`{}` is no entry point: web and websecure are", shown(name)))
        }
        ["middlewares" | "service"] => {
            let other = names().find(|name| !is_own(name, rules.app));
            other.map(|name| format!("`{}` may be another app's; use this app's own", shown(name)))
        }
        ["tls", domains, "main" | "sans"] if domains.starts_with("domains[") => {
            let is_own = |name: &str| rules.hosts.iter().any(|host| host == name);
            names().any(|name| !is_own(name)).then(|| foreign(value, rules))
        }
        ["tls" | "priority"] | ["tls", "certresolver"] => None,
        _ => Some("this property of a router is not an app's to set; leave it out".to_owned()),
    }
}

fn foreign(value: &str, rules: &Rules<'_>) -> String {
    let own = match rules.hosts {
        [] => "it has none: give the server a zone, or the app a `domain`".to_owned(),
        hosts => format!("its own are {}", hosts.join(", ")),
    };
    format!("`{}` is about names that are not this app's; {own}", shown(value))
}

fn service(rest: &[&str]) -> Option<String> {
    let is_fine = matches!(
        rest,
        ["loadbalancer", "server", "port" | "scheme"]
            | ["loadbalancer", "passhostheader"]
            | ["loadbalancer", "healthcheck" | "sticky" | "responseforwarding", ..]
    );
    (!is_fine).then(|| {
        "an app's requests go to its own containers: set `loadbalancer.server.port` only".to_owned()
    })
}

fn middleware(rest: &[&str], value: &str) -> Option<String> {
    let kind = rest.first().copied().unwrap_or_default();
    if !MIDDLEWARES.contains(&kind) {
        return Some(format!("`{}` is no kind of middleware that an app may use", shown(kind)));
    }
    if rest.contains(&"usersfile") {
        return Some(format!("`{}` would be read in Traefik; use `users`", shown(value)));
    }
    None
}
