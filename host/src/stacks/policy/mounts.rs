//! Volumes, and what services mount: an app's own volumes, memory, and nothing of the server.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::exceptions::is_exact_path;
use super::{Exception, Findings, Rules, is_own, is_plain, labels, shown};

/// Where the engine's socket is.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/docker.sock"];

const SHORT_FORM: &str = "write `<volume>:<path>` or `<volume>:<path>:ro` with a volume of the \
                          file's `volumes`, whose name has two characters or more";

/// The volumes of a file by the names that its services use.
pub(super) fn declared(
    section: Option<&Value>,
    rules: &Rules<'_>,
    findings: &mut Findings,
) -> BTreeSet<String> {
    let volumes = match section {
        None => return BTreeSet::new(),
        Some(Value::Object(volumes)) => volumes,
        Some(_) => {
            findings.say("the file", "`volumes` is no mapping");
            return BTreeSet::new();
        }
    };
    for (key, volume) in volumes {
        let place = format!("volume `{}`", shown(key));
        if !is_plain(key) {
            findings.say(&place, "its name is not of a-z, A-Z, 0-9, `_`, `-` and `.`");
        }
        match volume {
            Value::Null => {}
            Value::Object(fields) => one(&place, key, fields, rules, findings),
            _ => findings.say(&place, "it is no mapping"),
        }
    }
    volumes.keys().cloned().collect()
}

fn one(
    place: &str,
    key: &str,
    fields: &Map<String, Value>,
    rules: &Rules<'_>,
    findings: &mut Findings,
) {
    let app = rules.app;
    for (field, value) in fields {
        match field.as_str() {
            "driver" if value.as_str() == Some("local") => {}
            "external" if value.is_null() || value.is_boolean() => {}
            "name" if value.as_str().is_some_and(|name| is_own(name, app)) => {}
            "labels" => labels::plain(place, value, findings),
            "name" => findings.say(
                place,
                format!("its name in the swarm may be another app's: it begins with `{app}_`"),
            ),
            "driver_opts" => findings
                .say(place, "`driver_opts` can mount any folder of the server; leave it out"),
            other => findings
                .say(place, format!("`{}` is not allowed like that; leave it out", shown(other))),
        }
    }
    let is_external = fields.get("external") == Some(&Value::Bool(true));
    if is_external && !fields.contains_key("name") && !is_own(key, app) {
        findings.say(
            place,
            format!("an external volume is the app's own only if its name begins with `{app}_`"),
        );
    }
}

/// What a service mounts.
pub(super) fn check(
    place: &str,
    value: &Value,
    declared: &BTreeSet<String>,
    rules: &Rules<'_>,
    findings: &mut Findings,
) {
    let Value::Array(mounts) = value else {
        if !value.is_null() {
            findings.say(place, "`volumes` is no list");
        }
        return;
    };
    for mount in mounts {
        let said = match mount {
            Value::String(text) => short(text, declared, rules),
            Value::Object(fields) => long(fields, declared, rules),
            _ => Some(format!("a volume that is neither text nor mapping: {SHORT_FORM}")),
        };
        if let Some(said) = said {
            findings.say(place, said);
        }
    }
}

/// Only the spellings that cannot be read in two ways.
fn short(text: &str, declared: &BTreeSet<String>, rules: &Rules<'_>) -> Option<String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] if is_exact_path(target) => return None,
        [source, target] => (*source, *target, "rw"),
        [source, target, mode @ ("ro" | "rw")] => (*source, *target, *mode),
        _ => return Some(format!("the volume `{}` cannot be judged: {SHORT_FORM}", shown(text))),
    };
    let is_read_only = mode == "ro";
    if source.starts_with(['/', '.', '~']) {
        return host_path(source, is_read_only, rules);
    }
    if source.len() < 2 || !is_exact_path(target) {
        return Some(format!("the volume `{}` cannot be judged: {SHORT_FORM}", shown(text)));
    }
    undeclared(source, declared)
}

fn long(
    fields: &Map<String, Value>,
    declared: &BTreeSet<String>,
    rules: &Rules<'_>,
) -> Option<String> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let source = text("source").unwrap_or_default();
    if !text("target").is_some_and(is_exact_path) {
        return Some(format!("the target of the volume `{}` is no absolute path", shown(source)));
    }
    let known = |key: &String| {
        matches!(key.as_str(), "type" | "source" | "target" | "read_only" | "volume" | "tmpfs")
    };
    if let Some(key) = fields.keys().find(|key| !known(key)) {
        return Some(format!("`volumes.{}` is not allowed; leave it out", shown(key)));
    }
    if let Some(options) = fields.get("volume")
        && !matches!(options, Value::Object(it) if it.keys().all(|key| key == "nocopy"))
    {
        return Some("`volumes.volume` is not allowed but for `nocopy`".to_owned());
    }
    match text("type") {
        Some("tmpfs") if !fields.contains_key("source") => None,
        Some("volume") if source.is_empty() && !fields.contains_key("source") => None,
        Some("volume") => undeclared(source, declared),
        Some("bind") => {
            let is_read_only = fields.get("read_only") == Some(&Value::Bool(true));
            host_path(source, is_read_only, rules)
        }
        _ => Some("a volume in the long form has the `type` `volume` or `tmpfs`".to_owned()),
    }
}

fn undeclared(source: &str, declared: &BTreeSet<String>) -> Option<String> {
    let is_known = is_plain(source) && declared.contains(source);
    (!is_known)
        .then(|| format!("the volume `{}` is not declared in the file's `volumes`", shown(source)))
}

fn host_path(source: &str, is_read_only: bool, rules: &Rules<'_>) -> Option<String> {
    let allows = |exception: &Exception| match exception {
        Exception::HostPath { path, read_only } => {
            path == source && is_exact_path(source) && (is_read_only || !read_only)
        }
        Exception::DockerSocket => SOCKETS.contains(&source),
        _ => false,
    };
    if rules.exceptions.iter().any(allows) {
        return None;
    }
    let (path, ro) = (shown(source), if is_read_only { ":ro" } else { "" });
    Some(if source.contains("docker.sock") {
        format!(
            "`{path}` is the engine itself, and with it the whole server: it needs \
             `docker-socket` in the plugin's `grants.stack`"
        )
    } else {
        format!(
            "`{path}` is a path of the server: use a volume, or `host-path:{path}{ro}` in the \
             plugin's `grants.stack`"
        )
    })
}
