//! Bytes that nobody needs any more go, and no others.

use tests::echo;
use tests::host_process::TestHost;

/// A host that has had eight versions; the first one's job failed and could be tried again, the
/// second one's completed.
pub(super) async fn with_eight_versions() -> (TestHost, Vec<String>) {
    let host = TestHost::start().await;
    let mut digests = Vec::new();
    for number in 1..=8 {
        digests.push(host.add_echo(echo::version(number)).await);
        if number <= 2 {
            let expected = if number == 1 { "failed" } else { "completed" };
            assert_eq!(host.echo(&format!("fails-1-{number}")).await["status"], expected);
        }
    }
    (host, digests)
}

#[tokio::test]
async fn versions_that_no_job_needs_and_nobody_goes_back_to_are_collected() {
    let (mut host, digests) = with_eight_versions().await;
    assert_eq!(host.kept_files().len(), 8);
    assert!(host.terminate().await.success());
    host.restart().await;
    let gone = |plugin: &serde_json::Value| plugin["versions"].to_string().contains("collected");
    let plugin = host.echo_becomes("collected", gone).await;
    let kept: Vec<bool> = digests.iter().map(|digest| host.keeps(digest)).collect();
    assert_eq!(kept, [true, false, false, true, true, true, true, true], "{plugin:#}");
    // What it was and when stays known; to run it again, somebody has to bring it again.
    assert_eq!(host.echo_history().await.len(), 9);
    let (status, refused) = host.change("activate", echo::chosen(&digests[1])).await;
    assert_eq!((status, refused["code"].as_str()), (409, Some("version_collected")), "{refused}");
    assert_eq!(host.add_echo(echo::version(2)).await, digests[1]);
    assert_eq!(echo::ran(&host.echo("again").await).0, "7.7.2");
}
