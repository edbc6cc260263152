//! What an app's stack may do to its server and to the other apps on it. What is not known to be
//! harmless is refused: a Compose file has more ways out of a container than anybody can list.
//!
//! It judges the tree of a Compose file, and [`crate::stacks::compose::normal`] writes that very
//! tree for the engine, so that no peculiarity of YAML can make the engine read something else.

mod deploy;
mod exceptions;
mod labels;
mod mounts;
mod networks;
mod ports;
mod rule;
mod services;
#[cfg(test)]
mod tests;

use std::fmt::Display;

use serde_json::{Map, Value};

pub use exceptions::Exception;

/// The most that is said of one file: who has so much to mend begins anew.
const MOST_FINDINGS: usize = 40;

/// The deepest that a file may be nested.
const DEEPEST: usize = 32;

/// Whose stack it is, and what it may do.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The app, which is the stack's name too.
    pub app: &'a str,
    /// The server's network that apps share.
    pub network: &'a str,
    /// The names that it may be reached by.
    pub hosts: &'a [String],
    /// What it may do beyond what all may.
    pub exceptions: &'a [Exception],
}

/// Everything in a Compose file that an app may not have, each as a sentence that says where, what
/// and how to mend it. Nothing of it depends on anything but the arguments.
pub fn check(compose: &Value, rules: &Rules<'_>) -> Vec<String> {
    let mut findings = Findings::default();
    let Value::Object(fields) = compose else {
        findings.say("the file", "it is no mapping: it begins with `services:`");
        return findings.0;
    };
    texts(compose, &mut Vec::new(), &mut findings);
    for (key, value) in fields {
        match key.as_str() {
            "services" | "networks" | "volumes" => {}
            "secrets" | "configs" => kept(key, value, rules, &mut findings),
            "version" if value.is_string() => {}
            key if key.starts_with("x-") => {}
            _ => findings.say(
                "the file",
                format!(
                    "`{}` is not allowed at its top; services, networks, volumes, secrets, \
                     configs, version and x-… are",
                    shown(key)
                ),
            ),
        }
    }
    let networks = networks::declared(section(fields, "networks"), rules, &mut findings);
    let volumes = mounts::declared(section(fields, "volumes"), rules, &mut findings);
    let declared = services::Declared { networks, volumes };
    match section(fields, "services") {
        Some(Value::Object(services)) if !services.is_empty() => {
            for (name, service) in services {
                services::check(name, service, &declared, rules, &mut findings);
            }
        }
        _ => findings.say("the file", "it has no `services`"),
    }
    findings.0
}

/// What was found, as sentences.
#[derive(Debug, Default)]
struct Findings(Vec<String>);

impl Findings {
    fn say(&mut self, place: &str, what: impl Display) {
        if self.0.len() < MOST_FINDINGS {
            self.0.push(format!("{place}: {what}"));
        }
    }
}

fn section<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

/// Variables where one could change what is judged, and words that YAML gives a meaning to.
fn texts<'a>(value: &'a Value, path: &mut Vec<&'a str>, findings: &mut Findings) {
    if path.len() > DEEPEST {
        findings.say("the file", format!("it is nested more than {DEEPEST} deep"));
        return;
    }
    match value {
        Value::String(text) if has_variable(text) && !takes_variables(path) => {
            findings.say(
                &place(path),
                "variables and secrets may only stand in `environment`, `command`, `entrypoint` \
                 and `healthcheck.test`; write a `$` that is none as `$$`",
            );
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == "<<" || key.contains('$') {
                    let key = shown(key);
                    findings.say(
                        &place(path),
                        format!("the key `{key}` is not allowed: write out what it stands for"),
                    );
                }
                path.push(key);
                texts(value, path, findings);
                path.pop();
            }
        }
        Value::Array(items) => {
            for item in items {
                path.push("[]");
                texts(item, path, findings);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Where in the file.
fn place(path: &[&str]) -> String {
    match path {
        [] => "the file".to_owned(),
        path => format!("`{}`", path.iter().map(|part| shown(part)).collect::<Vec<_>>().join(".")),
    }
}

/// Whether the engine would put a value into it; `$$` is a dollar sign.
fn has_variable(text: &str) -> bool {
    text.replace("$$", "").contains('$')
}

/// Places whose text only the container sees.
fn takes_variables(path: &[&str]) -> bool {
    match path {
        ["services", _, "environment" | "command" | "entrypoint", ..] => true,
        ["services", _, "healthcheck", "test", ..] => true,
        // Who may log in, with the hashes of passwords; written as a mapping only.
        ["services", _, "labels", key] | ["services", _, "deploy", "labels", key] => {
            key.to_ascii_lowercase().ends_with(".basicauth.users")
        }
        _ => false,
    }
}

/// Secrets and configs of the swarm: an app's own, made beforehand.
fn kept(section: &str, value: &Value, rules: &Rules<'_>, findings: &mut Findings) {
    let Value::Object(entries) = value else {
        if !value.is_null() {
            findings.say("the file", format!("`{section}` is no mapping"));
        }
        return;
    };
    for (name, entry) in entries {
        let place = format!("{} `{}`", section.trim_end_matches('s'), shown(name));
        let Value::Object(fields) = entry else {
            findings.say(&place, "it says not what it is; use `external: true`");
            continue;
        };
        for key in fields.keys().filter(|key| !matches!(key.as_str(), "external" | "name")) {
            let what = match key.as_str() {
                "file" => "would read a file of the server; hand values over in `environment`",
                _ => "is not allowed; only `external` and `name` are",
            };
            findings.say(&place, format!("`{}` {what}", shown(key)));
        }
        let full = fields.get("name").map_or(Some(name.as_str()), Value::as_str);
        if fields.get("external") != Some(&Value::Bool(true)) {
            findings.say(&place, "only `external: true` is allowed: an app keeps none itself");
        } else if !full.is_some_and(|full| is_own(full, rules.app)) {
            let app = rules.app;
            findings.say(&place, format!("it may be another app's: names begin with `{app}_`"));
        }
    }
}

/// Whether a name in the swarm is one of the app's.
fn is_own(name: &str, app: &str) -> bool {
    name.strip_prefix(app).is_some_and(|rest| rest.starts_with('_') && is_plain(rest))
}

/// A name that means the same to everybody.
fn is_plain(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty() && text.len() <= 200 && text.chars().all(allowed) && !text.contains("..")
}

/// A text as a sentence can have it.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    short.escape_debug().to_string()
}

/// A number or text as text; none for anything else.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
