//! Plugins in registries: brought, fetched, installed, and what becomes of those that are not what
//! they say.

mod hostile;
mod lock;
mod peers;
mod signatures;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::host_process::program;
use tests::registry::{PASSWORD, Registry, USER};

/// Somebody at a command line: a folder with a recipe in it, a home, and what Docker keeps.
struct Author {
    folder: TempDir,
}

impl Author {
    /// With the recipe `shop`, packed.
    fn new() -> Self {
        let author = Self { folder: TempDir::new().unwrap() };
        fs::create_dir(author.docker()).unwrap();
        author.runs(&["plugin", "new", "shop"]);
        author.runs(&["plugin", "pack", "shop"]);
        author
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn docker(&self) -> PathBuf {
        self.path("docker")
    }

    fn component(&self) -> Vec<u8> {
        fs::read(self.path("shop.wasm")).unwrap()
    }

    /// The same recipe with another title, packed into this file.
    fn another(&self, title: &str, file: &str) {
        let recipe = self.path("shop/recipe.yaml");
        let text = fs::read_to_string(&recipe).unwrap();
        let line = text.lines().find(|line| line.starts_with("title:")).unwrap();
        fs::write(&recipe, text.replace(line, &format!("title: {title}"))).unwrap();
        self.runs(&["plugin", "pack", "shop", "-o", file]);
    }

    /// Runs the program, and answers whether it went well and what it said.
    fn tries_with(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let mut command = program();
        command
            .current_dir(self.folder.path())
            .env("DOCKER_CONFIG", self.docker())
            .arg("--home")
            .arg(self.path("home"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that refuses its command line reads nothing.
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap_or_default();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }

    fn tries(&self, arguments: &[&str]) -> (bool, String) {
        self.tries_with(arguments, "")
    }

    fn runs(&self, arguments: &[&str]) -> String {
        let (is_fine, said) = self.tries(arguments);
        assert!(is_fine, "windlass {arguments:?}: {said}");
        said
    }

    /// What a program is told.
    fn told(&self, arguments: &[&str]) -> Value {
        let said = self.runs(&[&["--json"], arguments].concat());
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("no JSON: {said}"))
    }

    /// It goes wrong, with each of these words.
    fn is_refused(&self, arguments: &[&str], words: &[&str]) {
        let (is_fine, said) = self.tries(arguments);
        assert!(!is_fine, "windlass {arguments:?}: {said}");
        for word in words {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
    }

    fn has(&self, plugin: &str) -> bool {
        let listed = self.told(&["plugin", "list"]);
        listed["plugins"].as_array().unwrap().iter().any(|it| it["name"] == plugin)
    }
}

fn log_in(docker: &Path, registry: &str) {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let config = json!({ "auths": { registry: { "auth": auth } } });
    fs::write(docker.join("config.json"), config.to_string()).unwrap();
}

#[tokio::test]
async fn a_plugin_goes_to_a_registry_and_comes_back_as_it_was() {
    let Some(registry) = Registry::start("push and pull") else { return };
    let author = Author::new();
    let there = registry.reference("team/shop");
    let pushed = author.told(&["plugin", "push", "shop.wasm", &there]);
    assert_eq!(pushed["reference"], format!("{there}:0.1.0"));
    let again = author.told(&["plugin", "push", "shop.wasm", &format!("{there}:again")]);
    assert_eq!(again["manifest_digest"], pushed["manifest_digest"], "{again}");

    let manifest = registry.manifest("team/shop", "0.1.0").await;
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"][0]["digest"], pushed["digest"]);
    assert_eq!(manifest["annotations"]["org.opencontainers.image.title"], "shop");

    let said = author.runs(&["plugin", "pull", &format!("{there}:0.1.0"), "-o", "back.wasm"]);
    for word in ["`shop` 0.1.0", "stacks", "sha256:", "nothing is installed"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(fs::read(author.path("back.wasm")).unwrap(), author.component());
    let by_digest = format!("{there}@{}", pushed["manifest_digest"].as_str().unwrap());
    author.runs(&["plugin", "pull", &by_digest]);
    assert_eq!(author.component(), fs::read(author.path("back.wasm")).unwrap());
}

#[tokio::test]
async fn a_plugin_from_a_registry_is_installed_like_any_other_and_asks_first() {
    let Some(registry) = Registry::start("add") else { return };
    let author = Author::new();
    let there = registry.reference("shop:0.1.0");
    author.runs(&["plugin", "push", "shop.wasm", &there]);
    author.is_refused(
        &["plugin", "add", &there],
        &["asks for  ", "stacks", "from  ", "asks for more than it has", "--accept-grants"],
    );
    assert!(!author.has("shop"));
    let said = author.runs(&["plugin", "add", &there, "--accept-grants"]);
    assert!(said.contains("`shop` 0.1.0 is active"), "{said}");
    assert!(author.has("shop"));
}

#[tokio::test]
async fn a_plugin_from_a_registry_is_shown_with_its_place_there() {
    let Some(registry) = Registry::start("origin") else { return };
    let author = Author::new();
    let there = registry.reference("shop:0.1.0");
    let pushed = author.told(&["plugin", "push", "shop.wasm", &there]);
    author.runs(&["plugin", "add", &there, "--accept-grants"]);
    let place = format!("{there}@{}", pushed["manifest_digest"].as_str().unwrap());
    let listed = author.told(&["plugin", "list"]);
    let shop = listed["plugins"].as_array().unwrap().iter().find(|it| it["name"] == "shop");
    let shop = shop.unwrap();
    assert_eq!((&shop["source"], &shop["origin"]), (&json!("registry"), &json!(place)));
    let shown = author.told(&["plugin", "show", "shop"]);
    assert_eq!(shown["versions"][0]["origin"], json!(place), "{shown:#}");
    let listed = author.runs(&["plugin", "list"]);
    assert!(listed.contains(&place[..there.len() + "@sha256:0123".len()]), "{listed}");
    // The same bytes from a file came from nobody's registry.
    author.runs(&["plugin", "remove", "shop"]);
    author.runs(&["plugin", "add", "shop.wasm", "--accept-grants"]);
    let shown = author.told(&["plugin", "show", "shop"]);
    let version = &shown["versions"][0];
    assert_eq!((&version["source"], &version["origin"]), (&json!("upload"), &Value::Null));
}

#[tokio::test]
async fn a_registry_that_asks_who_is_there_is_told_what_docker_keeps_or_the_command_line_says() {
    let Some(registry) = Registry::start_locked("login") else { return };
    let author = Author::new();
    let there = registry.reference("shop:0.1.0");
    let push = ["plugin", "push", "shop.wasm", &there];
    author.is_refused(&push, &["refuses", "docker login", "--password-stdin"]);
    let flags = ["--username", USER, "--password-stdin"];
    let (is_fine, said) = author.tries_with(&[&push[..], &flags].concat(), "wrong\n");
    assert!(!is_fine && said.contains("`ana` may not, or the password is wrong"), "{said}");
    let (is_fine, said) = author.tries_with(&[&push[..], &flags].concat(), PASSWORD);
    assert!(is_fine, "{said}");
    author.is_refused(&["plugin", "pull", &there], &["docker login"]);
    log_in(&author.docker(), &registry.name());
    author.runs(&["plugin", "pull", &there]);
    let kept = json!({ "credsStore": "desktop" });
    fs::write(author.docker().join("config.json"), kept.to_string()).unwrap();
    author.is_refused(&["plugin", "pull", &there], &["`desktop`", "--password-stdin"]);
}

#[tokio::test]
async fn what_is_not_there_or_no_reference_is_said_in_a_sentence() {
    let Some(registry) = Registry::start("refusals") else { return };
    let author = Author::new();
    let there = registry.reference("shop");
    author.is_refused(&["plugin", "pull", &format!("{there}:9")], &["There is no oci://"]);
    author.is_refused(&["plugin", "pull", &there], &["neither a tag nor a digest"]);
    author.is_refused(&["plugin", "add", "oci://a/B"], &["names no plugin in a registry"]);
    author.is_refused(
        &["plugin", "push", "shop.wasm", &format!("{there}@sha256:{}", "0".repeat(64))],
        &["name a tag"],
    );
    fs::write(author.path("no.wasm"), "hello").unwrap();
    author.is_refused(&["plugin", "push", "no.wasm", &there], &["no WebAssembly component"]);
    let nobody = "oci://127.0.0.1:9/shop:1";
    author.is_refused(&["plugin", "pull", nobody], &["gave no answer", "refused"]);
}
