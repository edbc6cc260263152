//! Versions of the plugin that tells its own version, made by changing the bytes of one that was
//! built once against the contract 0.1.0 and is kept for ever.

use std::path::PathBuf;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::host_process::TestHost;

/// As it was built, with the name `echo-versions`.
pub const KEPT: &[u8] = include_bytes!("../fixtures/echo-on-contract-0.1.0.component");

/// The plugin whose place it takes, so that there is a door by which its jobs are made. Exactly as
/// long as its own name.
pub const NAME: &str = "create-server";

/// This version, 1 to 9, in the place of the plugin that came with the program.
pub fn version(number: u8) -> Vec<u8> {
    assert!((1..=9).contains(&number));
    patched(&patched(KEPT, "echo-versions", NAME), "7.7.1", &format!("7.7.{number}"))
}

/// The same, and it asks for a grant more.
pub fn greedy(number: u8) -> Vec<u8> {
    patched(&version(number), r#"["job", "dns"       ]"#, r#"["job", "dns", "ssh"]"#)
}

/// The bytes with a text replaced wherever it stands by another that is as long.
pub fn patched(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "the places of what follows must not change");
    let mut patched = bytes.to_vec();
    let mut found = 0;
    for at in 0..=patched.len() - from.len() {
        if &patched[at..at + from.len()] == from.as_bytes() {
            patched[at..at + from.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "`{from}` is not in there");
    patched
}

/// The component as its source says today.
pub fn built_now() -> Vec<u8> {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("guests/echo");
    let exe = std::env::current_exe().unwrap();
    let deps = exe.ancestors().find(|folder| folder.ends_with("deps")).unwrap();
    let built = deps.ancestors().nth(2).unwrap().join("guests");
    let status = Command::new(env!("CARGO"))
        .current_dir(&source)
        .args(["build", "--quiet", "--locked", "--release", "--target", "wasm32-wasip2"])
        .arg("--target-dir")
        .arg(&built)
        .env_remove("RUSTFLAGS")
        .status()
        .unwrap();
    assert!(status.success(), "the guest did not build");
    std::fs::read(built.join("wasm32-wasip2/release/echo.wasm")).unwrap()
}

impl TestHost {
    /// Sends a component, with these parameters after `?`.
    pub async fn upload(&self, query: &str, component: Vec<u8>) -> (u16, Value) {
        let request = self.request(Method::POST, &format!("/api/plugins?{query}"));
        self.answer(request.header("Content-Type", "application/wasm").body(component)).await
    }

    /// Adds a version of the plugin that tells its own, accepted and active, and answers its digest.
    pub async fn add_echo(&self, component: Vec<u8>) -> String {
        let (status, added) =
            self.upload("accept_grants=true&replace_built_in=true", component).await;
        assert_eq!(status, 201, "{added}");
        added["digest"].as_str().unwrap().to_owned()
    }

    /// Runs a job on a server of this name to its end, and answers the job.
    pub async fn echo(&self, server: &str) -> Value {
        let id = self.create_server(server).await;
        self.ended(&id).await
    }

    /// Waits for the end of a job, and answers the job.
    pub async fn ended(&self, id: &str) -> Value {
        self.events(id, 0).await.all().await;
        self.get(&format!("/api/jobs/{id}")).await.1
    }

    /// Asks for a change of the plugin that tells its own version.
    pub async fn change(&self, what: &str, body: Value) -> (u16, Value) {
        self.post(&format!("/api/plugins/{NAME}/{what}"), body).await
    }

    /// The plugin that tells its own version, as the API shows it.
    pub async fn echo_plugin(&self) -> Value {
        self.get(&format!("/api/plugins/{NAME}")).await.1
    }

    /// What was active when, newest first: cause and digest.
    pub async fn echo_history(&self) -> Vec<(String, String)> {
        let (_, body) = self.get(&format!("/api/plugins/{NAME}/history")).await;
        let history = body["history"].as_array().unwrap();
        let told = |it: &Value, name: &str| it[name].as_str().unwrap_or("-").to_owned();
        history.iter().map(|it| (told(it, "cause"), told(it, "digest"))).collect()
    }

    /// Asks until the plugin, as the API shows it, is so.
    pub async fn echo_becomes(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.becomes(&format!("/api/plugins/{NAME}"), what, is_so).await
    }

    /// Asks until an answer is so.
    pub async fn becomes(&self, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let began = std::time::Instant::now();
        loop {
            let (_, body) = self.get(path).await;
            if is_so(&body) {
                return body;
            }
            assert!(began.elapsed().as_secs() < 90, "{path} never was {what}: {body:#}");
            tokio::task::yield_now().await;
        }
    }

    /// The files in which the bytes of versions are kept.
    pub fn kept_files(&self) -> Vec<String> {
        let folder = self.home().join("plugins/store");
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Whether the bytes of this version are kept.
    pub fn keeps(&self, digest: &str) -> bool {
        let file = format!("{}.wasm", digest.trim_start_matches("sha256:"));
        self.kept_files().contains(&file)
    }
}

/// The digest of a component, as the API shows it.
pub fn digest(component: &[u8]) -> String {
    let plugin = windlass::plugins::plugin::Plugin::read(component.to_vec()).unwrap();
    plugin.digest.to_string()
}

/// Which version a job says that it ran, and which it is recorded to have run.
pub fn ran(job: &Value) -> (&str, &str) {
    let told = |pointer: &str| job.pointer(pointer).and_then(Value::as_str);
    let said = told("/result/version").unwrap_or_else(|| panic!("it did not complete: {job:#}"));
    (said, told("/plugin/digest").unwrap())
}

/// A body that names a version.
pub fn chosen(digest: &str) -> Value {
    json!({ "digest": digest })
}

/// Makes the database of a stopped host say that an earlier program brought another version.
pub fn came_with_earlier_program(home: &std::path::Path, digest: &str) {
    let db = rusqlite::Connection::open(home.join("windlass.db")).unwrap();
    let changed = db.execute("UPDATE activations SET digest = ?1 WHERE name = ?2", [digest, NAME]);
    assert_eq!(changed.unwrap(), 1);
}
