//! A request as the journal knows it: function, class, value and a digest to tell it by.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::model::failure::Failure;
use crate::model::journal::Class;

/// What an effect asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// `interface.function`.
    pub function: &'static str,
    /// What may be done when nobody knows whether it happened.
    pub class: Class,
    /// The request, without secrets.
    pub value: Value,
    /// SHA-256 of function and value, hex.
    pub digest: String,
    /// How many bytes function and value take as text.
    pub bytes: usize,
}

impl Request {
    /// A request with its digest.
    pub fn new(function: &'static str, class: Class, value: Value) -> Self {
        let mut text = String::from(function);
        text.push('\n');
        write_sorted(&value, &mut text);
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        Self { function, class, value, digest, bytes: text.len() }
    }
}

/// About how many bytes what came of an effect takes as text.
pub fn size_of(result: &Result<Value, Failure>) -> usize {
    match result {
        Ok(value) => size(value),
        Err(failure) => failure.code.len() + failure.message.len(),
    }
}

/// How many bytes of memory a result takes, about.
pub fn weight_of(result: &Result<Value, Failure>) -> usize {
    match result {
        Ok(value) => weight(value),
        Err(failure) => failure.code.len() + failure.message.len(),
    }
}

fn weight(value: &Value) -> usize {
    let within = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        // Each with its name, and a part of a node of the tree.
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len() + 32 + weight(value)).sum()
        }
    };
    std::mem::size_of::<Value>() + within
}

fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| size(item) + 1).sum::<usize>() + 2,
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len() + 4 + size(value)).sum::<usize>() + 2
        }
    }
}

/// JSON with sorted keys, so that equal values have equal digests whatever made them.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in fields {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_sorted(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_sorted(item, text);
                text.push(',');
            }
            text.push(']');
        }
        _ => text.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_fields_does_not_change_the_digest() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":{"c":[1,2],"d":null}}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b":{"d":null,"c":[1,2]},"a":1}"#).unwrap();
        let digest = |value| Request::new("f", Class::Read, value).digest;
        assert_eq!(digest(one.clone()), digest(other));
        assert_ne!(digest(one.clone()), digest(json!({"a": 1})));
        assert_ne!(Request::new("g", Class::Read, one.clone()).digest, digest(one));
    }
}
