//! The host dies in the middle of a change of its plugins: nothing of it has happened, or all.

use reqwest::Method;
use tests::echo::{self, digest, ran};
use tests::host_process::{TestHost, program};

/// A new host that dies at this point of an upload, and then runs again.
async fn dies_at(point: u64, name: &str) -> TestHost {
    let mut host = TestHost::start().await;
    host.crash();
    host.restart_with(&["--die-at", &point.to_string()]).await;
    let request = host
        .request(Method::POST, "/api/plugins?accept_grants=true&replace_built_in=true")
        .header("Content-Type", "application/wasm")
        .body(echo::version(1));
    assert!(request.send().await.is_err(), "the host did not die");
    host.died();
    assert!(host.log().contains(&format!("died on purpose at: {name}")), "{}", host.log());
    host
}

#[tokio::test]
async fn a_crash_between_file_and_row_changes_nothing() {
    let mut host = dies_at(1, "plugin-file").await;
    assert_eq!(host.kept_files().len(), 1);
    host.restart().await;
    assert!(host.kept_files().is_empty());
    assert_eq!(host.echo_history().await.len(), 1);
    host.add_echo(echo::version(1)).await;
    assert_eq!(ran(&host.echo("web").await).0, "7.7.1");
}

#[tokio::test]
async fn a_crash_between_row_and_pointer_changes_all() {
    let mut host = dies_at(2, "plugin-row").await;
    host.restart().await;
    let one = digest(&echo::version(1));
    assert_eq!(host.echo_history().await[0], ("operator".to_owned(), one.clone()));
    assert_eq!(ran(&host.echo("web").await), ("7.7.1", one.as_str()));
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_collection_is_finished_by_the_next_start() {
    let (mut host, digests) = super::collection::with_eight_versions().await;
    assert!(host.terminate().await.success());
    // The first point of a start without jobs is that of its collection.
    let mut dying = program();
    dying.args(["serve", "--listen", "127.0.0.1:0", "--die-at", "1", "--home"]).arg(host.home());
    let died = tokio::task::spawn_blocking(move || dying.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&died.stderr).into_owned();
    assert!(said.contains("died on purpose at: plugin-collected"), "{said}");
    assert_eq!(host.kept_files().len(), 8);
    host.restart().await;
    let kept: Vec<bool> = digests.iter().map(|digest| host.keeps(digest)).collect();
    assert_eq!(kept, [true, false, false, true, true, true, true, true]);
    assert_eq!(ran(&host.echo("web").await).0, "7.7.8");
}
