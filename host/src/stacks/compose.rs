//! Compose files and the variables in them, as far as the host looks into them.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The largest Compose file, in bytes.
const LARGEST: usize = 1024 * 1024;

/// Variables that decide what programs do, not what is in a Compose file.
const RESERVED: [&str; 8] = ["PATH", "HOME", "IFS", "ENV", "LC_ALL", "DOCKER_", "LD_", "wl_"];

/// Refuses what is no Compose file. Secrets may stand in it as references.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check(compose: &str) -> Result<(), String> {
    services(compose).map(drop)
}

/// A service as a Compose file wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// How many of its containers should run.
    pub replicas: u64,
}

/// The services that a Compose file wants.
///
/// # Errors
/// A sentence that says why it is no Compose file.
pub fn services(compose: &str) -> Result<Vec<Wanted>, String> {
    match tree(compose)?.get("services") {
        Some(Value::Object(services)) if !services.is_empty() => {
            Ok(services.iter().map(|(name, service)| wanted(name, service)).collect())
        }
        _ => Err("the Compose file has no `services`".to_owned()),
    }
}

/// A Compose file as a tree: anchors and merge keys are resolved, and no key is there twice.
///
/// # Errors
/// A sentence that says why it is none.
pub fn tree(compose: &str) -> Result<Value, String> {
    if compose.len() > LARGEST {
        return Err(format!("the Compose file has more than {LARGEST} bytes"));
    }
    let parsed: Value = serde_saphyr::from_str(compose).map_err(|error| {
        let reason: String = error.to_string().lines().next().unwrap_or_default().to_owned();
        format!("the Compose file is no YAML: {reason}")
    })?;
    if !parsed.is_object() {
        return Err("the Compose file is no mapping: it begins with `services:`".to_owned());
    }
    Ok(parsed)
}

/// The one way to write a tree that every reader of YAML reads alike: as JSON, and without the
/// characters that YAML takes for line ends or refuses.
pub fn normal(tree: &Value) -> String {
    let json = format!("{tree:#}");
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                // Writing to a String cannot fail.
                let _written: std::fmt::Result = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text
}

fn wanted(name: &str, service: &Value) -> Wanted {
    let image = service.get("image").and_then(Value::as_str).unwrap_or_default();
    let replicas = service.pointer("/deploy/replicas").and_then(Value::as_u64);
    Wanted { name: name.to_owned(), image: image.to_owned(), replicas: replicas.unwrap_or(1) }
}

/// Refuses names that are no variables, or that mean something to programs.
///
/// # Errors
/// A sentence that says which.
pub fn check_variable(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let shown: String = name.chars().take(60).collect();
    let begins_badly = name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit());
    if begins_badly || name.len() > 200 || !name.chars().all(allowed) {
        return Err(format!("`{}` is no name of a variable", shown.escape_debug()));
    }
    let is_reserved =
        |it: &&str| if it.ends_with('_') { name.starts_with(*it) } else { name == *it };
    if RESERVED.iter().any(is_reserved) {
        return Err(format!("the variable `{shown}` is not for Compose files: use another name"));
    }
    Ok(())
}

/// What tells one deployment from another: SHA-256 of the file and then of each variable as a line
/// `NAME=value`, by name; with references in the places of secrets. Hex.
pub fn digest(compose: &str, environment: &[(String, String)]) -> String {
    let mut variables: Vec<&(String, String)> = environment.iter().collect();
    variables.sort();
    let mut hash = Sha256::new();
    hash.update(compose.as_bytes());
    for (name, value) in variables {
        hash.update(format!("{name}={value}\n").as_bytes());
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compose_file_is_a_mapping_with_services() {
        assert!(check("version: \"3.8\"\nservices:\n  a: { image: \"x:1\" }\n").is_ok());
        for (text, said) in [
            ("", "no mapping"),
            ("- a\n- b\n", "no mapping"),
            ("services: {}\n", "no `services`"),
            ("services: [a]\n", "no `services`"),
            ("services: {a: [}\n", "no YAML"),
            ("a: &a [*a, *a]\n", "YAML"),
        ] {
            let refused = check(text).unwrap_err();
            assert!(refused.contains(said), "{text:?}: {refused}");
        }
    }

    #[test]
    fn variables_that_would_change_the_command_are_refused() {
        assert!(check_variable("POSTGRES_PASSWORD").is_ok());
        for name in ["", "1A", "A B", "A=B", "PATH", "LD_PRELOAD", "DOCKER_HOST", "wl_stack"] {
            assert!(check_variable(name).is_err(), "{name}");
        }
    }
}
