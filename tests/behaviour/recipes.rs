//! The recipes of the catalogue: what each of them deploys, and that it does so on the sandbox.

mod authors;
mod javascript;
pub(crate) mod machine;
mod python;
mod rehearsal;
mod rendering;
mod sandbox;

use std::fs;
use std::path::{Path, PathBuf};

use sdk::recipe::{Recipe, Rendered};
use serde_json::{Map, Value, json};

/// A recipe of the catalogue, as it is packed.
struct Entry {
    name: String,
    descriptor: Value,
    recipe: Recipe,
}

/// The folder of all recipes.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("plugins/apps")
}

/// Where the tools of a language are kept between runs.
fn tools(language: &str) -> PathBuf {
    let cache = std::env::var("WINDLASS_TEST_CACHE").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned()));
    cache.unwrap_or_else(|_| home().join(".cache/windlass-tests")).join(language)
}

/// Copies the contract to where those tools look for it.
fn put_contract(work: &Path) {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("wit");
    fs::create_dir(work.join("wit")).unwrap();
    for entry in fs::read_dir(wit).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, work.join("wit").join(path.file_name().unwrap())).unwrap();
    }
}

/// Every recipe that is data, by name.
fn catalogue() -> Vec<Entry> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if !path.join(packing::RECIPE).exists() {
            continue;
        }
        let packed = packing::check(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let descriptor: Value = serde_json::from_str(&packed.descriptor).unwrap();
        let recipe = Recipe::parse(&packed.data).unwrap();
        let name = descriptor["name"].as_str().unwrap().to_owned();
        entries.push(Entry { name, descriptor, recipe });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

impl Entry {
    fn properties(&self) -> &Map<String, Value> {
        self.descriptor["params"]["properties"].as_object().unwrap()
    }

    /// What a host would hand over of a configuration with only what has to be there.
    fn least(&self) -> Map<String, Value> {
        let required = self.descriptor["params"]["required"].as_array().unwrap();
        let is_needed = |name: &String| required.contains(&json!(name));
        self.configuration(|name, schema| {
            let default = schema.get("default").cloned();
            default.or_else(|| is_needed(name).then(|| some_value(name, schema)))
        })
    }

    /// The same of a configuration with everything that can be chosen.
    fn most(&self) -> Map<String, Value> {
        self.configuration(|name, schema| {
            Some(schema.get("default").cloned().unwrap_or_else(|| some_value(name, schema)))
        })
    }

    fn configuration(
        &self,
        value: impl Fn(&String, &Value) -> Option<Value>,
    ) -> Map<String, Value> {
        let chosen = self.properties().iter();
        let pairs = chosen.filter_map(|(name, schema)| {
            let value = value(name, schema)?;
            let reference = format!("${{secret:web-1/{}/config-x}}", self.name);
            let is_secret = schema.get("writeOnly").is_some();
            Some((name.clone(), if is_secret { json!(reference) } else { value }))
        });
        pairs.collect()
    }

    fn rendered(&self, config: &Map<String, Value>) -> (Value, Rendered) {
        let rendered = self.recipe.preview(config);
        let rendered = rendered.unwrap_or_else(|e| panic!("{}: {}", self.name, e.message));
        (serde_json::from_str(&rendered.compose).unwrap(), rendered)
    }
}

/// A value that a property takes.
fn some_value(name: &str, schema: &Value) -> Value {
    match (schema["type"].as_str().unwrap(), name) {
        ("integer", _) => schema.get("minimum").cloned().unwrap_or(json!(1)),
        ("boolean", _) => json!(true),
        (_, "domain") => json!("apps.example.com"),
        _ => json!("someone@example.com"),
    }
}
