//! The configuration of an app: checked against its recipe's schema, with the defaults filled in,
//! and what is secret in it taken out, before there is a job.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::app::App;
use crate::error::{Error, FieldError, sentence};
use crate::model::app::AppRecord;
use crate::model::names::{AppName, InvalidName, ServerName};
use crate::model::secret::{Form, OPENING, Reference};
use crate::plugins::descriptor::Descriptor;
use crate::plugins::plugin::Plugin;

/// What stands before the pointers of a configuration in a request.
const PLACE: &str = "/config";

/// A configuration that can be written down.
pub(super) struct Configuration {
    /// All of it, with references in the places of secrets.
    pub(super) shown: Value,
    /// The values that are not in the vault yet.
    pub(super) secrets: Vec<(Reference, SecretString)>,
}

/// Whose configuration it is.
pub(super) struct Owner<'a> {
    /// Where the app is, or will be.
    pub(super) server: &'a ServerName,
    /// Which app.
    pub(super) name: &'a AppName,
    /// What deploys it.
    pub(super) plugin: &'a Plugin,
    /// The record of it, when it was installed before.
    pub(super) before: Option<&'a AppRecord>,
}

impl Configuration {
    /// Whether it is what an app was configured with.
    pub(super) fn is_of(&self, record: &AppRecord) -> bool {
        self.secrets.is_empty() && self.shown == record.config
    }
}

impl App {
    /// Makes a configuration of what is given. Without any it is the one of before. A secret that
    /// is not given stays what it was: nobody can read it to give it again.
    pub(super) async fn configure(
        &self,
        owner: &Owner<'_>,
        given: Option<&Value>,
    ) -> Result<Configuration, Error> {
        let mut plain = object(given.or(owner.before.map(|it| &it.config)))?;
        let mut kept = Vec::new();
        for property in owner.plugin.descriptor.secret_properties() {
            let reference = owner.reference(property)?;
            if let Some(value) = self.kept(owner, property, &reference, &plain).await? {
                plain.insert(property.to_owned(), Value::from(value.expose_secret()));
                kept.push((property.to_owned(), value));
            }
        }
        refuse_references(&plain, &kept)?;
        fill(&owner.plugin.descriptor.params, &mut plain);
        let plain = Value::Object(plain);
        owner.plugin.check_params(&plain).map_err(wrong)?;
        self.sealable(owner, plain, &kept).await
    }

    /// The value of a secret that stays what it was: not given anew, or given as its reference.
    async fn kept(
        &self,
        owner: &Owner<'_>,
        property: &str,
        reference: &Reference,
        given: &Map<String, Value>,
    ) -> Result<Option<SecretString>, Error> {
        let shown = Value::from(reference.to_string());
        let was_there = owner.before.is_some_and(|it| it.config.get(property) == Some(&shown));
        if !was_there || given.get(property).is_some_and(|value| *value != shown) {
            return Ok(None);
        }
        self.value_of(reference).await
    }

    async fn value_of(&self, reference: &Reference) -> Result<Option<SecretString>, Error> {
        let name = reference.kept_as();
        let Some(sealed) = self.store.secret(&name).await? else { return Ok(None) };
        self.vault.unseal(&name, &sealed).map(Some).map_err(Error::internal)
    }

    /// Takes the secrets out of a checked configuration.
    async fn sealable(
        &self,
        owner: &Owner<'_>,
        plain: Value,
        kept: &[(String, SecretString)],
    ) -> Result<Configuration, Error> {
        let mut configuration = Configuration { shown: plain, secrets: Vec::new() };
        for property in owner.plugin.descriptor.secret_properties() {
            let Some(slot) = configuration.shown.get_mut(property) else { continue };
            let reference = owner.reference(property)?;
            let value = std::mem::replace(slot, Value::from(reference.to_string()));
            let Value::String(value) = value else { continue };
            let value = SecretString::from(value);
            let is_kept = kept.iter().any(|(name, _)| name == property);
            if !is_kept && !self.has(&reference, &value).await? {
                configuration.secrets.push((reference, value));
            }
        }
        Ok(configuration)
    }

    /// Whether the vault has just this value already.
    async fn has(&self, reference: &Reference, value: &SecretString) -> Result<bool, Error> {
        let there = self.value_of(reference).await?;
        Ok(there.is_some_and(|there| there.expose_secret() == value.expose_secret()))
    }
}

impl Owner<'_> {
    fn reference(&self, property: &str) -> Result<Reference, Error> {
        let name = Descriptor::config_secret(self.name, property);
        let name = name.parse().map_err(|error: InvalidName| Error::internal(error))?;
        Ok(Reference { server: self.server.clone(), name, form: Form::Plain })
    }
}

fn object(config: Option<&Value>) -> Result<Map<String, Value>, Error> {
    match config {
        None => Ok(Map::new()),
        Some(Value::Object(fields)) => Ok(fields.clone()),
        Some(_) => Err(Error::invalid_field(PLACE, "A configuration is a JSON object.")),
    }
}

/// A reference in a configuration would put a secret where whoever configures can read it. `kept`
/// are values by now.
fn refuse_references(
    config: &Map<String, Value>,
    kept: &[(String, SecretString)],
) -> Result<(), Error> {
    let given = config.iter().filter(|(name, _)| !kept.iter().any(|(it, _)| it == *name));
    for (name, value) in given {
        if mentions(value) {
            let message = format!("A configuration may not hold `{OPENING}…}}`: write the value.");
            return Err(Error::invalid_field(&format!("{PLACE}/{}", escaped(name)), message));
        }
    }
    Ok(())
}

fn mentions(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(OPENING),
        Value::Array(items) => items.iter().any(mentions),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.contains(OPENING) || mentions(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Puts the schema's defaults where nothing is, and into the objects that are there.
fn fill(schema: &Value, config: &mut Map<String, Value>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        if let (None, Some(default)) = (config.get(name), schema.get("default")) {
            config.insert(name.clone(), default.clone());
        }
        if let Some(Value::Object(inner)) = config.get_mut(name) {
            fill(schema, inner);
        }
    }
}

fn wrong(fields: Vec<crate::plugins::schema::FieldError>) -> Error {
    let fields: Vec<FieldError> = fields
        .into_iter()
        .map(|field| FieldError {
            pointer: format!("{PLACE}{}", field.pointer),
            message: sentence(&field.message),
        })
        .collect();
    Error::invalid_fields(&fields)
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_are_filled_in_where_nothing_is() {
        let schema = json!({ "properties": {
            "size": { "default": 3 },
            "mail": { "properties": { "port": { "default": 587 } } },
            "name": {},
        }});
        let mut config = object(Some(&json!({ "mail": {}, "size": 0 }))).unwrap();
        fill(&schema, &mut config);
        assert_eq!(Value::Object(config), json!({ "mail": { "port": 587 }, "size": 0 }));
    }

    #[test]
    fn a_reference_is_found_however_deep_it_is() {
        let config = json!({ "a": [{ "b": "x${secret:web-1/db/password}" }] });
        let refused = refuse_references(&object(Some(&config)).unwrap(), &[]).unwrap_err();
        assert_eq!(refused.code(), "invalid_request");
        assert!(refuse_references(&object(Some(&json!({ "a": "$x" }))).unwrap(), &[]).is_ok());
    }
}
