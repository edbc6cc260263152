//! A recipe in JavaScript, built with the Bytecode Alliance's tools and run like the others.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;
use tests::host_process::TestHost;

use super::authors::{install_with_a_yes, run};
use super::{folder, put_contract, sandbox, tools};

/// The version of `@bytecodealliance/componentize-js`.
const TOOL: &str = "@bytecodealliance/componentize-js@0.23.0";

/// The folder that has the tool, installed once. None, and a line that says so, where it cannot be.
fn environment(test: &str) -> Option<PathBuf> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let tools = tools("javascript");
    let installed = INSTALLED.get_or_init(|| install(&tools));
    installed.as_ref().map_err(|why| tests::lab::skip(test, why)).ok()?;
    Some(tools)
}

fn install(tools: &Path) -> Result<(), String> {
    if tools.join("node_modules/@bytecodealliance/componentize-js").exists() {
        return Ok(());
    }
    std::fs::create_dir_all(tools).map_err(|error| error.to_string())?;
    let mut npm = Command::new("npm");
    npm.current_dir(tools).args(["install", "--no-audit", "--no-fund", "--prefix", ".", TOOL]);
    let output = npm.output().map_err(|error| format!("npm does not run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{TOOL} is not to be had: {said}")) }
}

/// Makes a component of `app.js` with the build script that `windlass plugin new` writes.
fn copy_and_build(tools: &Path, source: &Path) -> PathBuf {
    let work = tempfile::tempdir_in(tools).unwrap().keep();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let template = root.join("host/src/cli/plugin/templates/javascript/build.mjs");
    std::fs::copy(template, work.join("build.mjs")).unwrap();
    std::fs::copy(source.join("app.js"), work.join("app.js")).unwrap();
    put_contract(&work);
    build(&work);
    work
}

fn build(work: &Path) {
    let output = Command::new("node").current_dir(work).arg("build.mjs").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_in_javascript_runs_like_the_others() {
    let Some(tools) = environment("a_recipe_in_javascript_runs_like_the_others") else { return };
    let source = folder().join("traefik-whoami");
    let work = copy_and_build(&tools, &source);
    let component = std::fs::read(work.join("app.wasm")).unwrap();
    let descriptor = std::fs::read_to_string(source.join("descriptor.json")).unwrap();
    std::fs::remove_dir_all(&work).unwrap();
    let host = TestHost::start().await;
    install_with_a_yes(&host, packing::add_descriptor(&component, &descriptor).unwrap()).await;
    sandbox::set_up(&host).await;
    let job = sandbox::install_app(&host, "traefik-whoami", json!({})).await;
    assert_eq!(job["result"]["urls"], json!(["https://whoami.lab.example.com"]), "{job}");
    let job = sandbox::remove(&host, "traefik-whoami", false).await;
    assert_eq!(job["result"]["changed"], true, "{job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_plugin_in_javascript_builds_and_runs_as_it_is() {
    let Some(tools) = environment("a_new_plugin_in_javascript_builds_and_runs_as_it_is") else {
        return;
    };
    let folder = tempfile::tempdir_in(&tools).unwrap();
    run(folder.path(), &["plugin", "new", "shop", "--language", "javascript"]);
    let work = folder.path().join("shop");
    let package = std::fs::read_to_string(work.join("package.json")).unwrap();
    let (name, version) = TOOL.rsplit_once('@').unwrap();
    assert!(package.contains(&format!("\"{name}\": \"{version}\"")), "{package}");
    build(&work);
    run(&work, &["plugin", "pack", ".", "--component", "app.wasm"]);
    let host = TestHost::start().await;
    install_with_a_yes(&host, std::fs::read(work.join("shop.wasm")).unwrap()).await;
    sandbox::set_up(&host).await;
    let job = sandbox::install_app(&host, "shop", json!({})).await;
    assert_eq!(job["result"]["changed"], true, "{job}");
    assert_eq!(sandbox::remove(&host, "shop", true).await["result"]["changed"], true);
}
