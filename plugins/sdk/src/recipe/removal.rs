//! Taking an app away.

use serde_json::Map;

use super::deployment::{begin, say};
use super::place::Place;
use super::{Params, Recipe, Removed, names};
use crate::job;
use crate::{Failure, databases, inventory, stacks};

pub(super) fn remove(recipe: &Recipe, params: Params) -> Result<Removed, Failure> {
    let Params { server, app, config, delete_data } = params;
    plan(recipe, delete_data);
    begin("Remove stack", 5);
    let mut changed = stacks::inspect(&server, &app)?.status != "absent";
    stacks::remove(&server, &app, delete_data)?;
    say(&match (changed, delete_data) {
        (false, _) => format!("nothing to do: there is no stack `{app}`"),
        (true, false) => format!("the stack `{app}` is gone, its volumes stay"),
        (true, true) => format!("the stack `{app}` and its volumes are gone"),
    });
    if !recipe.routes.is_empty() {
        begin("Remove DNS", 60);
        changed |= withdraw(recipe, &server, &config)?;
    }
    if delete_data && !recipe.databases.is_empty() {
        begin("Delete data", 75);
        for database in &recipe.databases {
            databases::drop(&server, &database.engine, &database.name)?;
            say(&format!("the database {} of {} is gone", database.name, database.engine));
        }
    }
    begin("Forget app", 90);
    inventory::delete_app(&server, &app)?;
    job::progress(100);
    Ok(Removed { app, server, changed })
}

fn plan(recipe: &Recipe, delete_data: bool) {
    let mut steps = vec!["Remove stack".to_owned()];
    if !recipe.routes.is_empty() {
        steps.push("Remove DNS".to_owned());
    }
    if delete_data && !recipe.databases.is_empty() {
        steps.push("Delete data".to_owned());
    }
    steps.push("Forget app".to_owned());
    job::plan(&steps);
}

/// A server without a zone and an app without a domain have no names that could be taken back.
fn withdraw(
    recipe: &Recipe,
    server: &str,
    config: &Map<String, serde_json::Value>,
) -> Result<bool, Failure> {
    let place = Place::of(server, config)?;
    let (mut changed, mut done) = (false, Vec::new());
    for route in &recipe.routes {
        let Ok(name) = place.name(&route.prefix) else { continue };
        if !done.contains(&name) {
            changed |= names::withdraw(&place, &recipe.name, &name)?;
            done.push(name);
        }
    }
    Ok(changed)
}
