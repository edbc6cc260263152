//! A recipe in Python, built with the Bytecode Alliance's tools, installed with its operator's yes
//! and run like the others; and the folder that authors begin with.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use serde_json::json;
use tests::host_process::TestHost;

use super::authors::{install_with_a_yes, run};
use super::sandbox::{install_app, remove, said};
use super::{folder, put_contract, sandbox, tools};

/// The folder that has `bin/componentize-py`, installed once. None, and a line that says so, where
/// it cannot be.
fn environment(test: &str) -> Option<&'static Path> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let requirements =
        include_str!("../../../host/src/cli/plugin/templates/python/requirements.txt");
    let installed = INSTALLED.get_or_init(|| environment_with(requirements.trim()));
    let path = installed.as_ref().map_err(|why| tests::lab::skip(test, why)).ok()?;
    Some(path)
}

/// The folder with this package of Python's and nothing else, installed once.
pub(super) fn environment_with(version: &str) -> Result<PathBuf, String> {
    let tools = tools("python");
    let venv = tools.join(version);
    if venv.join("installed").exists() {
        return Ok(venv);
    }
    std::fs::create_dir_all(&tools).map_err(|error| error.to_string())?;
    let done = |command: &mut Command| {
        let output = command.output().map_err(|error| format!("python3 does not run: {error}"))?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
    };
    done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    done(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "--no-deps", version]))?;
    std::fs::write(venv.join("installed"), version).map_err(|error| error.to_string())?;
    Ok(venv)
}

/// Makes a component of `app.py` in this folder as `README.md` of a new plugin says.
fn build(environment: &Path, work: &Path) -> PathBuf {
    let readme = include_str!("../../../host/src/cli/plugin/templates/python/README.md");
    let told = ["-d", "wit", "-w", "app", "componentize", "--stub-wasi", "app", "-o", "app.wasm"];
    assert!(readme.contains(&told.join(" ")), "the README says otherwise");
    let began = Instant::now();
    let mut tool = Command::new(environment.join("bin/componentize-py"));
    let output = tool.current_dir(work).args(told).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    let component = work.join("app.wasm");
    let size = component.metadata().unwrap().len();
    println!("{size} bytes, built in {} ms", began.elapsed().as_millis());
    component
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_in_python_runs_like_the_others() {
    let Some(python) = environment("a_recipe_in_python_runs_like_the_others") else { return };
    let source = folder().join("gotify");
    let work = tempfile::tempdir_in(tools("python")).unwrap();
    std::fs::copy(source.join("app.py"), work.path().join("app.py")).unwrap();
    put_contract(work.path());
    let component = std::fs::read(build(python, work.path())).unwrap();
    let descriptor = std::fs::read_to_string(source.join("descriptor.json")).unwrap();
    let host = TestHost::start().await;
    install_with_a_yes(&host, packing::add_descriptor(&component, &descriptor).unwrap()).await;
    sandbox::set_up(&host).await;

    let job = install_app(&host, "gotify", json!({})).await;
    let expected = json!({
        "app": "gotify", "server": "web-1", "changed": true,
        "urls": ["https://gotify.lab.example.com"],
    });
    assert_eq!(job["result"], expected, "{job}");
    let log = said(&host, &job).await;
    let is_named = |line: &String| line.starts_with("A gotify.lab.example.com is ");
    assert!(log.iter().any(is_named), "{log:?}");
    assert_eq!(install_app(&host, "gotify", json!({})).await["result"]["changed"], false);
    let (_, apps) = host.get("/api/servers/web-1/apps").await;
    assert_eq!(apps["apps"][0]["status"], json!("running"), "{apps}");
    let job = remove(&host, "gotify", true).await;
    assert_eq!(job["result"]["changed"], true, "{job}");
    let log = said(&host, &job).await;
    assert!(log.contains(&"A gotify.lab.example.com is gone".to_owned()), "{log:?}");
    assert_eq!(host.get("/api/servers/web-1/apps").await.1["apps"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_plugin_in_python_builds_and_runs_as_it_is() {
    let Some(python) = environment("a_new_plugin_in_python_builds_and_runs_as_it_is") else {
        return;
    };
    let folder = tempfile::tempdir_in(tools("python")).unwrap();
    run(folder.path(), &["plugin", "new", "shop", "--language", "python"]);
    let work = folder.path().join("shop");
    build(python, &work);
    run(&work, &["plugin", "pack", ".", "--component", "app.wasm"]);
    let host = TestHost::start().await;
    install_with_a_yes(&host, std::fs::read(work.join("shop.wasm")).unwrap()).await;
    sandbox::set_up(&host).await;
    let job = install_app(&host, "shop", json!({})).await;
    assert_eq!(job["result"]["changed"], true, "{job}");
    assert_eq!(remove(&host, "shop", true).await["result"]["changed"], true);
}
