//! The Compose file of a recipe: what must be in it, what may not, and what packing adds so that
//! every recipe has it alike.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::PackError;
use crate::folder::{COMPOSE, RECIPE};
use crate::placeholders::shown;
use crate::recipe::Recipe;

/// What may stand at the top.
const TOP: [&str; 4] = ["configs", "services", "volumes", "x-notes"];

/// The server's network, which all apps share.
const PUBLIC: &str = "public";
/// The stack's own network.
const OWN: &str = "default";

/// Refuses what a recipe's Compose file may not be.
pub(crate) fn check(tree: &Value, recipe: &Recipe) -> Result<(), PackError> {
    let wrong = |field: &str, reason: &str| Err(PackError::recipe(COMPOSE, field, reason));
    let Value::Object(top) = tree else {
        return wrong("", "it is no mapping: it begins with `services:`");
    };
    if let Some(key) = top.keys().find(|key| !TOP.contains(&key.as_str())) {
        let reason = "packing writes `version` and `networks`, and takes no more than services, \
                      volumes and configs";
        return wrong(key, reason);
    }
    let services = match top.get("services") {
        Some(Value::Object(services)) if !services.is_empty() => services,
        _ => return wrong("services", "it has no services"),
    };
    for (name, service) in services {
        check_service(&format!("services.{name}"), service, recipe.unchecked.contains_key(name))?;
    }
    check_volumes(top, services)?;
    check_mentions(recipe, services)
}

fn check_service(at: &str, service: &Value, is_unchecked: bool) -> Result<(), PackError> {
    let wrong = |field: &str, reason: &str| {
        Err(PackError::recipe(COMPOSE, &format!("{at}{field}"), reason))
    };
    let text = |pointer: &str| service.pointer(pointer).and_then(Value::as_str);
    let Some(image) = text("/image") else {
        return wrong(".image", "a service needs an image");
    };
    if let Err(reason) = check_image(image) {
        return wrong(".image", &reason);
    }
    for (pointer, field, example) in [
        ("/deploy/resources/limits/memory", ".deploy.resources.limits.memory", "512M"),
        ("/deploy/resources/limits/cpus", ".deploy.resources.limits.cpus", "\"0.5\""),
    ] {
        if text(pointer).is_none_or(str::is_empty) {
            return wrong(field, &format!("every service has a limit, such as {example}"));
        }
    }
    if service.get("ports").is_some() {
        return wrong(
            ".ports",
            "no port is published: `routes` of recipe.yaml says what Traefik has",
        );
    }
    if service.get("environment").is_some_and(|it| !it.is_object()) {
        return wrong(
            ".environment",
            "use `NAME: value`, which can be left out, not `- NAME=value`",
        );
    }
    if service.pointer("/deploy/labels").is_some() {
        return wrong(".deploy.labels", "`routes` of recipe.yaml makes the labels");
    }
    match (service.get("healthcheck").is_some(), is_unchecked) {
        (false, false) => {
            wrong(".healthcheck", "add one, or say in `unchecked` of recipe.yaml why there is none")
        }
        (true, true) => wrong(".healthcheck", "recipe.yaml says in `unchecked` that there is none"),
        _ => check_networks(at, service),
    }
}

fn check_networks(at: &str, service: &Value) -> Result<(), PackError> {
    let networks = match service.get("networks") {
        None => return Ok(()),
        Some(Value::Array(networks)) => networks,
        Some(_) => {
            let reason = "use a list of `default` (the stack's own) and `public` (the server's)";
            return Err(PackError::recipe(COMPOSE, &format!("{at}.networks"), reason));
        }
    };
    for network in networks {
        if ![Some(OWN), Some(PUBLIC)].contains(&network.as_str()) {
            let reason = "there are `default` (the stack's own) and `public` (the server's)";
            return Err(PackError::recipe(COMPOSE, &format!("{at}.networks"), reason));
        }
    }
    Ok(())
}

