//! One service of a stack.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::networks::Network;
use super::{Exception, Findings, Rules, deploy, labels, mounts, networks, ports, scalar, shown};

/// What only the container itself sees.
const FREE: [&str; 18] = [
    "cap_drop",
    "command",
    "configs",
    "depends_on",
    "entrypoint",
    "expose",
    "healthcheck",
    "init",
    "read_only",
    "restart",
    "secrets",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "tmpfs",
    "tty",
    "user",
    "working_dir",
];

/// What is refused, and why or what to do instead.
const REFUSED: [(&str, &str); 15] = [
    ("build", "the swarm runs images only: name one in `image`"),
    ("cgroup_parent", "it would leave the limits of its own; leave it out"),
    ("cgroupns_mode", "it would see the server's own control groups; leave it out"),
    ("container_name", "the swarm names containers itself; leave it out"),
    ("credential_spec", "it reads what belongs to the server; leave it out"),
    ("devices", "devices belong to the server; leave it out"),
    ("env_file", "it would read a file of the server: use `environment`"),
    ("extends", "it would read another file: write out what it stands for"),
    ("ipc", "it would share memory with others; leave it out"),
    ("isolation", "containers are isolated as the engine does it; leave it out"),
    ("links", "services find one another by their names; leave it out"),
    ("pid", "it would see the processes of others; leave it out"),
    ("security_opt", "it would weaken what holds the container; leave it out"),
    ("shm_size", "the swarm ignores it: mount a tmpfs at /dev/shm"),
    ("userns_mode", "it would be root of the server; leave it out"),
];

/// What the file has beside its services.
pub(super) struct Declared {
    /// Its networks.
    pub(super) networks: BTreeMap<String, Network>,
    /// Its volumes.
    pub(super) volumes: BTreeSet<String>,
}

/// Judges one service.
pub(super) fn check(
    name: &str,
    service: &Value,
    declared: &Declared,
    rules: &Rules<'_>,
    findings: &mut Findings,
) {
    let place = format!("service `{}`", shown(name));
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let is_short = name.len() + rules.app.len() < 63;
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(allowed) {
        findings.say(&place, "its name is not of a-z, 0-9, `-` and `_`");
    }
    if !is_short {
        findings.say(&place, "its name is too long: with the stack's it has at most 63 characters");
    }
    let Value::Object(fields) = service else {
        return findings.say(&place, "it is no mapping");
    };
    for (key, value) in fields {
        if !FREE.contains(&key.as_str()) {
            field(&place, key, value, declared, rules, findings);
        }
    }
    image(&place, fields, findings);
    // In the server's own network there is nothing to join.
    if fields.get("network_mode").is_none_or(Value::is_null) {
        let (value, known) = (fields.get("networks"), &declared.networks);
        networks::joined(&place, name, value, known, rules.app, findings);
    }
    deploy::check(&place, fields.get("deploy"), rules, findings);
}

fn field(
    place: &str,
    key: &str,
    value: &Value,
    declared: &Declared,
    rules: &Rules<'_>,
    findings: &mut Findings,
) {
    match key {
        "image" | "deploy" | "networks" => {}
        "volumes" => mounts::check(place, value, &declared.volumes, rules, findings),
        "ports" => ports::check(place, value, rules, findings),
        "labels" => labels::check(place, value, rules, findings),
        "environment" => environment(place, value, findings),
        "privileged" => {
            let is_granted = rules.exceptions.contains(&Exception::Privileged);
            if *value != Value::Bool(false) && !is_granted {
                findings.say(
                    place,
                    "`privileged` gives it the whole server: leave it out, or have `privileged` \
                     in the plugin's `grants.stack`",
                );
            }
        }
        "network_mode" => {
            let is_granted = rules.exceptions.contains(&Exception::HostNetwork);
            if value.as_str() != Some("host") || !is_granted {
                findings.say(
                    place,
                    "`network_mode` is not allowed: use `networks`, or have `host-network` in the \
                     plugin's `grants.stack` for `host`",
                );
            }
        }
        "cap_add" => capabilities(place, value, rules, findings),
        "hostname" => hostname(place, value, findings),
        "logging" => logging(place, value, findings),
        "sysctls" => names_of(place, "sysctls", value, &|it| it.starts_with("net."), findings),
        "ulimits" => {
            let is_fine = |it: &str| matches!(it, "nofile" | "nproc" | "memlock" | "core");
            names_of(place, "ulimits", value, &is_fine, findings);
        }
        _ => {
            let known = REFUSED.iter().find(|(refused, _)| *refused == key);
            let why = known.map_or("an app's stack may not say it; leave it out", |(_, why)| why);
            findings.say(place, format!("`{}` is not allowed: {why}", shown(key)));
        }
    }
}

