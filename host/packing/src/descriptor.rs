//! What the plugin of a recipe says of itself, made of the recipe's file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::PackError;
use crate::folder::RECIPE;
use crate::recipe::Recipe;

/// A name in the domain name system that an operator can choose.
const DOMAIN: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$";

/// What categories there are.
const CATEGORIES: [&str; 12] = [
    "ai",
    "analytics",
    "automation",
    "business",
    "collaboration",
    "communication",
    "database",
    "development",
    "files",
    "monitoring",
    "security",
    "website",
];

/// Refuses what would make no plugin, or a confusing one.
pub(crate) fn check(recipe: &Recipe) -> Result<(), PackError> {
    let wrong = |field: &str, reason: &str| Err(PackError::recipe(RECIPE, field, reason));
    if !is_name(&recipe.name, 40) {
        return wrong("name", "use 1 to 40 of a-z, 0-9 and -, with a letter first");
    }
    let numbers: Vec<&str> = recipe.version.split('.').collect();
    if numbers.len() != 3 || numbers.iter().any(|it| it.parse::<u64>().is_err()) {
        return wrong("version", "use three numbers, such as 1.0.0");
    }
    if !CATEGORIES.contains(&recipe.category.as_str()) {
        return wrong("category", &format!("use one of {}", CATEGORIES.join(", ")));
    }
    for (field, text) in
        [("title", &recipe.title), ("description", &recipe.description), ("pins", &recipe.pins)]
    {
        if text.trim().is_empty() {
            return wrong(field, "say something");
        }
    }
    if !(16..=65_536).contains(&recipe.min_memory_mb) {
        return wrong("min_memory_mb", "use a number of megabytes from 16 to 65536");
    }
    if !(10..=7_200).contains(&recipe.healthy_s) {
        return wrong("healthy_s", "use a number of seconds from 10 to 7200");
    }
    check_needs(recipe)?;
    check_config(recipe)?;
    check_routes(recipe)
}

fn check_needs(recipe: &Recipe) -> Result<(), PackError> {
    let wrong = |field: String, reason: &str| Err(PackError::recipe(RECIPE, &field, reason));
    let mut seen = BTreeSet::new();
    for name in &recipe.dependencies {
        if !is_name(name, 40) || name == &recipe.name || !seen.insert(name) {
            return wrong(
                "dependencies".to_owned(),
                &format!("`{name}` cannot be one, or is twice"),
            );
        }
    }
    for (name, engine) in &recipe.databases {
        let field = format!("databases.{name}");
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > 63 || !name.chars().all(allowed) {
            return wrong(field, "a database's name is 1 to 63 of a-z, 0-9 and _");
        }
        if !recipe.dependencies.contains(engine) {
            return wrong(field, &format!("its engine `{engine}` is not among the dependencies"));
        }
    }
    for (name, secret) in &recipe.secrets {
        let field = format!("secrets.{name}");
        let words: Vec<&str> = name.split('/').collect();
        match words.as_slice() {
            [own] if is_word(own) => {
                if own.starts_with("config-") || own.starts_with("database-") {
                    return wrong(field, "names that begin so are the host's: use another");
                }
            }
            [app, other] if is_name(app, 40) && is_word(other) => {
                if !recipe.dependencies.iter().any(|it| it == app) {
                    return wrong(field, &format!("`{app}` is not among the dependencies"));
                }
            }
            _ => return wrong(field, "use a-z, 0-9, _ and -, or `<app>/<name>` of another app's"),
        }
        if secret.length.is_some_and(|length| !(8..=1024).contains(&length)) {
            return wrong(format!("{field}.length"), "use 8 to 1024 characters");
        }
        let alphabet = secret.alphabet.as_deref().unwrap_or("hex");
        if !["alphanumeric", "hex", "base64", "printable"].contains(&alphabet) {
            let reason = "use alphanumeric, hex, base64 or printable";
            return wrong(format!("{field}.alphabet"), reason);
        }
    }
    Ok(())
}

fn check_config(recipe: &Recipe) -> Result<(), PackError> {
    let wrong = |field: String, reason: &str| Err(PackError::recipe(RECIPE, &field, reason));
    for (name, schema) in &recipe.config {
        let field = format!("config.{name}");
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            return wrong(field, "a choice is named with a-z and _");
        }
        if name == "domain" {
            return wrong(field, "packing adds the `domain` of every app with routes: use it so");
        }
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        if !["string", "integer", "boolean"].contains(&kind) {
            return wrong(field, "its `type` is string, integer or boolean");
        }
        if schema.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
            return wrong(field, "say in its `description` what it is for");
        }
        if is_secret(schema) && (kind != "string" || schema.get("default").is_some()) {
            return wrong(field, "a `writeOnly` choice is a string without a default");
        }
    }
    for name in &recipe.required {
        if !recipe.config.contains_key(name) {
            return wrong("required".to_owned(), &format!("there is no choice `{name}`"));
        }
    }
    Ok(())
}

