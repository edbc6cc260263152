//! The schemas of a descriptor, which a stranger wrote: what they may be, so that holding a value
//! against one always ends soon, and what is wrong with a value.

use std::sync::OnceLock;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

/// One thing that is wrong with parameters.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where, as a JSON pointer (RFC 6901).
    #[schema(example = "/name")]
    pub pointer: String,
    /// What is wrong with it, as a sentence.
    pub message: String,
}

/// The one dialect that is spoken.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The most schemas within a schema, each counted as often as it is referred to.
const MOST_PARTS: usize = 10_000;
/// How deep they are within each other.
const DEEPEST: usize = 64;
/// The most patterns, and the most characters of one.
const MOST_PATTERNS: (usize, usize) = (200, 1_000);
/// The most bytes that a pattern takes when it is compiled, and when it is used.
const PATTERN_BYTES: usize = 1024 * 1024;
/// The most that is done for one value: its parts, times those of the schema.
const MOST_WORK: usize = 100_000_000;
/// Of a value with more parts than this only the first error is told.
const MOST_TOLD: usize = 10_000;
/// The most errors that are told, and the most characters of one.
const MOST_ERRORS: (usize, usize) = (100, 500);

/// Keywords whose value is a schema.
const ONE: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords whose value is a list of schemas.
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value has schemas by name. Those in `$defs` count where they are referred to.
const MAPS: [&str; 4] = ["dependencies", "dependentSchemas", "patternProperties", "properties"];
/// Keywords that make a reference mean something else, or lead to another place.
const FOREIGN: [&str; 6] =
    ["$id", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"];

/// A schema of the descriptor, compiled when something is first held against it: a start with many
/// plugins has no time for that.
#[derive(Default)]
pub(super) struct Schema(OnceLock<Result<Compiled, String>>);

pub(super) struct Compiled {
    validator: Validator,
    parts: usize,
}

impl Schema {
    /// Compiles it, where that was not done before.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn compiled(&self, schema: &Value) -> Result<&Compiled, &String> {
        self.0.get_or_init(|| compile(schema)).as_ref()
    }

    /// Everything that is wrong with a value. The words of a validator quote what they are about:
    /// not where that is secret.
    pub(super) fn check(
        &self,
        schema: &Value,
        value: &Value,
        secrets: &[&str],
    ) -> Result<(), Vec<FieldError>> {
        let whole = |message| vec![FieldError { pointer: String::new(), message }];
        let compiled = self
            .compiled(schema)
            .map_err(|reason| whole(format!("the plugin's schema cannot be used: {reason}")))?;
        let parts = parts_of(value);
        if parts.saturating_mul(compiled.parts) > MOST_WORK {
            return Err(whole(format!(
                "it has {parts} values, which are too many to be held against a schema of {} parts",
                compiled.parts
            )));
        }
        let told = |error: jsonschema::ValidationError<'_>| {
            let pointer = error.instance_path().to_string();
            let first = pointer.split('/').nth(1).unwrap_or_default();
            let is_open = secrets.is_empty() || !(first.is_empty() || secrets.contains(&first));
            let message = if is_open { error.to_string() } else { error.masked().to_string() };
            FieldError { pointer: cut(pointer), message: cut(message) }
        };
        let validator = &compiled.validator;
        if parts > MOST_TOLD {
            return validator.validate(value).map_err(|error| vec![told(error)]);
        }
        let errors: Vec<_> = validator.iter_errors(value).take(MOST_ERRORS.0).map(told).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

fn compile(schema: &Value) -> Result<Compiled, String> {
    if schema.get("$schema").is_some_and(|dialect| dialect != DIALECT) {
        return Err(format!("its `$schema` is not {DIALECT}: leave it out"));
    }
    let mut look = Look { root: schema, parts: 0, patterns: 0 };
    look.at(schema, 0)?;
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
    let options = jsonschema::options().offline();
    let options = options.with_draft(jsonschema::Draft::Draft202012);
    let validator = options.with_pattern_options(patterns).build(schema);
    let validator = validator.map_err(|error| cut(error.to_string()))?;
    Ok(Compiled { validator, parts: look.parts })
}

/// A look at every schema within a schema, as often as it is referred to.
struct Look<'a> {
    root: &'a Value,
    parts: usize,
    patterns: usize,
}

