//! `windlass plugin test`: what a plugin asks of the world, told in order, and nothing real touched.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tests::echo;
use tests::host_process::program;

use super::authors::run;

fn told(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = program()
        .current_dir(folder)
        .env("HOME", folder.join("nobody"))
        .args(["--json", "plugin", "test"])
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = serde_json::from_str(&said).unwrap_or_else(|_| json!({ "said": said + &errors }));
    (output.status.code(), told)
}

fn functions(run: &Value) -> Vec<&str> {
    let effects = run["effects"].as_array().unwrap();
    effects.iter().map(|it| it["function"].as_str().unwrap()).collect()
}

#[test]
fn a_recipe_is_deployed_and_removed_and_its_effects_are_told_in_order() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["plugin", "new", "shop"]);
    run(folder.path(), &["plugin", "pack", "shop"]);
    fs::write(folder.path().join("p.json"), r#"{ "greeting": "Good morning" }"#).unwrap();
    let (code, told) = told(folder.path(), &["shop.wasm", "--params", "p.json"]);
    assert_eq!(code, Some(0), "{told:#}");
    let runs = told["runs"].as_array().unwrap();
    let operations: Vec<&Value> = runs.iter().map(|it| &it["operation"]).collect();
    assert_eq!(operations.len(), 2, "{told:#}");
    assert!(runs.iter().all(|it| it["status"] == "completed"), "{told:#}");
    let deploys = functions(&runs[0]);
    let at = |name: &str| deploys.iter().position(|it| *it == name);
    assert!(at("stacks.deploy").is_some(), "{deploys:?}");
    let ordinals: Vec<u64> = runs[0]["effects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["ordinal"].as_u64().unwrap())
        .collect();
    assert!(ordinals.is_sorted(), "{ordinals:?}");
    assert!(functions(&runs[1]).contains(&"stacks.remove"), "{told:#}");
    // What a stack is made of is told by its digest; other choices make another one.
    let (_, usual) = self::told(folder.path(), &["shop.wasm"]);
    let deployed = |told: &Value| {
        let effects = told["runs"][0]["effects"].as_array().unwrap().clone();
        effects.into_iter().find(|it| it["function"] == "stacks.deploy").unwrap()
    };
    let digest = |told: &Value| deployed(told)["request"]["sha256"].as_str().unwrap().to_owned();
    assert_ne!(digest(&told), digest(&usual));
    assert!(!folder.path().join("nobody").exists());
    let text = run(folder.path(), &["plugin", "test", "shop.wasm"]);
    for part in ["completed", "  Wait until healthy", "stacks.deploy", "result  {"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn an_operation_runs_once_and_one_that_fails_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (at, write) = (folder.path(), |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).unwrap();
    });
    write("echo.wasm", echo::KEPT);
    let (code, told) = self::told(at, &["echo.wasm"]);
    assert_eq!(code, Some(0), "{told:#}");
    assert_eq!(told["runs"][0]["operation"], "echo_versions");
    assert_eq!(told["runs"][0]["steps"], json!(["Tell"]));
    assert_eq!(told["runs"][0]["result"]["version"], "7.7.1", "{told:#}");
    write("p.json", br#"{ "name": "fails-1" }"#);
    let (code, told) = self::told(at, &["echo.wasm", "--params", "p.json"]);
    assert_eq!(code, Some(1), "{told:#}");
    assert_eq!(told["runs"][0]["status"], "failed", "{told:#}");
    assert!(told["runs"][0]["error"].as_str().unwrap().contains("7.7.1 fails"), "{told:#}");
    // One that makes servers gets the door that makes them.
    write("echo.wasm", &echo::version(1));
    write("p.json", br#"{ "name": "a", "server_type": "cx23", "region": "nbg1" }"#);
    let (code, told) = self::told(at, &["echo.wasm", "--params", "p.json"]);
    assert_eq!(code, Some(0), "{told:#}");
    assert_eq!(told["runs"][0]["operation"], "create_server", "{told:#}");
}

#[test]
fn parameters_that_do_not_fit_are_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["plugin", "new", "shop"]);
    run(folder.path(), &["plugin", "pack", "shop"]);
    fs::write(folder.path().join("p.json"), r#"{ "greeting": 7 }"#).unwrap();
    let (code, told) = told(folder.path(), &["shop.wasm", "--params", "p.json"]);
    assert_eq!(code, Some(4), "{told:#}");
    assert!(told["said"].as_str().unwrap().contains("7 is not of type"), "{told:#}");
    fs::write(folder.path().join("p.json"), "[").unwrap();
    let (code, _) = self::told(folder.path(), &["shop.wasm", "--params", "p.json"]);
    assert_eq!(code, Some(2));
}

#[test]
fn the_interfaces_of_a_component_are_printed_as_wit() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["plugin", "new", "shop"]);
    run(folder.path(), &["plugin", "pack", "shop"]);
    let shown = run(folder.path(), &["plugin", "inspect", "shop.wasm"]);
    for part in ["contract     windlass:plugin@0.1.0", "operations", "exports", "bytes", "steps"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let wit = run(folder.path(), &["plugin", "inspect", "shop.wasm", "--wit"]);
    for part in ["export deploy: func", "package windlass:plugin@0.1.0", "interface stacks"] {
        assert!(wit.contains(part), "{part}: {wit}");
    }
}

#[test]
fn what_a_plugin_says_of_itself_does_not_command_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = echo::patched(echo::KEPT, "Tells its version", "\\u001b[2J-version");
    fs::write(folder.path().join("echo.wasm"), hostile).unwrap();
    let shown = run(folder.path(), &["plugin", "inspect", "echo.wasm"]);
    assert!(shown.contains("\\u{1b}[2J-version") && !shown.contains('\u{1b}'), "{shown:?}");
}
