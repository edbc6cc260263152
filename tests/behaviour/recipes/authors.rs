//! What authors of plugins do: begin one, build it, pack it, look at it, and run it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tests::apps;
use tests::host_process::{TestHost, program};
use windlass::plugins::plugin::Plugin;

use super::{catalogue, folder as recipes, sandbox};

/// How long a compilation may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// The program under test.
fn windlass(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = program().current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

pub(super) fn run(folder: &Path, arguments: &[&str]) -> String {
    let (is_fine, said) = windlass(folder, arguments);
    assert!(is_fine, "windlass {arguments:?}: {said}");
    said
}

/// Installs a component, which asks first. One that has a whole language in it takes its time to be
/// compiled by an unoptimised host, once.
pub(super) async fn install_with_a_yes(host: &TestHost, component: Vec<u8>) {
    let upload = |query: &str| {
        let request = host.request(Method::POST, &format!("/api/plugins?{query}"));
        let request = request.header("Content-Type", "application/wasm").timeout(PATIENCE);
        host.answer(request.body(component.clone()))
    };
    let began = Instant::now();
    let (status, asked) = upload("").await;
    assert_eq!((status, &asked["code"]), (409, &json!("grants_needed")), "{asked}");
    let wanted = asked["details"]["grants"]["interfaces"].as_array().unwrap();
    assert!(wanted.contains(&json!("stacks")), "{asked}");
    let (status, added) = upload("accept_grants=true").await;
    assert_eq!(status, 201, "{added}");
    let took = began.elapsed().as_millis();
    println!("{} bytes, asked and installed in {took} ms", component.len());
}

#[test]
fn a_new_recipe_can_be_packed_as_it_is_and_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["plugin", "new", "shop"]);
    let said = run(folder.path(), &["plugin", "pack", "shop", "-o", "one.wasm"]);
    assert!(said.contains("`shop` is packed into one.wasm"), "{said}");
    run(folder.path(), &["plugin", "pack", "shop", "-o", "two.wasm"]);
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("one.wasm"), read("two.wasm"));
    assert_eq!(Plugin::read(read("one.wasm")).unwrap().descriptor.name, "shop");
    let shown = run(folder.path(), &["--json", "plugin", "inspect", "one.wasm"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["descriptor"]["dns_prefixes"][0], "shop");
    assert!(!shown.to_string().contains("windlass:recipe/source"), "{shown}");
    let shown = run(folder.path(), &["plugin", "inspect", "one.wasm"]);
    for word in ["interfaces", "windlass:plugin/stacks", "Wait until healthy", "sha256:"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
}

#[tokio::test]
async fn a_new_recipe_is_installed_with_its_operators_yes_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["plugin", "new", "shop"]);
    run(folder.path(), &["plugin", "pack", "shop"]);
    let host = TestHost::start().await;
    install_with_a_yes(&host, fs::read(folder.path().join("shop.wasm")).unwrap()).await;
    sandbox::set_up(&host).await;
    let job = sandbox::install_app(&host, "shop", json!({})).await;
    assert_eq!(job["result"]["urls"], json!(["https://shop.lab.example.com"]), "{job}");
    assert_eq!(sandbox::remove(&host, "shop", true).await["result"]["changed"], true);
}

/// The program keeps what is the same in all of them once.
#[tokio::test]
async fn the_catalogue_has_what_packing_makes_byte_for_byte() {
    let packed = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for entry in catalogue() {
        let generic = windlass::plugins::recipe_component();
        let component = packing::pack(generic, &recipes().join(&entry.name)).unwrap();
        fs::write(packed.path().join(&entry.name), component).unwrap();
        files.push(entry.name);
    }
    let mut sums = Command::new("sha256sum");
    let output = sums.current_dir(packed.path()).args(&files).output().unwrap();
    let host = TestHost::start().await;
    let (_, listed) = host.get("/api/plugins").await;
    let listed = listed["plugins"].as_array().unwrap();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        let plugin = listed.iter().find(|it| it["name"] == name).unwrap();
        assert_eq!(plugin["digest"], format!("sha256:{sum}"), "{name}");
        files.retain(|it| it != name);
    }
    assert_eq!(files, Vec::<String>::new());
}

#[test]
fn what_cannot_be_packed_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let pack = ["plugin", "pack", "."];
    let (is_fine, said) = windlass(folder.path(), &pack);
    assert!(!is_fine && said.contains("neither recipe.yaml nor descriptor.json"), "{said}");
    run(folder.path(), &["plugin", "new", "shop"]);
    let (is_fine, said) = windlass(folder.path(), &["plugin", "new", "shop"]);
    assert!(!is_fine && said.contains("There is `shop` already"), "{said}");
    let (is_fine, said) = windlass(folder.path(), &["plugin", "new", "../shop"]);
    assert!(!is_fine && said.contains("is no name of a plugin"), "{said}");
    let compose = folder.path().join("shop/compose.yaml");
    let text = fs::read_to_string(&compose).unwrap().replace("nginx:1.28.0-alpine", "nginx");
    fs::write(&compose, text).unwrap();
    let (is_fine, said) = windlass(folder.path(), &["plugin", "pack", "shop"]);
    let place = "compose.yaml: services.web.image: `nginx` is not pinned";
    assert!(!is_fine && said.contains(place), "{said}");
    let descriptor = apps::recipe("earlier", &[], json!({})).to_string();
    fs::write(folder.path().join("descriptor.json"), descriptor).unwrap();
    fs::write(folder.path().join("app.wasm"), apps::of_earlier()).unwrap();
    let (is_fine, said) =
        windlass(folder.path(), &[&pack[..], &["--component", "app.wasm"]].concat());
    assert!(!is_fine && said.contains("exports no function `undeploy`"), "{said}");
}

#[test]
fn a_new_plugin_in_rust_builds_outside_of_this_repository() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["plugin", "new", "shop", "--language", "rust"]);
    let crate_folder = folder.path().join("shop");
    let built = Command::new(env!("CARGO"))
        .current_dir(&crate_folder)
        .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2"])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_TARGET_DIR")
        .status()
        .unwrap();
    assert!(built.success());
    let component = "target/wasm32-wasip2/release/app.wasm";
    run(&crate_folder, &["plugin", "pack", ".", "--component", component]);
    let plugin = Plugin::read(fs::read(crate_folder.join("shop.wasm")).unwrap()).unwrap();
    assert_eq!(plugin.descriptor.name, "shop");
}