impl<'a> Look<'a> {
    fn at(&mut self, schema: &'a Value, depth: usize) -> Result<(), String> {
        self.counts(1)?;
        if depth > DEEPEST {
            return Err(format!(
                "it refers to itself, or has schemas {DEEPEST} deep within each other: a schema has \
                 to end"
            ));
        }
        let Value::Object(fields) = schema else { return Ok(()) };
        if let Some(foreign) = FOREIGN.iter().find(|it| fields.contains_key(**it)) {
            return Err(format!(
                "it has a `{foreign}`: refer to its own parts, as in `#/$defs/name`"
            ));
        }
        if let Some(reference) = fields.get("$ref") {
            self.at(self.referred(reference)?, depth + 1)?;
        }
        for (name, value) in fields {
            match value {
                Value::Array(items) if LISTS.contains(&name.as_str()) || name == "items" => {
                    items.iter().try_for_each(|item| self.at(item, depth + 1))?;
                }
                Value::Object(named) if MAPS.contains(&name.as_str()) => {
                    self.map(name, named, depth)?;
                }
                _ if ONE.contains(&name.as_str()) => self.at(value, depth + 1)?,
                Value::Array(values) => self.counts(values.len())?,
                Value::String(pattern) if name == "pattern" => self.pattern(pattern)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn map(
        &mut self,
        keyword: &str,
        named: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<(), String> {
        for (name, schema) in named {
            if keyword == "patternProperties" {
                self.pattern(name)?;
            }
            self.at(schema, depth + 1)?;
        }
        Ok(())
    }

    fn referred(&self, reference: &Value) -> Result<&'a Value, String> {
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let own = pointer.filter(|it| it.is_empty() || it.starts_with('/'));
        let pointer = own.filter(|it| !it.contains('%')).ok_or_else(|| {
            let shown = cut(reference.to_string());
            format!("it refers to {shown}: a schema refers to its own parts, as in `#/$defs/name`")
        })?;
        let found = self.root.pointer(pointer);
        found
            .ok_or_else(|| format!("it refers to `#{}`, which it has not", cut(pointer.to_owned())))
    }

    fn pattern(&mut self, pattern: &str) -> Result<(), String> {
        self.patterns += 1;
        let (most, longest) = MOST_PATTERNS;
        if self.patterns > most || pattern.len() > longest {
            return Err(format!(
                "it has more than {most} patterns, or one of over {longest} bytes"
            ));
        }
        Ok(())
    }

    fn counts(&mut self, parts: usize) -> Result<(), String> {
        self.parts = self.parts.saturating_add(parts);
        if self.parts > MOST_PARTS {
            return Err(format!("it has more than {MOST_PARTS} parts, with those it refers to"));
        }
        Ok(())
    }
}

/// How many values there are in a value, itself among them.
fn parts_of(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(parts_of).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(parts_of).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

fn cut(text: String) -> String {
    let most = MOST_ERRORS.1;
    if text.len() <= most {
        return text;
    }
    text.chars().take(most).chain("[…cut]".chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(schema: &Value) -> String {
        Schema::default().compiled(schema).err().cloned().unwrap_or_else(|| panic!("{schema}"))
    }

    #[test]
    fn a_schema_refers_to_its_own_parts_and_ends() {
        let defs = json!({ "a": { "items": { "$ref": "#/$defs/b" } }, "b": { "type": "string" } });
        let good = json!({ "$defs": defs, "properties": { "x": { "$ref": "#/$defs/a" } } });
        assert!(Schema::default().compiled(&good).is_ok());
        for (schema, words) in [
            (json!({ "$ref": "#" }), "refers to itself"),
            (json!({ "properties": { "a": { "$ref": "#" } } }), "refers to itself"),
            (json!({ "$ref": "https://example.com/schema" }), "its own parts"),
            (json!({ "$ref": "file:///etc/passwd" }), "its own parts"),
            (json!({ "$ref": "#anchor" }), "its own parts"),
            (json!({ "$ref": "#/nowhere" }), "which it has not"),
            (json!({ "$id": "https://example.com/", "$ref": "#" }), "`$id`"),
            (json!({ "items": { "$dynamicRef": "#x" } }), "`$dynamicRef`"),
            (json!({ "$schema": "http://json-schema.org/draft-04/schema#" }), "leave it out"),
            (json!({ "type": 7 }), "7"),
        ] {
            let said = refused(&schema);
            assert!(said.contains(words), "{schema}: {said}");
        }
    }

    #[test]
    fn a_schema_that_grows_by_references_is_refused_soon() {
        let mut defs = Map::new();
        for n in 0..30 {
            let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
            defs.insert(format!("d{n}"), json!({ "allOf": [next, next] }));
        }
        defs.insert("d30".to_owned(), json!(true));
        let said = refused(&json!({ "$defs": defs, "$ref": "#/$defs/d0" }));
        assert!(said.contains("parts"), "{said}");
    }

    #[test]
    fn a_pattern_is_matched_in_linear_time_or_refused() {
        for pattern in ["(?=x)a", "(a)\\1", "((a{1,1000}){1,1000}){1,1000}", "(?<!a)b"] {
            refused(&json!({ "pattern": pattern }));
        }
        refused(&json!({ "pattern": "a".repeat(2_000) }));
        let slow = json!({ "pattern": "^(a+)+$" });
        let value = Value::from("a".repeat(100_000) + "b");
        assert!(Schema::default().check(&slow, &value, &[]).is_err());
    }

    #[test]
    fn many_errors_are_told_in_few_words() {
        let schema = json!({ "items": { "type": "string" } });
        for (length, told) in [(5_000, 100), (50_000, 1)] {
            let errors = Schema::default().check(&schema, &json!(vec![1; length]), &[]);
            assert_eq!(errors.unwrap_err().len(), told);
        }
        let long = json!(["x".repeat(100_000)]);
        let errors = Schema::default().check(&json!({ "items": { "type": "null" } }), &long, &[]);
        assert!(errors.unwrap_err().first().unwrap().message.len() < 600);
    }

    #[test]
    fn a_value_that_takes_too_long_is_refused() {
        let many: Vec<Value> = (0..5_000).map(|n| json!({ "const": n })).collect();
        let errors = Schema::default().check(
            &json!({ "items": { "anyOf": many } }),
            &json!(vec![-1; 100_000]),
            &[],
        );
        assert!(errors.unwrap_err().first().unwrap().message.contains("too many"));
    }
}
