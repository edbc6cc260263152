//! The guide for authors, `plugins/README.md`, followed to the letter: every `sh` block of it, in
//! order, in an empty folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use tests::host_process::program;
use tests::registry::Registry;

/// What blocks say that need a registry.
const REGISTRY: &str = "$REGISTRY";

fn guide() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join("plugins/README.md")).unwrap()
}

/// The blocks that a reader types.
fn blocks(guide: &str) -> Vec<String> {
    let fenced = guide.split("\n```").collect::<Vec<_>>();
    let inside = fenced.iter().skip(1).step_by(2);
    inside.filter_map(|block| block.strip_prefix("sh\n")).map(str::to_owned).collect()
}

/// Runs a block as a shell would that stops at the first mistake, and answers what it printed.
fn follow(folder: &Path, block: &str, registry: Option<&Registry>) -> String {
    let tested = program();
    let bin = folder.join(".bin");
    if !bin.exists() {
        fs::create_dir(&bin).unwrap();
        symlink(tested.get_program(), bin.join("windlass")).unwrap();
    }
    let mut path = vec![bin];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", block]);
    for (name, value) in tested.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let output = shell
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("HOME", folder.join("home-of-the-reader"))
        .env("REGISTRY", registry.map(Registry::name).unwrap_or_default())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{block}\n--- said:\n{said}");
    said
}

#[test]
fn a_stranger_who_follows_the_guide_gets_where_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let work: PathBuf = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    let blocks = blocks(&guide());
    assert!(blocks.len() >= 9, "{} blocks", blocks.len());
    // What needs a registry is followed where there is one.
    let registry = Registry::start("the guide's part about registries");
    let began = Instant::now();
    let mut said = String::new();
    for block in &blocks {
        let needs = block.contains(REGISTRY) || block.contains("--locked");
        if needs && registry.is_none() {
            continue;
        }
        said += &follow(&work, block, registry.as_ref());
    }
    println!("{} blocks in {} ms\n{said}", blocks.len(), began.elapsed().as_millis());
    for promised in [
        "`board` is packed into board.wasm",
        "windlass:plugin@0.1.0",
        "deploy_app:board: completed",
        "delete_app:board: completed",
        "stacks.deploy",
        "it asks first",
        "`board` 0.1.0 is active",
        "https://board.lab.example.com",
        "`board` 0.2.0 is active",
    ] {
        assert!(said.contains(promised), "`{promised}` is not in:\n{said}");
    }
    if registry.is_some() {
        for promised in ["signed by   team", "\"wit\"", "windlass:plugin@0.1.0"] {
            assert!(said.contains(promised), "`{promised}` is not in:\n{said}");
        }
    }
}

#[test]
fn the_guide_names_no_command_that_there_is_not() {
    let guide = guide();
    let mut named: Vec<Vec<&str>> = Vec::new();
    for line in guide.split(['`', '\n']).filter(|it| it.starts_with("windlass ")) {
        let words = line.split_whitespace().skip(1);
        named.push(
            words
                .take_while(|it| it.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
                .take(2)
                .collect(),
        );
    }
    assert!(named.len() > 10, "{named:?}");
    for words in named {
        let output = program().args(&words).arg("--help").output().unwrap();
        assert!(output.status.success(), "windlass {words:?}");
    }
}
