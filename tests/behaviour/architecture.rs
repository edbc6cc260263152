//! The rules of README's map, held by reading the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules of the host from the front to the ground. A module may use those on its own level and
/// below.
const LEVELS: [&[&str]; 10] = [
    &["cli"],
    &["http"],
    &["mcp"],
    &["app", "error", "config"],
    &["jobs"],
    &["plugins"],
    &["capabilities"],
    &["effects"],
    &["providers", "dns", "ssh", "stacks", "outbound", "oci", "vault", "storage"],
    &["model", "files"],
];

fn level(module: &str) -> usize {
    LEVELS.iter().position(|modules| modules.contains(&module)).unwrap_or_else(|| {
        panic!("`{module}` has no place in the map: give it one, here and there")
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every source file below a folder, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// The module of the host that a file belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("host/src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file: no comments, no tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The files, relative to the root, whose code has one of the texts, outside these modules.
fn offenders(needles: &[&str], allowed: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, text) in sources("host/src") {
        let code = code(&text);
        let allowed = allowed.contains(&module_of(&path).as_str()) || path.ends_with("tests.rs");
        if !allowed && needles.iter().any(|needle| code.contains(needle)) {
            found.insert(path.strip_prefix(root()).unwrap().display().to_string());
        }
    }
    found
}

#[test]
fn modules_use_only_what_is_below_them() {
    let mut upwards = Vec::new();
    for (path, text) in sources("host/src") {
        let module = module_of(&path);
        if module == "lib" || module == "main" {
            continue;
        }
        for used in code(&text).split("crate::").skip(1) {
            let used: String =
                used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if used.is_empty() || used == module {
                continue;
            }
            if level(&used) < level(&module) {
                upwards.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(upwards.is_empty(), "{upwards:#?}");
}

#[test]
fn only_the_storage_knows_sql() {
    assert_eq!(offenders(&["rusqlite", "SELECT ", "INSERT INTO"], &["storage"]), BTreeSet::new());
}

#[test]
fn only_the_http_front_knows_axum() {
    assert_eq!(offenders(&["axum::"], &["http"]), BTreeSet::new());
}

#[test]
fn only_plugins_and_capabilities_know_wasmtime() {
    let allowed = ["plugins", "capabilities"];
    assert_eq!(offenders(&["wasmtime::", "wasmtime_wasi::"], &allowed), BTreeSet::new());
}

#[test]
fn only_the_configuration_reads_the_environment() {
    assert_eq!(offenders(&["env::var", "env::vars"], &["config"]), BTreeSet::new());
}

#[test]
fn the_host_does_not_know_which_operations_it_runs() {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("plugins")).unwrap() {
        let entry = entry.unwrap();
        if !entry.path().is_dir() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        names.push(name);
    }
    // Neither an operation nor an app: what they are made with, and the folder of the recipes.
    let parts = ["sdk", "recipe", "apps"];
    let mut names: Vec<String> =
        names.into_iter().filter(|name| !parts.contains(&name.as_str())).collect();
    for entry in fs::read_dir(root().join("plugins/apps")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        names.push(format!("{name:?}"));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // The app's verbs and the front ends name the operations that they are for; nothing below does.
    let front = ["app", "http", "mcp", "cli"];
    assert_eq!(offenders(&names, &front), BTreeSet::new());
}

#[test]
fn no_file_is_longer_than_it_may_be() {
    let mut long = Vec::new();
    for folder in ["host/src", "host/bindings/src", "host/packing/src", "plugins/sdk/src"] {
        for (path, text) in sources(folder) {
            let lines = text.split("#[cfg(test)]").next().unwrap_or_default().lines().count();
            if lines > 500 && !path.ends_with("tests.rs") {
                long.push(format!("{} has {lines} lines", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn every_source_file_says_what_it_is_for() {
    for (path, text) in sources("host/src").into_iter().chain(sources("plugins")) {
        assert!(text.starts_with("//!"), "{} does not begin with //!", path.display());
    }
}

/// What the storage answers to a job and writes nothing.
const READS: [&str; 12] = [
    "app",
    "app_of_job",
    "apps",
    "changes",
    "journal_part",
    "logs",
    "dns_owners",
    "secret",
    "secrets",
    "server",
    "servers",
    "wake_waiting",
];

/// Verbs of the storage of whose arguments one is a lease, or a job that has one.
fn fenced_verbs() -> BTreeSet<String> {
    let files = sources("host/src/storage");
    let mut files: Vec<String> = files.into_iter().map(|(_, text)| text).collect();
    files.push(fs::read_to_string(root().join("host/src/storage.rs")).unwrap());
    let traits = files.iter().filter_map(|text| text.split_once("pub trait "));
    let verbs = traits.flat_map(|(_, body)| body.split("fn ").skip(1));
    let declared = verbs.filter_map(|verb| verb.split_once(';').map(|(signature, _)| signature));
    let needles = ["Lease", "Job<", "&Claim"];
    let is_fenced = |signature: &&str| needles.iter().any(|needle| signature.contains(needle));
    let name = |signature: &str| signature.split('(').next().unwrap().trim().to_owned();
    declared.filter(is_fenced).map(name).collect()
}

#[test]
fn whatever_a_job_writes_is_refused_when_its_lease_is_an_old_one() {
    let mut may = fenced_verbs();
    assert!(["append", "amend_app", "forget_server", "finish"].iter().all(|it| may.contains(*it)));
    may.extend(READS.map(str::to_owned));
    // A wish to cancel is somebody else's, whoever may run the job; and the receipts of one that has
    // ended are removed by whoever comes.
    may.extend(["request_cancel", "left_receipts", "removed_receipts"].map(str::to_owned));
    let mut files = [sources("host/src/effects"), sources("host/src/jobs")].concat();
    let keys = root().join("host/src/ssh/keys.rs");
    files.push((keys.clone(), fs::read_to_string(keys).unwrap()));
    let mut seen = BTreeSet::new();
    for (path, text) in files {
        let code = code(&text).split_whitespace().collect::<String>();
        for called in code.split("store.").skip(1) {
            let name: String =
                called.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
            if called[name.len()..].starts_with('(') && name != "clone" {
                assert!(may.contains(&name), "{}: `{name}` takes no lease", path.display());
                seen.insert(name);
            }
        }
    }
    assert!(seen.contains("amend_app") && seen.contains("add_secret"), "{seen:?}");
}
