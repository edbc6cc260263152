//! Builds every plugin under `plugins/` to a WebAssembly component and embeds it, so that one
//! `cargo run` is the whole product.

#![expect(clippy::disallowed_methods, reason = "cargo talks to build scripts by the environment")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

fn main() -> Result<()> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let host = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = host.parent().context("the host has no workspace around it")?;
    for watched in ["plugins", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    let plugins = plugin_packages(&root.join("plugins"))?;
    // <target>/<profile>/build/<package>/out: one folder for all profiles of the host.
    let target = out.ancestors().nth(4).context("OUT_DIR is not in a target folder")?;
    let target = target.join("plugins");
    build(root, &target, &plugins)?;
    embed(&target.join("wasm32-wasip2/plugin"), &plugins, &out.join("embedded.rs"))
}

/// The names of all plugin crates; the SDK is none.
fn plugin_packages(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "sdk" && entry.path().join("Cargo.toml").exists() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn build(root: &Path, target: &Path, plugins: &[String]) -> Result<()> {
    let mut cargo = Command::new(env::var_os("CARGO").context("cargo sets CARGO")?);
    cargo
        .current_dir(root)
        .args(["build", "--locked", "--profile", "plugin", "--target", "wasm32-wasip2"])
        .arg("--target-dir")
        .arg(target);
    for plugin in plugins {
        cargo.args(["--package", plugin]);
    }
    // What the outer build was told is for the host's target, or for clippy.
    for variable in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(variable);
    }
    let status = cargo.status().context("could not start cargo for the plugins")?;
    ensure!(
        status.success(),
        "the plugins did not build; if the target is missing: rustup target add wasm32-wasip2"
    );
    Ok(())
}

fn embed(built: &Path, plugins: &[String], file: &Path) -> Result<()> {
    let component = |plugin: &String| built.join(format!("{}.wasm", plugin.replace('-', "_")));
    let included: Vec<String> =
        plugins.iter().map(|plugin| format!("include_bytes!({:?})", component(plugin))).collect();
    let code = format!("pub(super) const EMBEDDED: &[&[u8]] = &[{}];\n", included.join(", "));
    fs::write(file, code).with_context(|| format!("could not write {}", file.display()))
}
