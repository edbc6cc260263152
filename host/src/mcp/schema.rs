//! JSON Schemas of what tools take and give: flat, without references, formats and lists of types,
//! which some clients do not take.

use rmcp::model::JsonObject;
use serde_json::{Map, Value, json};

use crate::mcp::words::{Voice, Words, words};

/// A field of what a tool takes or gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
    about: Words,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// A whole number from here to there.
    Within(u64, u64),
    /// True or false.
    Boolean,
    /// Texts.
    Texts,
    /// An object of any shape.
    Object,
    /// Objects.
    Objects,
}

/// A field that is always there.
pub(super) const fn needs(name: &'static str, kind: Kind, about: Words) -> Field {
    Field { name, kind, required: true, about }
}

/// A field that may be missing.
pub(super) const fn takes(name: &'static str, kind: Kind, about: Words) -> Field {
    Field { name, kind, required: false, about }
}

/// A field of a result that is always there.
pub(super) const fn gives(name: &'static str, kind: Kind) -> Field {
    needs(name, kind, words("", ""))
}

/// A field of a result that may be missing.
pub(super) const fn may_give(name: &'static str, kind: Kind) -> Field {
    takes(name, kind, words("", ""))
}

/// The schema of an object with these fields.
pub(super) fn object(fields: &[Field], voice: Voice) -> JsonObject {
    let mut properties = Map::new();
    for field in fields {
        let mut schema = field.kind.schema();
        let about = voice.say(field.about);
        if let (Value::Object(schema), false) = (&mut schema, about.is_empty()) {
            schema.insert("description".to_owned(), Value::from(about));
        }
        properties.insert(field.name.to_owned(), schema);
    }
    let required: Vec<&str> =
        fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), Value::from("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), Value::from(required));
    }
    schema
}

impl Kind {
    fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::OneOf(texts) => json!({ "type": "string", "enum": texts }),
            Self::Integer => json!({ "type": "integer" }),
            Self::Within(least, most) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Self::Object => json!({ "type": "object" }),
            Self::Objects => json!({ "type": "array", "items": { "type": "object" } }),
        }
    }
}
