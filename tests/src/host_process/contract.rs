//! Holds an answer against the API's description: the route, the status and the shape must all be
//! in it.

use serde_json::{Value, json};

/// The shape of every error, for what has no route of its own.
const ERROR: &str = "#/components/schemas/ErrorBody";

/// Panics when an answer is not what the description says.
pub(super) fn check(method: &str, path: &str, status: u16, body: &Value) {
    let document = windlass::http::document();
    let schema = match operation(document, method, path) {
        Some(operation) => described(operation, status)
            .unwrap_or_else(|| panic!("{method} {path} does not describe {status}: {body}")),
        None => json!({ "$ref": ERROR }),
    };
    let schema = json!({ "allOf": [schema], "components": document["components"] });
    let validator = jsonschema::validator_for(&schema).expect("the description's schemas are good");
    let wrong: Vec<String> =
        validator.iter_errors(body).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{method} {path} {status}: {wrong:#?}\n{body:#}");
}

fn operation<'a>(document: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let paths = document["paths"].as_object()?;
    let (_, item) = paths.iter().find(|(template, _)| fits(template, path))?;
    item.get(method.to_lowercase())
}

fn fits(template: &str, path: &str) -> bool {
    let (wanted, found): (Vec<&str>, Vec<&str>) =
        (template.split('/').collect(), path.split('/').collect());
    wanted.len() == found.len()
        && wanted.iter().zip(&found).all(|(w, f)| w.starts_with('{') && !f.is_empty() || w == f)
}

fn described(operation: &Value, status: u16) -> Option<Value> {
    let content = operation["responses"].get(status.to_string())?.get("content")?;
    content.get("application/json")?.get("schema").cloned()
}
