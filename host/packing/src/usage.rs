//! Which placeholders there are, and which are used: an unknown one is a mistake, and so is a secret,
//! a database or a choice that nothing uses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::folder::{COMPOSE, RECIPE};
use crate::placeholders::{self, is_whole, nearest, shown, variable};
use crate::recipe::Recipe;
use crate::{PackError, descriptor};

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    /// A choice that need not be made.
    Optional,
    Secret,
    OptionalSecret,
}

impl Kind {
    const fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::OptionalSecret)
    }

    const fn is_optional(self) -> bool {
        matches!(self, Self::Optional | Self::OptionalSecret)
    }
}

/// The placeholders of one recipe.
pub(crate) struct Usage<'a> {
    recipe: &'a Recipe,
    known: BTreeMap<String, Kind>,
    used: BTreeSet<String>,
}

impl<'a> Usage<'a> {
    pub(crate) fn of(recipe: &'a Recipe) -> Result<Self, PackError> {
        let mut known = BTreeMap::new();
        for name in ["app", "server", "network"] {
            known.insert(name.to_owned(), Kind::Plain);
        }
        for name in &recipe.values {
            known.insert(format!("values.{name}"), Kind::Plain);
        }
        for name in recipe.secrets.keys() {
            known.insert(format!("secrets.{name}"), Kind::Secret);
            known.insert(format!("bcrypt.{name}"), Kind::Secret);
        }
        for name in recipe.databases.keys() {
            for field in ["host", "port", "name", "user"] {
                known.insert(format!("databases.{name}.{field}"), Kind::Plain);
            }
            known.insert(format!("databases.{name}.password"), Kind::Secret);
        }
        for route in &recipe.routes {
            known.insert(format!("routes.{}.host", route.prefix), Kind::Plain);
            known.insert(format!("routes.{}.url", route.prefix), Kind::Plain);
        }
        for (name, schema) in &recipe.config {
            let is_given = schema.get("default").is_some() || recipe.required.contains(name);
            let kind = match (descriptor::is_secret(schema), is_given) {
                (false, true) => Kind::Plain,
                (false, false) => Kind::Optional,
                (true, true) => Kind::Secret,
                (true, false) => Kind::OptionalSecret,
            };
            known.insert(format!("config.{name}"), kind);
        }
        no_two_variables(&known)?;
        Ok(Self { recipe, known, used: BTreeSet::new() })
    }

    /// The placeholders of a Compose file.
    pub(crate) fn tree(&mut self, tree: &Value) -> Result<(), PackError> {
        self.walk(tree, "", false)
    }

