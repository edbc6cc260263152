//! `windlass plugin pack`.

use std::fs;
use std::path::{Path, PathBuf};

use packing::PackError;
use serde_json::json;

use crate::cli::Refusal;
use crate::cli::plugin::author::{file, refused};
use crate::cli::terminal::Terminal;
use crate::plugins::plugin::Plugin;
use crate::plugins::recipe_component;

/// Packs, checks that the host would take it, and writes it.
pub(super) fn run(
    folder: &Path,
    component: Option<&Path>,
    output: Option<PathBuf>,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let packed = packed(folder, component)?;
    let size = packed.len();
    let plugin = Plugin::read(packed.clone()).map_err(|error| refused(&format!("{error}.")))?;
    plugin.check_contract().map_err(|error| refused(&format!("{error}.")))?;
    let name = &plugin.descriptor.name;
    let output = output.unwrap_or_else(|| PathBuf::from(format!("{name}.wasm")));
    fs::write(&output, packed).map_err(|error| file("write", &output, &error))?;
    let digest = plugin.digest.to_string();
    if terminal.is_json() {
        terminal.json(&json!({ "file": output, "name": name, "digest": digest, "bytes": size }));
    } else {
        terminal
            .say(&format!("`{name}` is packed into {}: {size} bytes, {digest}.", output.display()));
    }
    Ok(())
}

fn packed(folder: &Path, component: Option<&Path>) -> Result<Vec<u8>, Refusal> {
    let given = match component {
        Some(path) => Some(fs::read(path).map_err(|error| file("read", path, &error))?),
        None => None,
    };
    if folder.join(packing::RECIPE).exists() {
        let component = given.as_deref().unwrap_or_else(|| recipe_component());
        return packing::pack(component, folder).map_err(|error| bad(&error));
    }
    let path = folder.join(packing::DESCRIPTOR);
    let descriptor = fs::read_to_string(&path).map_err(|_missing| {
        refused(&format!(
            "{} has neither {} nor {}: is it the folder of a plugin?",
            folder.display(),
            packing::RECIPE,
            packing::DESCRIPTOR
        ))
    })?;
    let component = given.ok_or_else(|| {
        refused("This plugin has code of its own: build it, and name it with --component FILE.")
    })?;
    packing::add_descriptor(&component, &descriptor).map_err(|error| bad(&error))
}

fn bad(error: &PackError) -> Refusal {
    match error {
        PackError::Unreadable { path, source } => file("read", path, source),
        other => refused(&format!("{other}.")),
    }
}