/// An image with a version that says which one it is.
fn check_image(image: &str) -> Result<(), String> {
    if image.contains("{{") {
        return Err("an image is pinned by the recipe, not chosen".to_owned());
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    let (name, tag) = last.split_once(':').unwrap_or((last, ""));
    if image.contains("@sha256:") {
        return Ok(());
    }
    let is_moving = ["latest", "stable", "main", "master", "nightly", "edge", "lts", "next"]
        .contains(&tag)
        || tag.starts_with("latest-");
    if name.is_empty() || tag.is_empty() || is_moving {
        return Err(format!("`{}` is not pinned: give it a version as its tag", shown(image)));
    }
    Ok(())
}

/// Every volume is declared, and every declared one is mounted.
fn check_volumes(top: &Map<String, Value>, services: &Map<String, Value>) -> Result<(), PackError> {
    let empty = Map::new();
    let declared = top.get("volumes").and_then(Value::as_object).unwrap_or(&empty);
    let mut mounted = BTreeSet::new();
    for (name, service) in services {
        let volumes = service.get("volumes").and_then(Value::as_array);
        for volume in volumes.into_iter().flatten() {
            let at = format!("services.{name}.volumes");
            let Some(source) = volume.as_str().and_then(|it| it.split(':').next()) else {
                return Err(PackError::recipe(COMPOSE, &at, "use the form `name:/path`"));
            };
            if !declared.contains_key(source) && !source.starts_with('/') {
                let reason = format!("`{}` is not among the file's `volumes`", shown(source));
                return Err(PackError::recipe(COMPOSE, &at, &reason));
            }
            mounted.insert(source.to_owned());
        }
    }
    match declared.keys().find(|name| !mounted.contains(*name)) {
        Some(name) => {
            let reason = "no service mounts it";
            Err(PackError::recipe(COMPOSE, &format!("volumes.{name}"), reason))
        }
        None => Ok(()),
    }
}

/// The services that the recipe's own file names are there.
fn check_mentions(recipe: &Recipe, services: &Map<String, Value>) -> Result<(), PackError> {
    let routes = recipe.routes.iter().enumerate();
    let commands = recipe.after.iter().enumerate();
    let mut named: Vec<(String, &str)> =
        routes.map(|(n, it)| (format!("routes[{n}].service"), it.service.as_str())).collect();
    named.extend(commands.map(|(n, it)| (format!("after[{n}].service"), it.service.as_str())));
    named.extend(recipe.unchecked.keys().map(|it| (format!("unchecked.{it}"), it.as_str())));
    if let Some(service) = provider(recipe) {
        named.push(("provides.databases.service".to_owned(), service));
    }
    match named.into_iter().find(|(_, service)| !services.contains_key(*service)) {
        Some((field, service)) => {
            let reason = format!("compose.yaml has no service `{}`", shown(service));
            Err(PackError::recipe(RECIPE, &field, &reason))
        }
        None => Ok(()),
    }
}

fn provider(recipe: &Recipe) -> Option<&str> {
    recipe.provides.as_ref()?.pointer("/databases/service")?.as_str()
}

/// Adds what every stack has alike.
pub(crate) fn complete(tree: &mut Value) {
    let Value::Object(top) = tree else { return };
    top.insert("version".to_owned(), json!("3.8"));
    top.insert(
        "networks".to_owned(),
        json!({ PUBLIC: { "external": true, "name": "{{ network }}" } }),
    );
    let Some(Value::Object(services)) = top.get_mut("services") else { return };
    for service in services.values_mut() {
        let Value::Object(service) = service else { continue };
        service.entry("networks").or_insert_with(|| json!([PUBLIC]));
        let deploy = service.entry("deploy").or_insert_with(|| json!({}));
        let Value::Object(deploy) = deploy else { continue };
        // Volumes are local to the node that has them.
        deploy
            .entry("placement")
            .or_insert_with(|| json!({ "constraints": ["node.role == manager"] }));
        deploy
            .entry("restart_policy")
            .or_insert_with(|| json!({ "condition": "any", "delay": "5s" }));
        deploy.entry("update_config").or_insert_with(|| json!({ "order": "stop-first" }));
    }
}
