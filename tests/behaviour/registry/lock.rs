//! `plugins.lock`: what was installed can be installed again, the very same, without a network; and a
//! tag that stands for something else is noticed.

use std::fs;

use serde_json::{Value, json};
use tests::registry::Registry;

use super::Author;

fn lock(author: &Author) -> Value {
    let text = fs::read_to_string(author.path("home/plugins.lock")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// An author who has installed his plugin from the registry.
fn installed(registry: &Registry) -> (Author, String, Value) {
    let author = Author::new();
    let there = registry.reference("shop:0.1.0");
    let pushed = author.told(&["plugin", "push", "shop.wasm", &there]);
    author.runs(&["plugin", "add", &there, "--accept-grants"]);
    (author, there, pushed)
}

#[tokio::test]
async fn the_lock_file_says_what_came_from_where_and_what_it_may() {
    let Some(registry) = Registry::start("lock file") else { return };
    let (author, there, pushed) = installed(&registry);
    let locked = &lock(&author)["plugins"]["shop"];
    assert_eq!(locked["reference"], there);
    assert_eq!(locked["manifest"], pushed["manifest_digest"]);
    assert_eq!(locked["component"], pushed["digest"]);
    assert_eq!(locked["version"], "0.1.0");
    assert_eq!(locked["wit"], json!(["windlass:plugin@0.1.0"]));
    assert!(locked["grants"]["interfaces"].as_array().unwrap().contains(&json!("stacks")));
    author.runs(&["plugin", "remove", "shop"]);
    assert_eq!(lock(&author)["plugins"], json!({}));
}

#[tokio::test]
async fn what_is_locked_is_installed_again_without_a_network() {
    let Some(registry) = Registry::start("offline") else { return };
    let (author, there, _) = installed(&registry);
    fs::copy(author.path("home/plugins.lock"), author.path("team.lock")).unwrap();
    author.runs(&["plugin", "remove", "shop"]);
    assert!(!author.has("shop"));
    drop(registry);
    let from = ["--lock-file", "team.lock"];
    author.is_refused(&["plugin", "add", &there, "--accept-grants"], &["gave no answer"]);
    let add = ["plugin", "add", "--locked", "--offline"];
    let said = author.runs(&[&add[..], &from].concat());
    assert!(said.contains("`shop` 0.1.0 is active"), "{said}");
    assert!(author.has("shop"));
    let one = ["plugin", "add", "--locked", "--offline", "shop"];
    author.runs(&[&one[..], &from].concat());
    let none = ["plugin", "add", "--locked", "none"];
    author.is_refused(&[&none[..], &from].concat(), &["no `none` in team.lock"]);
}

#[tokio::test]
async fn what_was_never_fetched_is_asked_for_by_its_digest_alone() {
    let Some(registry) = Registry::start("locked, by digest") else { return };
    let (author, there, _) = installed(&registry);
    author.another("Another shop", "other.wasm");
    author.runs(&["plugin", "push", "other.wasm", &there]);
    let digest = lock(&author)["plugins"]["shop"]["component"].clone();
    let hex = digest.as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let elsewhere = ["--home", "elsewhere", "plugin", "add", "--locked", "--lock-file"];
    let elsewhere = [&elsewhere[..], &["home/plugins.lock"]].concat();
    let cache = author.path("empty");
    let run = |more: &[&str]| {
        let mut command = tests::host_process::program();
        let output = command
            .current_dir(author.folder.path())
            .env("WINDLASS_CACHE", &cache)
            .env("DOCKER_CONFIG", author.docker())
            .args(&elsewhere)
            .args(more)
            .output()
            .unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.into_owned())
    };
    let (is_fine, said) = run(&["--offline"]);
    assert!(!is_fine && said.contains("leave out --offline once"), "{said}");
    let (is_fine, said) = run(&[]);
    assert!(is_fine && said.contains(&hex), "{said}");
    // What changed on the disk since is not believed.
    fs::write(cache.join("registry").join(&hex), "changed").unwrap();
    let (is_fine, said) = run(&["--offline"]);
    assert!(!is_fine && said.contains("leave out --offline once"), "{said}");
}

#[tokio::test]
async fn a_tag_that_moved_is_refused_with_both_digests() {
    let Some(registry) = Registry::start("moved tag") else { return };
    let (author, there, first) = installed(&registry);
    author.another("Another shop", "other.wasm");
    let second = author.told(&["plugin", "push", "other.wasm", &there]);
    let digest = |pushed: &Value| pushed["manifest_digest"].as_str().unwrap().to_owned();
    let add = ["plugin", "add", &there, "--accept-grants"];
    author.is_refused(&add, &["has moved", &digest(&first), &digest(&second), "--update-lock"]);
    assert_eq!(lock(&author)["plugins"]["shop"]["manifest"], first["manifest_digest"]);
    author.runs(&[&add[..], &["--update-lock"]].concat());
    assert_eq!(lock(&author)["plugins"]["shop"]["manifest"], second["manifest_digest"]);
}

#[tokio::test]
async fn a_lock_file_that_was_tampered_with_installs_nothing() {
    let Some(registry) = Registry::start("tampered lock file") else { return };
    let (author, there, _) = installed(&registry);
    author.another("Another shop", "other.wasm");
    let other = author.told(&["plugin", "push", "other.wasm", &registry.reference("shop:other")]);
    author.runs(&["plugin", "new-key", "team"]);
    author.runs(&["plugin", "sign", &there, "--key", "team.key"]);
    author.runs(&["plugin", "trust", "add", "team", "team.pub"]);
    let refused = |change: &dyn Fn(&mut Value), words: &[&str]| {
        let mut lock = lock(&author);
        change(&mut lock["plugins"]["shop"]);
        fs::write(author.path("bad.lock"), lock.to_string()).unwrap();
        author.is_refused(&["plugin", "add", "--locked", "--lock-file", "bad.lock"], words);
    };
    refused(&|_| {}, &["Nobody signed oci://"]);
    author.runs(&["plugin", "add", &there, "--accept-grants"]);
    author.runs(&["plugin", "add", "--locked"]);
    let component = other["digest"].clone();
    refused(&|it| it["component"] = component.clone(), &["another component than its manifest"]);
    let manifest = other["manifest_digest"].clone();
    refused(
        &|it| {
            it["component"] = component.clone();
            it["manifest"] = manifest.clone();
        },
        &["copied from another plugin"],
    );
    refused(&|it| it["grants"] = json!({ "interfaces": ["job"] }), &["fewer grants"]);
    refused(&|it| it["more"] = json!(1), &["is no lock file of this windlass"]);
    author.is_refused(&["plugin", "add", "--locked", "--lock-file", "none"], &["nothing in none"]);
}
