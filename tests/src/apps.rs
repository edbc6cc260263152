//! Apps made for tests: one component that goes the way that its configuration says, under as many
//! names and with as many descriptors as are needed.

use std::path::Path;
use std::sync::OnceLock;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::host_process::{Options, TestHost};
use crate::workshop::guest;

/// A host with a catalogue of apps of its own, beside the built-in ones.
pub struct AppsHost {
    /// The host.
    pub host: TestHost,
    recipes: TempDir,
}

/// The descriptor of an app that needs others, and that is told how to go on by its `how`.
pub fn recipe(name: &str, needs: &[&str], more: Value) -> Value {
    let mut descriptor = json!({
        "name": name,
        "kind": "app",
        "version": "1.0.0",
        "title": format!("The app {name}"),
        "description": "Made for a test.",
        "category": "testing",
        "params": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "how": { "type": "string", "default": "runs" },
                "tag": { "type": "string", "pattern": "^[0-9.]+$" },
                "on_removal": { "type": "string" },
            },
        },
        "result": { "type": "object" },
        "steps": ["Deploy stack"],
        "grants": {
            "interfaces": ["job", "stacks", "dns", "secrets", "inventory"],
            "secrets": [format!("{name}/*")],
        },
        "timeout_s": 900,
        "dependencies": needs,
        "min_memory_mb": 128,
    });
    merge(&mut descriptor, more);
    descriptor
}

/// The component of an app with this descriptor.
pub fn component(descriptor: &Value) -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    let mut component = BUILT.get_or_init(|| guest("app")).clone();
    let (name, text) = ("windlass:descriptor", descriptor.to_string());
    let mut section = Vec::new();
    leb128(&mut section, name.len());
    section.extend(name.as_bytes());
    section.extend(text.as_bytes());
    component.push(0);
    leb128(&mut component, section.len());
    component.extend(section);
    component
}

/// A component by hand, without a descriptor: one function that does nothing, exported as `deploy`
/// and, as earlier components did, as `remove`.
pub fn of_earlier() -> Vec<u8> {
    const OF_EARLIER: &[&[u8]] = &[
        b"\0asm\x0d\0\x01\0",
        // A module with the function `f`, and an instance of it.
        b"\x01\x1f\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x05\x01\x01f\0\0",
        b"\x0a\x04\x01\x02\0\x0b\x02\x04\x01\0\0\0",
        // `f` by itself, the type of a function without anything, and `f` lifted to that type.
        b"\x06\x07\x01\0\0\x01\0\x01f\x07\x05\x01\x40\0\x01\0\x08\x06\x01\0\0\0\0\0",
        b"\x0b\x17\x02\0\x06deploy\x01\0\0\0\x06remove\x01\0\0",
    ];
    OF_EARLIER.concat()
}

impl AppsHost {
    /// A host with these apps in its catalogue.
    pub async fn start(recipes: &[Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment =
            vec![("WINDLASS_PLUGINS".to_owned(), folder.path().display().to_string())];
        for recipe in recipes {
            put(folder.path(), recipe["name"].as_str().unwrap(), recipe);
        }
        let host = TestHost::start_with(Options { environment }).await;
        Self { host, recipes: folder }
    }

    /// Writes a recipe into a file of this name, for the host's next start.
    pub fn put_as(&self, file: &str, recipe: &Value) {
        put(self.recipes.path(), file, recipe);
    }

    /// Takes a recipe away from the host's next start.
    pub fn take(&self, name: &str) {
        std::fs::remove_file(self.recipes.path().join(format!("{name}.wasm"))).unwrap();
    }

    /// Makes a server on the sandbox and sets it up with names.
    pub async fn ready_server(&self, name: &str) {
        let job = self.host.create_server(name).await;
        self.host.wait_for(&job, "completed").await;
        let subdomain = if name == "web-1" { "lab" } else { name };
        let body = json!({
            "ssl_email": "admin@example.com", "zone_name": "example.com", "subdomain": subdomain,
        });
        let path = format!("/api/servers/{name}/setup");
        let job = self.host.submit(Method::POST, &path, Some(body)).await;
        self.host.wait_for(&job, "completed").await;
    }

    /// Asks for an app on `web-1`.
    pub async fn ask(&self, app: &str, config: Value) -> (u16, Value) {
        let body = json!({ "app_name": app, "config": config });
        self.host.post("/api/servers/web-1/apps", body).await
    }

    /// Asks for an app on `web-1`, and answers the job.
    pub async fn install(&self, app: &str, config: Value) -> String {
        let (status, answer) = self.ask(app, config).await;
        assert_eq!(status, 202, "{answer}");
        answer["job_id"].as_str().unwrap().to_owned()
    }

    /// Installs an app on `web-1`, to the end.
    pub async fn installed(&self, app: &str, config: Value) -> Value {
        let job = self.install(app, config).await;
        self.host.wait_for(&job, "completed").await
    }

    /// The apps of `web-1`, as `name: status (recorded status)`.
    pub async fn statuses(&self) -> Vec<String> {
        let (status, answer) = self.host.get("/api/servers/web-1/apps").await;
        assert_eq!(status, 200, "{answer}");
        let text = |app: &Value, field: &str| app[field].as_str().unwrap().to_owned();
        let apps = answer["apps"].as_array().unwrap().iter();
        apps.map(|it| {
            let (name, status) = (text(it, "app_name"), text(it, "status"));
            format!("{name}: {status} ({})", text(it, "recorded_status"))
        })
        .collect()
    }

    /// An app of `web-1`.
    pub async fn app(&self, name: &str) -> Value {
        let (_, answer) = self.host.get("/api/servers/web-1/apps").await;
        let mut apps = answer["apps"].as_array().unwrap().iter();
        apps.find(|app| app["app_name"] == name).cloned().unwrap_or_default()
    }

    /// Removes an app from `web-1`, to the end.
    pub async fn removed(&self, app: &str, delete_data: bool) -> Value {
        let path = format!("/api/servers/web-1/apps/{app}?delete_data={delete_data}");
        let job = self.host.submit(Method::DELETE, &path, None).await;
        self.host.wait_for(&job, "completed").await
    }
}

fn put(folder: &Path, file: &str, recipe: &Value) {
    std::fs::write(folder.join(format!("{file}.wasm")), component(recipe)).unwrap();
}

/// RFC 7386, without nulls.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn leb128(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}
