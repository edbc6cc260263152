//! Builds every plugin under `plugins/` to a WebAssembly component, packs every recipe under
//! `plugins/apps/`, and embeds them all, so that one `cargo run` is the whole product.

#![expect(clippy::disallowed_methods, reason = "cargo talks to build scripts by the environment")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

/// The crate whose component recipes are packed into.
const GENERIC: &str = "recipe";

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
    fs::create_dir_all(&target)?;
    // Nobody else builds there until the components are copied: of two builds at once, of two
    // profiles, one would embed half a file of the other.
    let lock = fs::File::create(target.join("lock"))?;
    lock.lock()?;
    build(root, &target, &plugins)?;
    let built = target.join("wasm32-wasip2/plugin");
    let component = |plugin: &str| {
        let name = format!("{}.wasm", plugin.replace('-', "_"));
        fs::copy(built.join(&name), out.join(&name))?;
        anyhow::Ok(out.join(name))
    };
    let generic = component(GENERIC)?;
    let components = plugins.iter().filter(|plugin| *plugin != GENERIC).map(|it| component(it));
    let components = components.collect::<Result<Vec<_>>>()?;
    drop(lock);
    let packed = pack(&generic, &root.join("plugins/apps"), &out.join("apps"))?;
    embed(&components, &packed, &generic, &out.join("embedded.rs"))?;
    embed_for_authors(root, &out.join("authors.rs"))
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

/// Packs every recipe that is data alone, and answers where the files are that hold what stands
/// before and after the generic component in each.
fn pack(generic: &Path, recipes: &Path, packed: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let generic = fs::read(generic).context("the generic recipe was not built")?;
    fs::create_dir_all(packed)?;
    let mut pieces = Vec::new();
    for entry in fs::read_dir(recipes)? {
        let recipe = entry?.path();
        if !recipe.join(packing::RECIPE).exists() {
            continue;
        }
        let component = packing::pack(&generic, &recipe)
            .with_context(|| format!("the recipe in {} cannot be packed", recipe.display()))?;
        let name = recipe.file_name().context("a recipe's folder has a name")?;
        let at = component
            .windows(generic.len())
            .position(|part| part == generic)
            .context("a packed component has not the generic one in it")?;
        let file = packed.join(name);
        let (head, tail) = (file.with_extension("head"), file.with_extension("tail"));
        let (before, after) = component.split_at(at);
        fs::write(&head, before)?;
        fs::write(&tail, after.get(generic.len()..).unwrap_or_default())?;
        pieces.push((head, tail));
    }
    pieces.sort();
    Ok(pieces)
}

fn embed(
    components: &[PathBuf],
    packed: &[(PathBuf, PathBuf)],
    generic: &Path,
    file: &Path,
) -> Result<()> {
    let included = |path: &PathBuf| format!("include_bytes!({path:?})");
    let components: Vec<String> = components.iter().map(included).collect();
    let packed: Vec<String> = packed
        .iter()
        .map(|(head, tail)| format!("({}, {})", included(head), included(tail)))
        .collect();
    let code = format!(
        "const EMBEDDED: &[&[u8]] = &[{}];\n\
         const PACKED: &[(&[u8], &[u8])] = &[{}];\n\
         pub(super) const RECIPE: &[u8] = include_bytes!({generic:?});\n",
        components.join(", "),
        packed.join(", "),
    );
    fs::write(file, code).with_context(|| format!("could not write {}", file.display()))
}

/// The contract and the SDK as text, for `windlass plugin new`.
fn embed_for_authors(root: &Path, file: &Path) -> Result<()> {
    let sdk = root.join("plugins/sdk");
    let code = format!(
        "pub(super) const WIT: &[(&str, &str)] = &[{}];\n\
         pub(super) const SDK: &[(&str, &str)] = &[{}{}];\n",
        texts(&root.join("wit"), &root.join("wit"))?,
        texts(&sdk, &sdk.join("src"))?,
        texts(&sdk, &sdk.join("wit"))?,
    );
    fs::write(file, code).with_context(|| format!("could not write {}", file.display()))
}

/// The files below a folder as elements of an array: the path within `root`, and the text.
fn texts(root: &Path, folder: &Path) -> Result<String> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    let mut elements = String::new();
    for path in paths {
        if path.is_dir() {
            elements.push_str(&texts(root, &path)?);
        } else {
            let name = path.strip_prefix(root)?;
            write!(elements, "({name:?}, include_str!({path:?})),")?;
        }
    }
    Ok(elements)
}
