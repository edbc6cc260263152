//! The watched directory: what is renamed into it is active, unless somebody has to be asked.

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};
use tests::echo::{self, NAME, digest, ran};
use tests::host_process::TestHost;

/// Brings a file as programs do that copy with care.
fn drop_in(host: &TestHost, name: &str, content: &[u8]) {
    let folder = host.home().join("plugins");
    let part = folder.join(format!("{name}.part"));
    fs::write(&part, content).unwrap();
    fs::rename(&part, folder.join(name)).unwrap();
}

fn is_active(digest: &str) -> impl Fn(&Value) -> bool {
    move |plugin: &Value| plugin["active"]["digest"] == digest
}

#[tokio::test]
async fn a_file_that_asks_for_no_more_than_the_one_before_is_active_at_once() {
    let mut host = TestHost::start().await;
    host.add_echo(echo::version(1)).await;
    let two = digest(&echo::version(2));
    let began = Instant::now();
    drop_in(&host, "echo.wasm", &echo::version(2));
    host.echo_becomes("active", is_active(&two)).await;
    println!(
        "from the rename to active: {} ms (50 KB, not compiled before)",
        began.elapsed().as_millis()
    );
    assert_eq!(host.echo_history().await[0], ("directory".to_owned(), two.clone()));
    assert_eq!(ran(&host.echo("web").await).0, "7.7.2");
    // A rollback is not undone by the file, which still lies there, and its end ends nothing.
    assert_eq!(host.change("rollback", json!(null)).await.0, 200);
    host.crash();
    host.restart().await;
    fs::remove_file(host.home().join("plugins/echo.wasm")).unwrap();
    assert_eq!(ran(&host.echo("web-2").await).0, "7.7.1");
}

#[tokio::test]
async fn a_file_that_asks_for_more_waits_until_somebody_accepts() {
    let host = TestHost::start().await;
    let one = host.add_echo(echo::version(1)).await;
    let greedy = digest(&echo::greedy(2));
    drop_in(&host, "echo.wasm", &echo::greedy(2));
    let waits = |body: &Value| body["pending"][0]["digest"] == greedy.as_str();
    let listed = host.becomes("/api/plugins", "waiting", waits).await;
    assert_eq!(listed["pending"][0]["grants"]["interfaces"], json!(["job", "dns", "ssh"]));
    assert_eq!(ran(&host.echo("web").await), ("7.7.1", one.as_str()));
    let (status, refused) = host.change("activate", json!({ "digest": greedy })).await;
    assert_eq!((status, &refused["code"]), (409, &json!("grants_needed")));
    let (status, accepted) = host.change("grants", json!({ "accept": greedy })).await;
    assert_eq!(status, 200, "{accepted}");
    assert_eq!(ran(&host.echo("web-2").await), ("7.7.2", greedy.as_str()));
    let (status, refused) = host.change("grants", json!({ "deny": greedy })).await;
    assert_eq!((status, &refused["code"]), (409, &json!("not_pending")));
}

#[tokio::test]
async fn a_version_that_was_denied_is_forgotten_with_its_bytes() {
    let host = TestHost::start().await;
    host.add_echo(echo::version(1)).await;
    let greedy = digest(&echo::greedy(2));
    drop_in(&host, "echo.wasm", &echo::greedy(2));
    let waits = |body: &Value| body["pending"][0]["digest"] == greedy.as_str();
    host.becomes("/api/plugins", "waiting", waits).await;
    assert!(host.keeps(&greedy));
    assert_eq!(host.change("grants", json!({ "deny": greedy })).await.0, 200);
    assert!(!host.keeps(&greedy));
    assert_eq!(host.get("/api/plugins").await.1["pending"], json!([]));
}

#[tokio::test]
async fn a_file_that_is_of_no_use_is_listed_with_its_reason_and_changes_nothing() {
    let host = TestHost::start().await;
    drop_in(&host, "junk.wasm", b"hello");
    drop_in(&host, "pretender.wasm", &echo::version(1));
    let both = |body: &Value| body["rejected"].as_array().is_some_and(|it| it.len() == 2);
    let listed = host.becomes("/api/plugins", "rejected", both).await;
    let reasons = listed["rejected"].to_string();
    assert!(reasons.contains("no WebAssembly component"), "{reasons}");
    assert!(reasons.contains(&format!("`{NAME}` is the name of a plugin that comes")), "{reasons}");
    assert_eq!(host.echo_history().await.len(), 1);
    fs::remove_file(host.home().join("plugins/junk.wasm")).unwrap();
    let one = |body: &Value| body["rejected"].as_array().is_some_and(|it| it.len() == 1);
    host.becomes("/api/plugins", "rid of it", one).await;
}
