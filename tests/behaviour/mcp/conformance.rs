//! What the official suite and the Inspector say of the real program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tests::agent_fixture::{AgentFixture, Door};
use tests::agent_kit::AgentKit;
use tests::bearer_proxy::BearerProxy;
use tests::host_process::TestHost;

use super::host_with;

/// Scenarios that need nothing but a server, each with the checks that it has to pass at least.
const MODERN: [(&str, usize); 13] = [
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
    ("input-required-result-ignore-extra-params", 1),
    ("server-sse-multiple-streams", 1),
];
/// The scenario of which a real program passes so many checks: the other four want tools that are
/// there to be tested with. The fixture has them.
const STATELESS: (&str, (usize, usize)) = ("server-stateless", (24, 4));
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

/// How many checks of a scenario pass, and how many fail, and what is said of them.
async fn scenario(
    kit: &AgentKit,
    host: &TestHost,
    (version, scenario): (&str, &str),
) -> ((usize, usize), String) {
    let proxy = BearerProxy::start(host).await;
    let results = tempfile::tempdir().expect("a folder");
    let mut command = kit.conformance();
    command.args(["server", "--url", &proxy.url(), "--spec-version", version]);
    command.args(["--scenario", scenario]).arg("--output-dir").arg(results.path());
    let (said, _) = run(command).await;
    (counts(&said), said)
}

async fn check(kit: &AgentKit, version: &str, scenarios: &[(&str, usize)]) {
    let host = TestHost::start().await;
    for (name, least) in scenarios {
        let ((passed, failed), said) = scenario(kit, &host, (version, name)).await;
        assert!(failed == 0 && passed >= *least, "{name} of {version}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_finds_nothing_wrong_with_the_real_program() {
    let Some(kit) = AgentKit::shared("the_suite_finds_nothing_wrong") else { return };
    check(kit, "2026-07-28", &MODERN).await;
    check(kit, "2025-11-25", &LEGACY).await;
    let (name, expected) = STATELESS;
    let (counts, said) = scenario(kit, &TestHost::start().await, ("2026-07-28", name)).await;
    assert!(counts == expected && said.matches("Error: Not testable").count() == 4, "{said}");
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
    let settings = [("WINDLASS_MCP_TOOLSETS", "core,jobs"), ("WINDLASS_MCP_TOOL_NAMES", "en")];
    for host in [&host, &host_with(&settings).await] {
        let mut strict = inspector(kit, host, &host.token());
        strict.args(["--method", "tools/list", "--strict", "--format", "json"]);
        let (said, output) = run(strict).await;
        assert!(output.status.success() && output.stderr.is_empty(), "{said}");
    }
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
    let result: Value = serde_json::from_str(&said).expect("it ends with JSON");
    let result = &result["result"];
    let counts = ["ok", "toolErrors", "errors"].map(|name| result[name].as_u64());
    assert_eq!(counts, [Some(200), Some(0), Some(0)], "{said}");
}

/// What the suite says of the fixture behind a door, scenario by scenario: the checks that passed
/// and those that did not; and whether it is content.
async fn verdict(
    kit: &AgentKit,
    revision: &str,
    door: Door,
) -> (BTreeMap<String, (usize, usize)>, bool) {
    let home = tempfile::tempdir().expect("a folder");
    let fixture = AgentFixture::start(home.path(), door).await;
    let proxy = BearerProxy::before(fixture.url(), fixture.token().to_owned()).await;
    let results = tempfile::tempdir().expect("a folder");
    let mut command = kit.conformance();
    command.args(["server", "--url", &proxy.url(), "--requirements", revision]);
    command.arg("--output-dir").arg(results.path());
    let (said, output) = run(command).await;
    fixture.stop().await;
    println!("{said}");
    complain(results.path());
    let (_, summary) = said.split_once("=== SUMMARY ===").expect("it ends with a summary");
    let scenario = |line: &str| {
        let (name, counts) = line.strip_prefix(['✓', '✗'])?.trim().split_once(": ")?;
        let numbers = counts.split(|c: char| !c.is_ascii_digit()).filter(|text| !text.is_empty());
        let numbers: Vec<usize> = numbers.map(|text| text.parse().expect("digits")).collect();
        Some((name.to_owned(), (*numbers.first()?, *numbers.get(1)?)))
    };
    (summary.lines().filter_map(scenario).collect(), output.status.success())
}

/// Prints why checks failed.
fn complain(results: &Path) {
    for entry in std::fs::read_dir(results).expect("results").flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path().join("checks.json")) else { continue };
        let checks: Vec<Value> = serde_json::from_str(&text).expect("checks are JSON");
        for check in checks.iter().filter(|check| check["status"] == "FAILURE") {
            println!("{}: {}: {}", entry.path().display(), check["id"], check["errorMessage"]);
        }
    }
}

/// Scenarios in which the server puts a question to the client in the middle of a call: in the older
/// revision that needs a session, and our door has none.
const SESSIONS: [&str; 4] = [
    "tools-call-sampling",
    "tools-call-elicitation",
    "elicitation-sep1034-defaults",
    "elicitation-sep1330-enums",
];

/// Runs the suite against the fixture behind a door: these scenarios fail and no others, and so many
/// checks pass at least.
async fn check_fixture(
    kit: &AgentKit,
    (revision, door): (&str, Door),
    least: usize,
    known: &[&str],
) {
    let (verdict, is_content) = verdict(kit, revision, door).await;
    let failed = verdict.iter().filter(|(_, (_, failed))| *failed > 0);
    let failed: BTreeSet<&str> = failed.map(|(name, _)| name.as_str()).collect();
    let passed: usize = verdict.values().map(|(passed, _)| passed).sum();
    println!("{revision}, {door:?}: {passed} checks passed in {} scenarios", verdict.len());
    assert_eq!(failed, known.iter().copied().collect(), "{revision}, {door:?}");
    assert_eq!(is_content, known.is_empty(), "{revision}, {door:?}");
    assert!(passed >= least, "{revision}, {door:?}: only {passed} checks passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_finds_nothing_wrong_with_our_door_and_our_tasks() {
    let Some(kit) = AgentKit::shared("the_suite_finds_nothing_wrong_with_our_door") else { return };
    check_fixture(kit, ("2026-07-28", Door::Ours), 197, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_older_suite_our_door_fails_what_needs_sessions_and_nothing_else() {
    let Some(kit) = AgentKit::shared("of_the_older_suite_our_door") else { return };
    check_fixture(kit, ("2025-11-25", Door::Ours), 63, &SESSIONS).await;
    check_fixture(kit, ("2025-11-25", Door::WithSessions), 83, &[]).await;
}