fn check_routes(recipe: &Recipe) -> Result<(), PackError> {
    let mut seen = BTreeSet::new();
    for (number, route) in recipe.routes.iter().enumerate() {
        let wrong = |field: &str, reason: &str| {
            Err(PackError::recipe(RECIPE, &format!("routes[{number}].{field}"), reason))
        };
        if !is_name(&route.prefix, 30) {
            return wrong("prefix", "use 1 to 30 of a-z, 0-9 and -, with a letter first");
        }
        if route.port == 0 {
            return wrong("port", "a port is 1 to 65535");
        }
        for (field, path) in [("path", &route.path), ("health", &route.health)] {
            if path.as_deref().is_some_and(|path| !is_path(path)) {
                return wrong(
                    field,
                    "a path begins with / and is made of letters, digits and /._-",
                );
            }
        }
        if !seen.insert((&route.prefix, &route.path)) {
            return wrong("prefix", &format!("`{}` is routed twice", route.prefix));
        }
    }
    Ok(())
}

/// The steps that a deployment reports.
pub(crate) fn steps(recipe: &Recipe) -> Vec<&'static str> {
    let mut steps = vec!["Check server", "Prepare secrets"];
    if !recipe.databases.is_empty() {
        steps.push("Prepare database");
    }
    steps.push("Deploy stack");
    if !recipe.routes.is_empty() {
        steps.push("Configure DNS");
    }
    steps.push("Wait until healthy");
    steps
}

/// What the operator can choose, with what packing adds.
pub(crate) fn properties(recipe: &Recipe) -> BTreeMap<String, Value> {
    let mut properties = recipe.config.clone();
    if !recipe.routes.is_empty() {
        let domain = json!({
            "type": "string",
            "maxLength": 200,
            "pattern": DOMAIN,
            "description": "The domain of the app's names, where the server has no zone",
        });
        properties.insert("domain".to_owned(), domain);
    }
    properties
}

/// Whether a choice is a secret.
pub(crate) fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
}

/// The component that recipes are put into imports all of these, and a plugin asks for all that it
/// imports. What they let a recipe do is narrowed by the rest: its own secrets and names, databases of
/// apps that it depends on, and requests to its own names.
const INTERFACES: [&str; 7] = ["job", "stacks", "inventory", "secrets", "databases", "dns", "http"];

/// The descriptor, as the host reads it.
pub(crate) fn of(recipe: &Recipe, secrets: &[String]) -> Value {
    let prefixes: BTreeSet<&str> = recipe.routes.iter().map(|it| it.prefix.as_str()).collect();
    let mut descriptor = json!({
        "name": recipe.name,
        "kind": "app",
        "version": recipe.version,
        "title": recipe.title,
        "description": recipe.description.trim(),
        "category": recipe.category,
        "params": {
            "type": "object",
            "additionalProperties": false,
            "required": recipe.required,
            "properties": properties(recipe),
        },
        "result": {
            "type": "object",
            "required": ["app", "server", "changed"],
            "properties": {
                "app": { "type": "string" },
                "server": { "type": "string" },
                "changed": { "type": "boolean" },
                "urls": { "type": "array", "items": { "type": "string" } },
            },
        },
        "steps": steps(recipe),
        "grants": {
            "interfaces": INTERFACES,
            "secrets": secrets,
            "stack": recipe.stack_grants,
        },
        "timeout_s": recipe.healthy_s + 3_600,
        "dependencies": recipe.dependencies,
        "min_memory_mb": recipe.min_memory_mb,
        "dns_prefixes": prefixes,
        "links": recipe.links,
    });
    if let (Some(provides), Value::Object(fields)) = (&recipe.provides, &mut descriptor) {
        fields.insert("provides".to_owned(), provides.clone());
    }
    descriptor
}

fn is_name(text: &str, longest: usize) -> bool {
    let begins_well = text.starts_with(|c: char| c.is_ascii_lowercase());
    begins_well && text.len() <= longest && text.chars().all(is_letter) && !text.ends_with('-')
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 60 && text.chars().all(|c| is_letter(c) || c == '_')
}

const fn is_letter(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

fn is_path(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    text.starts_with('/') && text.len() <= 200 && text.chars().all(allowed)
}