/// A version that stays what it is.
fn image(place: &str, fields: &Map<String, Value>, findings: &mut Findings) {
    let text = fields.get("image").and_then(Value::as_str).unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let (name, digest) = text.split_once('@').unwrap_or((text, ""));
    let tag = name.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    let is_pinned = match tag {
        Some(tag) => !tag.is_empty() && !tag.eq_ignore_ascii_case("latest"),
        None => digest.starts_with("sha256:"),
    };
    if name.is_empty() || !text.chars().all(allowed) {
        findings.say(place, "it has no `image`, or one that is no name");
    } else if !is_pinned {
        findings.say(
            place,
            format!(
                "the image `{}` may be another one tomorrow: give it the tag of a version (not \
                 `latest`), or a digest",
                shown(text)
            ),
        );
    }
}

/// Without a value the engine would take the server's own.
fn environment(place: &str, value: &Value, findings: &mut Findings) {
    let mut refuse = |name: &str| {
        let name = shown(name);
        findings.say(place, format!("the variable `{name}` has no value: give it one"));
    };
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, _) in fields.iter().filter(|(_, value)| scalar(value).is_none()) {
                refuse(name);
            }
        }
        Value::Array(items) => {
            for item in items {
                if !item.as_str().is_some_and(|text| text.contains('=')) {
                    refuse(item.as_str().unwrap_or_default());
                }
            }
        }
        _ => findings.say(place, "`environment` is neither a mapping nor a list"),
    }
}

fn capabilities(place: &str, value: &Value, rules: &Rules<'_>, findings: &mut Findings) {
    let Value::Array(names) = value else {
        return findings.say(place, "`cap_add` is no list");
    };
    for name in names {
        let full = name.as_str().unwrap_or_default().to_ascii_uppercase();
        let name = full.strip_prefix("CAP_").unwrap_or(&full).to_owned();
        if !rules.exceptions.contains(&Exception::Capability(name.clone())) {
            let name = shown(&name);
            findings.say(
                place,
                format!(
                    "the capability `{name}` is not allowed: leave it out, or have \
                     `capability:{name}` in the plugin's `grants.stack`"
                ),
            );
        }
    }
}

fn hostname(place: &str, value: &Value, findings: &mut Findings) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !value.as_str().is_some_and(|text| !text.is_empty() && text.chars().all(allowed)) {
        findings.say(place, "its `hostname` is not of a-z, 0-9 and `-`");
    }
}

/// Other drivers send what it says elsewhere.
fn logging(place: &str, value: &Value, findings: &mut Findings) {
    let driver = value.get("driver").and_then(Value::as_str);
    if !matches!(driver, Some("json-file" | "local" | "none")) {
        findings.say(place, "`logging.driver` is json-file, local or none");
    }
}

/// Keys of a mapping, or of a list of `key=value`.
fn names_of(
    place: &str,
    what: &str,
    value: &Value,
    is_fine: &dyn Fn(&str) -> bool,
    findings: &mut Findings,
) {
    let names: Vec<&str> = match value {
        Value::Null => Vec::new(),
        Value::Object(fields) => fields.keys().map(String::as_str).collect(),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().and_then(|it| it.split('=').next()).unwrap_or_default())
            .collect(),
        _ => vec![""],
    };
    for name in names.into_iter().filter(|name| !is_fine(name)) {
        findings.say(place, format!("`{what}.{}` is not allowed; leave it out", shown(name)));
    }
}
