//! Networks: an app's own, and the one that the server's apps share.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Exception, Findings, Rules, is_own, labels, shown};

/// What a declared network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// Nobody else is in it.
    Own,
    /// The one that apps share.
    Shared,
}

/// The networks of a file by the names that its services use.
pub(super) fn declared(
    section: Option<&Value>,
    rules: &Rules<'_>,
    findings: &mut Findings,
) -> BTreeMap<String, Network> {
    let mut found = BTreeMap::new();
    let networks = match section {
        None => return found,
        Some(Value::Object(networks)) => networks,
        Some(_) => {
            findings.say("the file", "`networks` is no mapping");
            return found;
        }
    };
    for (key, network) in networks {
        let place = format!("network `{}`", shown(key));
        let kind = match network {
            Value::Null => Network::Own,
            Value::Object(fields) => one(&place, key, fields, rules, findings),
            _ => {
                findings.say(&place, "it is no mapping");
                Network::Own
            }
        };
        found.insert(key.clone(), kind);
    }
    found
}

fn one(
    place: &str,
    key: &str,
    fields: &serde_json::Map<String, Value>,
    rules: &Rules<'_>,
    findings: &mut Findings,
) -> Network {
    let name = fields.get("name");
    match fields.get("external") {
        None | Some(Value::Null | Value::Bool(false)) => {
            own(place, fields, rules, findings);
            return Network::Own;
        }
        Some(Value::Bool(true)) => {}
        Some(_) => {
            findings.say(place, "`external` is `true` or absent; the name stands in `name`");
            return Network::Shared;
        }
    }
    let full = name.map_or(Some(key), Value::as_str);
    let is_host = full == Some("host") && rules.exceptions.contains(&Exception::HostNetwork);
    if full != Some(rules.network) && !is_host {
        let (full, shared) = (shown(full.unwrap_or_default()), rules.network);
        findings.say(
            place,
            format!(
                "`{full}` is not the app's: an app joins only `{shared}` and networks of its own"
            ),
        );
    }
    for key in fields.keys().filter(|key| !matches!(key.as_str(), "external" | "name")) {
        findings.say(place, format!("`{}` is not allowed of an external network", shown(key)));
    }
    Network::Shared
}

fn own(
    place: &str,
    fields: &serde_json::Map<String, Value>,
    rules: &Rules<'_>,
    findings: &mut Findings,
) {
    for (key, value) in fields {
        let is_fine = match key.as_str() {
            "external" | "internal" | "attachable" => true,
            "driver" => value.as_str() == Some("overlay"),
            "name" => value.as_str().is_some_and(|name| is_own(name, rules.app)),
            "driver_opts" => only_encrypted(value),
            "labels" => {
                labels::plain(place, value, findings);
                true
            }
            _ => false,
        };
        if !is_fine {
            let app = rules.app;
            findings.say(
                place,
                format!(
                    "`{}` is not allowed like that: a network of an app's own is an overlay, \
                     perhaps `encrypted`, `internal` or `attachable`, and named `{app}_…` if at all",
                    shown(key)
                ),
            );
        }
    }
}

fn only_encrypted(value: &Value) -> bool {
    matches!(value, Value::Object(options) if options.keys().all(|key| key == "encrypted"))
}

/// The networks that a service joins. Whoever is in a shared one could take another's name there.
pub(super) fn joined(
    place: &str,
    name: &str,
    value: Option<&Value>,
    declared: &BTreeMap<String, Network>,
    app: &str,
    findings: &mut Findings,
) {
    let none = serde_json::Map::new();
    let joined: Vec<(&str, Option<&Value>)> = match value {
        None | Some(Value::Null) => vec![("default", None)],
        Some(Value::Array(names)) => {
            names.iter().map(|name| (name.as_str().unwrap_or_default(), None)).collect()
        }
        Some(Value::Object(map)) => map.iter().map(|(key, it)| (key.as_str(), Some(it))).collect(),
        Some(_) => {
            findings.say(place, "`networks` is neither a list nor a mapping");
            return;
        }
    };
    for (network, options) in joined {
        let is_default = network == "default" && !declared.contains_key(network);
        let kind = declared.get(network).copied().or(is_default.then_some(Network::Own));
        let Some(kind) = kind else {
            findings.say(place, format!("its network `{}` is not declared", shown(network)));
            continue;
        };
        let options = match options {
            None | Some(Value::Null) => &none,
            Some(Value::Object(options)) => options,
            Some(_) => {
                findings.say(place, format!("network `{}`: it is no mapping", shown(network)));
                continue;
            }
        };
        if kind == Network::Shared && !is_harmless(name, app) {
            findings.say(
                place,
                "its name has a `_` and is known in the shared network, where it could be taken \
                 for another app's service: use `-`",
            );
        }
        aliases(place, network, (kind, app), options, findings);
    }
}

/// Whether nobody takes this name in the shared network for another app's service, which is
/// `<stack>_<service>` there.
fn is_harmless(name: &str, app: &str) -> bool {
    !name.contains('_') || is_own(name, app)
}

fn aliases(
    place: &str,
    network: &str,
    (kind, app): (Network, &str),
    options: &serde_json::Map<String, Value>,
    findings: &mut Findings,
) {
    for (key, value) in options {
        let is_fine = |alias: &Value| alias.as_str().is_some_and(|alias| is_own(alias, app));
        let is_none = value.is_null() || value.as_array().is_some_and(|it| it.iter().all(is_fine));
        match (key.as_str(), kind) {
            ("aliases", Network::Own) => {}
            ("aliases", Network::Shared) if is_none => {}
            ("aliases", Network::Shared) => findings.say(
                place,
                format!(
                    "an alias in the shared network `{}` could be another app's name: its \
                     own begin with `{app}_`",
                    shown(network)
                ),
            ),
            _ => findings.say(
                place,
                format!(
                    "`networks.{}.{}` is not allowed; leave it out",
                    shown(network),
                    shown(key)
                ),
            ),
        }
    }
}
