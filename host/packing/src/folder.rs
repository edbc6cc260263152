//! A recipe's folder: two files, read and held against each other.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::recipe::Recipe;
use crate::usage::Usage;
use crate::{PackError, Packed, compose, descriptor};

/// The file that says what a recipe is and needs.
pub const RECIPE: &str = "recipe.yaml";
/// The file that says what runs.
pub const COMPOSE: &str = "compose.yaml";
/// The file that says what a plugin with code of its own is and needs.
pub const DESCRIPTOR: &str = "descriptor.json";

pub(crate) fn read(folder: &Path) -> Result<Packed, PackError> {
    let recipe: Recipe = parse(folder, RECIPE)?;
    descriptor::check(&recipe)?;
    let mut tree: Value = parse(folder, COMPOSE)?;
    compose::check(&tree, &recipe)?;
    let mut usage = Usage::of(&recipe)?;
    usage.tree(&tree)?;
    usage.texts(&recipe)?;
    usage.complete()?;
    compose::complete(&mut tree);
    let content = json!({
        "name": recipe.name,
        "steps": descriptor::steps(&recipe),
        "secrets": usage.secrets(),
        "databases": recipe.databases.iter()
            .map(|(name, engine)| json!({ "name": name, "engine": engine }))
            .collect::<Vec<_>>(),
        "config": descriptor::properties(&recipe).iter()
            .map(|(name, schema)| json!({ "name": name, "secret": descriptor::is_secret(schema) }))
            .collect::<Vec<_>>(),
        "routes": recipe.routes,
        "after": recipe.after,
        "notes": paragraphs(&recipe.notes),
        "healthy_s": recipe.healthy_s,
        "compose": tree,
    });
    let descriptor = descriptor::of(&recipe, &usage.secret_names());
    Ok(Packed { data: content.to_string(), descriptor: descriptor.to_string() })
}

/// The paragraphs of a text, each in one line.
fn paragraphs(text: &str) -> Vec<String> {
    let one_line = |it: &str| it.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split("\n\n").map(one_line).filter(|it| !it.is_empty()).collect()
}

fn parse<T: DeserializeOwned>(folder: &Path, file: &str) -> Result<T, PackError> {
    let path = folder.join(file);
    let text = fs::read_to_string(&path)
        .map_err(|source| PackError::Unreadable { path: path.clone(), source })?;
    let tree: Value = serde_saphyr::from_str(&text).map_err(|error| {
        let said = error.to_string();
        let first = said.lines().next().unwrap_or_default();
        PackError::recipe(file, "", &format!("it is no YAML: {first}"))
    })?;
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let field = error.path().to_string();
        let field = if field == "." { "" } else { &field };
        PackError::recipe(file, field, &error.inner().to_string())
    })
}
