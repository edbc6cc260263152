//! A recipe's Compose file with values in the place of placeholders, and labels for its routes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::place::Place;
use super::values::Values;
use super::{Property, Recipe, Route};
use crate::Failure;

/// The entry point and the resolver of certificates that the set-up of servers gives Traefik.
const ENTRY_POINT: &str = "websecure";
const RESOLVER: &str = "letsencrypt";

/// A Compose file that can be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// As JSON, which is YAML.
    pub compose: String,
    /// The variables in it, which are references to secrets.
    pub variables: BTreeMap<String, String>,
}

impl Recipe {
    /// The Compose file as a deployment with this configuration would have it, with a made-up
    /// server, secrets and databases. It asks nobody, so it works outside of a host too.
    ///
    /// # Errors
    /// When a placeholder has no value.
    pub fn preview(&self, config: &Map<String, Value>) -> Result<Rendered, Failure> {
        let place = Place::made_up(config);
        let mut values = self.values(&place, config)?;
        let reference = |name: &str| format!("${{secret:{}/{name}}}", place.server);
        for secret in &self.secrets {
            values.set_secret(&secret.placeholder, &reference(&secret.name))?;
        }
        for database in &self.databases {
            let (name, engine) = (&database.name, &database.engine);
            values.set(&format!("databases.{name}.host"), format!("{engine}_{engine}"))?;
            values.set(&format!("databases.{name}.port"), 5432)?;
            values.set(&format!("databases.{name}.name"), name.as_str())?;
            values.set(&format!("databases.{name}.user"), self.name.replace('-', "_"))?;
            let password = format!("{}/database-{engine}", self.name);
            values.set_secret(&format!("databases.{name}.password"), &reference(&password))?;
        }
        for note in &self.notes {
            values.text(note)?;
        }
        self.render(&values, &place)
    }

    /// What is known before anything was made.
    pub(super) fn values(
        &self,
        place: &Place,
        config: &Map<String, Value>,
    ) -> Result<Values, Failure> {
        let mut values = Values::default();
        for (name, value) in
            [("app", &self.name), ("server", &place.server), ("network", &place.network)]
        {
            values.set(name, value.as_str())?;
        }
        choose(&mut values, &self.config, config)?;
        for route in &self.routes {
            let name = place.name(&route.prefix)?;
            values.set(&format!("routes.{}.url", route.prefix), format!("https://{name}"))?;
            values.set(&format!("routes.{}.host", route.prefix), name)?;
        }
        Ok(values)
    }

    pub(super) fn render(&self, values: &Values, place: &Place) -> Result<Rendered, Failure> {
        let (mut compose, variables) = values.compose(&self.compose)?;
        for route in &self.routes {
            let name = place.name(&route.prefix)?;
            label(&mut compose, &self.name, route, &name, &place.network);
        }
        Ok(Rendered { compose: compose.to_string(), variables })
    }
}

/// What the operator chose, by the names of the recipe's properties.
fn choose(
    values: &mut Values,
    properties: &[Property],
    config: &Map<String, Value>,
) -> Result<(), Failure> {
    for Property { name, secret } in properties {
        let placeholder = format!("config.{name}");
        match config.get(name) {
            None | Some(Value::Null) => values.set_absent(&placeholder),
            Some(Value::String(reference)) if *secret => {
                values.set_secret(&placeholder, reference)?;
            }
            Some(value) => values.set(&placeholder, value.clone())?,
        }
    }
    Ok(())
}

/// Tells Traefik of a route.
fn label(compose: &mut Value, app: &str, route: &Route, name: &str, network: &str) {
    let Route { prefix, service, port, path, .. } = route;
    let deploy = compose.get_mut("services").and_then(|it| it.get_mut(service));
    let Some(Value::Object(service)) = deploy else { return };
    let deploy = service.entry("deploy").or_insert_with(|| json!({}));
    let Value::Object(deploy) = deploy else { return };
    let labels = deploy.entry("labels").or_insert_with(|| json!({}));
    let Value::Object(labels) = labels else { return };
    let router = match path {
        None => format!("{app}-{prefix}"),
        Some(path) => format!("{app}-{prefix}{}", path.replace('/', "-").trim_end_matches('-')),
    };
    let rule = match path {
        None => format!("Host(`{name}`)"),
        Some(path) => format!("Host(`{name}`) && PathPrefix(`{path}`)"),
    };
    let http = format!("traefik.http.routers.{router}");
    let wanted = [
        ("traefik.enable".to_owned(), "true".to_owned()),
        ("traefik.swarm.network".to_owned(), network.to_owned()),
        (format!("{http}.rule"), rule),
        (format!("{http}.entryPoints"), ENTRY_POINT.to_owned()),
        (format!("{http}.tls.certResolver"), RESOLVER.to_owned()),
        (format!("{http}.service"), router.clone()),
        (format!("traefik.http.services.{router}.loadbalancer.server.port"), port.to_string()),
    ];
    labels.extend(wanted.into_iter().map(|(key, value)| (key, value.into())));
}
