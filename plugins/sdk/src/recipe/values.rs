//! Placeholders, and what stands in their place. Only strings of the tree are filled, never the text
//! of a file, so a value can be nothing but a string wherever it comes from.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::Failure;

const OPENING: &str = "{{";
const CLOSING: &str = "}}";
/// How a reference to a secret begins.
const REFERENCE: &str = "${secret:";

/// What a placeholder stands for.
#[derive(Clone, Debug)]
enum Filling {
    Plain(Value),
    /// The reference of a secret.
    Secret(String),
    /// Nobody chose one.
    Absent,
}

/// What placeholders stand for, by their names.
#[derive(Debug, Default)]
pub(super) struct Values {
    known: BTreeMap<String, Filling>,
}

impl Values {
    /// A value that is no secret.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) -> Result<(), Failure> {
        let value = value.into();
        if value.as_str().is_some_and(|text| text.contains(REFERENCE)) {
            let message = format!(
                "`{name}` may not hold a reference to a secret: only what the recipe marks as \
                 `writeOnly` is one"
            );
            return Err(Failure::new("invalid_argument", message));
        }
        let filling = if value.is_null() { Filling::Absent } else { Filling::Plain(value) };
        self.known.insert(name.to_owned(), filling);
        Ok(())
    }

    /// The reference of a secret.
    pub(super) fn set_secret(&mut self, name: &str, reference: &str) -> Result<(), Failure> {
        if !reference.starts_with(REFERENCE) || !reference.ends_with('}') {
            let message = format!("`{name}` is a secret, and this is no reference to one");
            return Err(Failure::new("invalid_argument", message));
        }
        self.known.insert(name.to_owned(), Filling::Secret(reference.to_owned()));
        Ok(())
    }

    /// Nobody chose one.
    pub(super) fn set_absent(&mut self, name: &str) {
        self.known.insert(name.to_owned(), Filling::Absent);
    }

    /// The Compose file as text, and the variables in it. Secrets are variables: they are put in
    /// after the file was read, so nothing that stands in one can change the file.
    pub(super) fn compose(
        &self,
        tree: &Value,
    ) -> Result<(Value, BTreeMap<String, String>), Failure> {
        let mut variables = BTreeMap::new();
        let filled = self.fill(tree, &mut variables)?.unwrap_or_default();
        Ok((filled, variables))
    }

    /// A text of its own, such as a command's standard input. Secrets are references in it.
    pub(super) fn text(&self, text: &str) -> Result<String, Failure> {
        replace(text, |name| match self.known(name)? {
            Filling::Plain(value) => Ok(plain(value)),
            Filling::Secret(reference) => Ok(reference.clone()),
            Filling::Absent => Err(missing(name)),
        })
    }

    /// The tree with values in it; none where nothing should be.
    fn fill(
        &self,
        tree: &Value,
        variables: &mut BTreeMap<String, String>,
    ) -> Result<Option<Value>, Failure> {
        Ok(Some(match tree {
            Value::String(text) => match whole(text) {
                Some(name) => match self.known(name)? {
                    Filling::Absent => return Ok(None),
                    Filling::Plain(Value::Number(number)) => Value::Number(number.clone()),
                    filling => Value::String(in_compose(name, filling, variables)?),
                },
                None => Value::String(replace(text, |name| {
                    in_compose(name, self.known(name)?, variables)
                })?),
            },
            Value::Array(items) => {
                let mut filled = Vec::new();
                for item in items {
                    filled.extend(self.fill(item, variables)?);
                }
                Value::Array(filled)
            }
            Value::Object(entries) => {
                let mut filled = Map::new();
                for (key, value) in entries {
                    if let Some(value) = self.fill(value, variables)? {
                        filled.insert(key.clone(), value);
                    }
                }
                Value::Object(filled)
            }
            other => other.clone(),
        }))
    }

    fn known(&self, name: &str) -> Result<&Filling, Failure> {
        self.known.get(name).ok_or_else(|| missing(name))
    }
}

/// What stands in a string of the Compose file, where a `$` begins a variable.
fn in_compose(
    name: &str,
    filling: &Filling,
    variables: &mut BTreeMap<String, String>,
) -> Result<String, Failure> {
    match filling {
        Filling::Plain(value) => Ok(plain(value).replace('$', "$$")),
        Filling::Absent => Err(missing(name)),
        Filling::Secret(reference) => {
            let variable = variable(name);
            let used = format!("${{{variable}}}");
            variables.insert(variable, reference.clone());
            Ok(used)
        }
    }
}

/// The variable of a secret: `secrets.redis/password` is `SECRETS_REDIS_PASSWORD`. Packing sees to
/// it that no two are the same.
fn variable(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(letter).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The name of the placeholder that is all of a text.
fn whole(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix(OPENING)?.strip_suffix(CLOSING)?;
    (!inner.contains(OPENING)).then(|| inner.trim())
}

/// The text with something else in the place of each placeholder.
fn replace(
    text: &str,
    mut filling: impl FnMut(&str) -> Result<String, Failure>,
) -> Result<String, Failure> {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(OPENING) {
        let (name, after) = after.split_once(CLOSING).ok_or_else(|| missing(after))?;
        filled.push_str(before);
        filled.push_str(&filling(name.trim())?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn missing(name: &str) -> Failure {
    Failure::new("invalid_argument", format!("there is no value for `{name}`: give it one"))
}