    fn walk(&mut self, tree: &Value, at: &str, is_item: bool) -> Result<(), PackError> {
        match tree {
            Value::String(text) => self.string(text, at, is_item),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(n, item)| self.walk(item, &format!("{at}[{n}]"), true)),
            Value::Object(entries) => entries.iter().try_for_each(|(key, value)| {
                if key.contains("{{") || key.contains('$') {
                    let reason = "a key can be neither a placeholder nor a variable";
                    return Err(PackError::recipe(COMPOSE, &join(at, key), reason));
                }
                self.walk(value, &join(at, key), false)
            }),
            _ => Ok(()),
        }
    }

    fn string(&mut self, text: &str, at: &str, is_item: bool) -> Result<(), PackError> {
        let wrong = |reason: &str| Err(PackError::recipe(COMPOSE, at, reason));
        if has_variable(text) {
            return wrong(
                "it has a variable of the shell: write `$$` for a `$` that the container is to \
                 see, or a placeholder",
            );
        }
        for name in self.names(text, COMPOSE, at)? {
            let kind = self.kind(&name, COMPOSE, at)?;
            if kind.is_optional() && (is_item || !is_whole(text)) {
                return wrong(&format!(
                    "`{name}` need not be chosen, so it must be all of an entry's value (which is \
                     left out then), or have a default"
                ));
            }
        }
        Ok(())
    }

    /// The placeholders of the recipe's own texts.
    pub(crate) fn texts(&mut self, recipe: &Recipe) -> Result<(), PackError> {
        for (number, command) in recipe.after.iter().enumerate() {
            for argument in &command.arguments {
                let at = format!("after[{number}].arguments");
                self.text(argument, &at, false)?;
            }
            if let Some(stdin) = &command.stdin {
                self.text(stdin, &format!("after[{number}].stdin"), true)?;
            }
        }
        self.text(&recipe.notes, "notes", false)
    }

    fn text(&mut self, text: &str, at: &str, may_be_secret: bool) -> Result<(), PackError> {
        for name in self.names(text, RECIPE, at)? {
            let kind = self.kind(&name, RECIPE, at)?;
            if kind.is_secret() && !may_be_secret {
                let reason = format!("`{name}` is a secret, which may not be seen here");
                return Err(PackError::recipe(RECIPE, at, &reason));
            }
            if kind.is_optional() {
                let reason = format!("`{name}` need not be chosen: give it a default");
                return Err(PackError::recipe(RECIPE, at, &reason));
            }
        }
        Ok(())
    }

    fn names(&self, text: &str, file: &str, at: &str) -> Result<Vec<String>, PackError> {
        let names = placeholders::of(text);
        let names = names.map_err(|reason| PackError::recipe(file, at, &reason))?;
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn kind(&mut self, name: &str, file: &str, at: &str) -> Result<Kind, PackError> {
        if let Some(kind) = self.known.get(name) {
            self.used.insert(name.to_owned());
            return Ok(*kind);
        }
        let meant = nearest(name, self.known.keys().map(String::as_str));
        let meant = meant.map_or_else(String::new, |it| format!("; did you mean `{it}`?"));
        let reason = format!("there is no placeholder `{}`{meant}", shown(name));
        Err(PackError::recipe(file, at, &reason))
    }

    /// Refuses what is declared and used nowhere.
    pub(crate) fn complete(&self) -> Result<(), PackError> {
        let unused = |field: String, what: &str| {
            Err(PackError::recipe(RECIPE, &field, &format!("nothing uses this {what}")))
        };
        for name in self.recipe.secrets.keys() {
            let is_used = self.is_used(&format!("secrets.{name}"));
            if !is_used && !self.is_used(&format!("bcrypt.{name}")) {
                return unused(format!("secrets.{name}"), "secret");
            }
        }
        for name in self.recipe.databases.keys() {
            if !self.is_used(&format!("databases.{name}.password")) {
                return unused(format!("databases.{name}"), "database's password");
            }
        }
        for name in self.recipe.config.keys() {
            if !self.is_used(&format!("config.{name}")) {
                return unused(format!("config.{name}"), "choice");
            }
        }
        for name in &self.recipe.values {
            if !self.is_used(&format!("values.{name}")) {
                return unused("values".to_owned(), &format!("value (`{name}`)"));
            }
        }
        Ok(())
    }

    fn is_used(&self, name: &str) -> bool {
        self.used.contains(name)
    }

    /// The secrets that a deployment sees to, as the component reads them.
    pub(crate) fn secrets(&self) -> Vec<Value> {
        let mut secrets = Vec::new();
        for (name, secret) in &self.recipe.secrets {
            for (form, bcrypt) in [("secrets", false), ("bcrypt", true)] {
                let placeholder = format!("{form}.{name}");
                if self.is_used(&placeholder) {
                    secrets.push(json!({
                        "name": full_name(&self.recipe.name, name),
                        "placeholder": placeholder,
                        "length": secret.length.unwrap_or(32),
                        "alphabet": secret.alphabet.as_deref().unwrap_or("alphanumeric"),
                        "bcrypt": bcrypt,
                    }));
                }
            }
        }
        secrets
    }

    /// The whole names of all secrets that the app makes or uses, for its grants.
    pub(crate) fn secret_names(&self) -> Vec<String> {
        let app = &self.recipe.name;
        let mut names: BTreeSet<String> =
            self.recipe.secrets.keys().map(|name| full_name(app, name)).collect();
        let engines = self.recipe.databases.values();
        names.extend(engines.map(|engine| format!("{app}/database-{engine}")));
        let secret = self.recipe.config.iter().filter(|(_, it)| descriptor::is_secret(it));
        names.extend(secret.map(|(name, _)| format!("{app}/config-{}", name.replace('_', "-"))));
        names.into_iter().collect()
    }
}

fn full_name(app: &str, name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("{app}/{name}") }
}

/// Two secrets whose names differ in punctuation alone would be one variable.
fn no_two_variables(known: &BTreeMap<String, Kind>) -> Result<(), PackError> {
    let mut variables = BTreeMap::new();
    for (name, _) in known.iter().filter(|(_, kind)| kind.is_secret()) {
        if let Some(other) = variables.insert(variable(name), name) {
            let reason = format!("`{other}` and `{name}` are too alike: rename one");
            return Err(PackError::recipe(RECIPE, "secrets", &reason));
        }
    }
    Ok(())
}

/// Whether a text has a `$` that Compose would read as a variable.
fn has_variable(text: &str) -> bool {
    text.replace("$$", "").contains('$')
}

fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}
