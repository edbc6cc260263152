//! What the descriptor of an app has to be like, beyond that of any plugin.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::model::names::AppName;
use crate::model::secret::SecretName;
use crate::plugins::descriptor::Descriptor;

/// The interfaces of the world `app`: no commands on a server, no provider.
const INTERFACES: [&str; 7] = ["job", "stacks", "dns", "http", "secrets", "databases", "inventory"];

/// The most other apps that one needs directly, and the most names that it takes.
const MOST: usize = 32;

impl Descriptor {
    /// The properties of an app's configuration that are secrets: those marked `writeOnly`.
    pub fn secret_properties(&self) -> impl Iterator<Item = &str> {
        properties(&self.params).filter(|(_, schema)| is_secret(schema)).map(|(name, _)| &**name)
    }

    /// The name of the secret that holds such a property of this app.
    pub fn config_secret(app: &AppName, property: &str) -> String {
        format!("{app}/config-{}", property.to_lowercase().replace('_', "-"))
    }

    /// What is wrong with it as an app's, as the end of a sentence.
    pub(super) fn check_app(&self) -> Result<(), String> {
        let name: AppName = self.name.parse().map_err(|error| format!("its name: {error}"))?;
        self.check_interfaces()?;
        self.check_dependencies(&name)?;
        self.check_prefixes()?;
        if self.params.get("type") != Some(&Value::from("object")) {
            return Err("`params` is not a schema of an object: say `\"type\": \"object\"`".into());
        }
        self.check_secrets(&name)
    }

    fn check_interfaces(&self) -> Result<(), String> {
        let foreign = self.grants.interfaces.iter().find(|it| !INTERFACES.contains(&it.as_str()));
        match foreign {
            Some(interface) => Err(format!(
                "an app has no `{interface}`: it may ask for {}",
                INTERFACES.join(", ")
            )),
            None => Ok(()),
        }
    }

    fn check_dependencies(&self, name: &AppName) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for text in &self.dependencies {
            let needed: AppName = text.parse().map_err(|error| format!("a dependency: {error}"))?;
            if needed == *name || !seen.insert(needed) {
                return Err(format!("the dependency `{text}` is itself, or is there twice"));
            }
        }
        if seen.len() > MOST {
            return Err(format!("it has {} dependencies, at most {MOST}", seen.len()));
        }
        Ok(())
    }

    fn check_prefixes(&self) -> Result<(), String> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let mut seen = BTreeSet::new();
        for prefix in &self.dns_prefixes {
            let is_label = (1..=63).contains(&prefix.len())
                && prefix.chars().all(allowed)
                && !prefix.starts_with('-')
                && !prefix.ends_with('-');
            if !is_label || !seen.insert(prefix) {
                return Err(format!(
                    "`{}` is no DNS prefix, or is there twice: use 1 to 63 of a-z, 0-9 and -",
                    prefix.escape_debug()
                ));
            }
        }
        if seen.len() > MOST {
            return Err(format!("it has {} DNS prefixes, at most {MOST}", seen.len()));
        }
        Ok(())
    }

    /// The host takes secrets out of a configuration by name, at its top.
    fn check_secrets(&self, name: &AppName) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for (property, schema) in properties(&self.params) {
            if !is_secret(schema) {
                if has_secret(schema) {
                    return Err(format!(
                        "`{property}` has a `writeOnly` within it: only properties at the top of \
                         `params` can be secrets"
                    ));
                }
                continue;
            }
            if schema.get("type") != Some(&Value::from("string")) {
                return Err(format!(
                    "`{property}` is `writeOnly` and no string: only those can be"
                ));
            }
            let secret = Self::config_secret(name, property);
            let is_name = secret.parse::<SecretName>().is_ok();
            if !is_name || !seen.insert(secret) {
                return Err(format!(
                    "`{property}` cannot be `writeOnly`: the name of its secret would not be one, \
                     or another property's; use a-z, 0-9, _ and -"
                ));
            }
        }
        let hidden = ["$defs", "definitions", "allOf", "anyOf", "oneOf", "patternProperties"];
        match hidden.iter().find(|it| self.params.get(**it).is_some_and(has_secret)) {
            Some(place) => Err(format!(
                "there is a `writeOnly` in `{place}` of `params`: only properties at the top can \
                 be secrets"
            )),
            None => Ok(()),
        }
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
}

/// Whether something in it is marked as a secret.
fn has_secret(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => is_secret(schema) || fields.values().any(has_secret),
        Value::Array(items) => items.iter().any(has_secret),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plugins::descriptor::Kind;

    fn check(field: &str, value: Value) -> Result<(), String> {
        let mut descriptor = json!({
            "name": "n8n", "kind": "app", "version": "1.0.0", "title": "n8n",
            "description": "Workflows.", "category": "automation",
            "params": { "type": "object" }, "result": { "type": "object" }, "steps": [],
            "grants": { "interfaces": ["job", "stacks"] },
        });
        if let Some(fields) = descriptor.as_object_mut() {
            fields.insert(field.to_owned(), value);
        }
        let descriptor: Descriptor = serde_json::from_value(descriptor).unwrap();
        assert_eq!(descriptor.kind, Kind::App);
        descriptor.check_app()
    }

    #[test]
    fn an_app_is_refused_for_what_it_may_not_say() {
        let grants = |interface: &str| json!({ "interfaces": [interface] });
        assert!(check("grants", grants("ssh")).unwrap_err().contains("no `ssh`"));
        assert!(check("grants", grants("servers")).is_err());
        for dependencies in [json!(["n8n"]), json!(["a", "a"]), json!(["A"]), json!(["../b"])] {
            assert!(check("dependencies", dependencies.clone()).is_err(), "{dependencies}");
        }
        for prefixes in [json!(["a.b"]), json!([""]), json!(["*"]), json!(["a", "a"])] {
            assert!(check("dns_prefixes", prefixes.clone()).is_err(), "{prefixes}");
        }
        for params in [json!(true), json!({}), json!({ "type": "string" })] {
            assert!(check("params", params.clone()).is_err(), "{params}");
        }
        assert!(check("dependencies", json!(["postgres", "redis"])).is_ok());
    }

    #[test]
    fn a_secret_of_the_configuration_is_a_string_at_its_top() {
        let secret = json!({ "type": "string", "writeOnly": true });
        let params = |properties: Value| json!({ "type": "object", "properties": properties });
        assert!(check("params", params(json!({ "smtp_password": secret }))).is_ok());
        let deep = json!({ "smtp": { "type": "object", "properties": { "password": secret } } });
        assert!(check("params", params(deep)).is_err());
        assert!(check("params", params(json!({ "pin": { "writeOnly": true } }))).is_err());
        assert!(check("params", params(json!({ "a_b": secret, "a-b": secret }))).is_err());
        assert!(check("params", params(json!({ "päss": secret }))).is_err());
        let hidden = json!({ "type": "object", "anyOf": [{ "properties": { "a": secret } }] });
        assert!(check("params", hidden).is_err());
    }
}
