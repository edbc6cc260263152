//! What the official suite and the Inspector say of the real program.

use std::process::{Command, Output};

use tests::agent_kit::AgentKit;
use tests::bearer_proxy::BearerProxy;
use tests::host_process::TestHost;

/// Scenarios that need nothing but a server, each with the checks that it has to pass at least.
const MODERN: [(&str, usize); 11] = [
    ("tools-list", 3),
    ("caching", 7),
    ("dns-rebinding-protection", 2),
    ("http-header-validation", 14),
    ("sep-2164-resource-not-found", 4),
    ("resources-list", 2),
    ("prompts-list", 2),
    ("completion-complete", 2),
    ("input-required-result-unsupported-methods", 2),
    ("input-required-result-validate-input", 3),
    ("input-required-result-missing-input-response", 1),
];
/// The same for the older revision.
const LEGACY: [(&str, usize); 6] = [
    ("server-initialize", 1),
    ("ping", 1),
    ("tools-list", 2),
    ("resources-list", 1),
    ("prompts-list", 1),
    ("dns-rebinding-protection", 2),
];

async fn run(mut command: Command) -> (String, Output) {
    let ran = tokio::task::spawn_blocking(move || command.output()).await;
    let output = ran.expect("no panic").expect("it can be run");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (said, output)
}

/// How many checks passed, and how many failed.
fn counts(said: &str) -> (usize, usize) {
    let line = said.lines().rev().find(|line| line.starts_with("Passed: "));
    let line = line.unwrap_or_else(|| panic!("no result: {said}"));
    let numbers = line.split(|c: char| !c.is_ascii_digit()).filter(|text| !text.is_empty());
    let numbers: Vec<usize> = numbers.map(|text| text.parse().expect("digits")).collect();
    (numbers[0], numbers[2])
}

async fn check(kit: &AgentKit, version: &str, scenarios: &[(&str, usize)]) {
    let host = TestHost::start().await;
    let proxy = BearerProxy::start(&host).await;
    let results = tempfile::tempdir().expect("a folder");
    for (scenario, least) in scenarios {
        let mut command = kit.conformance();
        command.args(["server", "--url", &proxy.url(), "--spec-version", version]);
        command.args(["--scenario", scenario]).arg("--output-dir").arg(results.path());
        let (said, _) = run(command).await;
        let (passed, failed) = counts(&said);
        assert!(failed == 0 && passed >= *least, "{scenario} of {version}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_finds_nothing_wrong_with_the_real_program() {
    let Some(kit) = AgentKit::shared("the_suite_finds_nothing_wrong") else { return };
    check(kit, "2026-07-28", &MODERN).await;
    check(kit, "2025-11-25", &LEGACY).await;
}

/// The Inspector, told where the host is and who asks.
fn inspector(kit: &AgentKit, host: &TestHost, token: &str) -> Command {
    let mut command = kit.inspector();
    command.arg(format!("{}/mcp", host.url())).args(["--transport", "http", "--header"]);
    command.arg(format!("Authorization: Bearer {token}"));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_finds_nothing_wrong_with_the_schemas() {
    let Some(kit) = AgentKit::shared("the_inspector_finds_nothing_wrong") else { return };
    let host = TestHost::start().await;
    let mut strict = inspector(kit, &host, &host.token());
    strict.args(["--method", "tools/list", "--strict", "--format", "json"]);
    let (said, output) = run(strict).await;
    assert!(output.status.success() && output.stderr.is_empty(), "{said}");
    let mut stranger = inspector(kit, &host, "wrong");
    stranger.args(["--method", "tools/list"]);
    assert_eq!(run(stranger).await.1.status.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_clients_at_once_meet_no_error() {
    let Some(kit) = AgentKit::shared("ten_clients_at_once") else { return };
    let host = TestHost::start().await;
    let mut load = inspector(kit, &host, &host.token());
    load.args(["--method", "tools/call", "--tool-name", "listar-jobs"]);
    load.args(["--load", "--load-requests", "200", "--load-concurrency", "10"]);
    load.args(["--format", "json"]);
    let (said, output) = run(load).await;
    assert!(output.status.success(), "{said}");
    let result: serde_json::Value = serde_json::from_str(&said).expect("it ends with JSON");
    let result = &result["result"];
    let counts = ["ok", "toolErrors", "errors"].map(|name| result[name].as_u64());
    assert_eq!(counts, [Some(200), Some(0), Some(0)], "{said}");
}
