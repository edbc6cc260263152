//! `windlass plugin new`: a folder that can be built as it is, with the contract in it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::plugin::author::{Language, file, refused};
use crate::cli::terminal::Terminal;
use crate::cli::{Exit, Refusal};

/// The contract, and the SDK for Rust: the build embeds them.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/authors.rs"));
}

/// What stands for the name in a template.
const NAME: &str = "my-app";

/// A file of a folder: its path and its text.
type File = (&'static str, &'static str);

macro_rules! template {
    ($($file:literal from $template:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("templates/", $template)))),*]
    };
}

const RECIPE: &[File] = template![
    "recipe.yaml" from "recipe/recipe.yaml",
    "compose.yaml" from "recipe/compose.yaml",
    "README.md" from "recipe/README.md",
];

const RUST: &[File] = template![
    "recipe.yaml" from "rust/recipe.yaml",
    "compose.yaml" from "rust/compose.yaml",
    "Cargo.toml" from "rust/Cargo.toml",
    "windlass/sdk/Cargo.toml" from "rust/sdk.toml",
    "src/lib.rs" from "rust/lib.rs.txt",
    "README.md" from "rust/README.md",
];

const JAVASCRIPT: &[File] = template![
    "descriptor.json" from "descriptor.json",
    "package.json" from "javascript/package.json",
    "build.mjs" from "javascript/build.mjs",
    "app.js" from "javascript/app.js",
    "README.md" from "javascript/README.md",
];

const PYTHON: &[File] = template![
    "descriptor.json" from "descriptor.json",
    "requirements.txt" from "python/requirements.txt",
    "app.py" from "python/app.py",
    "README.md" from "python/README.md",
];

/// Writes the folder.
pub(super) fn run(name: &str, language: Language, terminal: &Terminal) -> Result<(), Refusal> {
    check(name)?;
    let folder = PathBuf::from(name);
    if folder.exists() {
        return Err(refused(&format!("There is `{name}` already: choose another name.")));
    }
    let (files, with_contract, with_sdk) = match language {
        Language::Recipe => (RECIPE, false, false),
        Language::Rust => (RUST, true, true),
        Language::Javascript => (JAVASCRIPT, true, false),
        Language::Python => (PYTHON, true, false),
    };
    for (path, text) in files {
        write(&folder.join(path), &text.replace(NAME, name))?;
    }
    for (path, text) in embedded::WIT.iter().filter(|_| with_contract) {
        write(&folder.join("wit").join(path), text)?;
    }
    for (path, text) in embedded::SDK.iter().filter(|_| with_sdk) {
        write(&folder.join("windlass/sdk").join(path), text)?;
    }
    if terminal.is_json() {
        terminal.json(&json!({ "folder": folder }));
    } else {
        terminal.say(&format!("{name}/README.md says how it is built and tried."));
    }
    Ok(())
}

fn check(name: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    if begins_well && name.len() <= 40 && name.chars().all(allowed) && !name.ends_with('-') {
        return Ok(());
    }
    let shown: String = name.chars().take(50).collect();
    let message = format!(
        "`{}` is no name of a plugin: use 1 to 40 of a-z, 0-9 and -, with a letter first.",
        shown.escape_debug()
    );
    Err(Refusal::new(Exit::Usage, message))
}

fn write(path: &Path, text: &str) -> Result<(), Refusal> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| file("make", parent, &error))?;
    }
    fs::write(path, text).map_err(|error| file("write", path, &error))
}
