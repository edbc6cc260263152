//! What a plugin may do: asked for, accepted, taken away while it runs.

use serde_json::json;
use tests::echo::{self, ran};
use tests::host_process::TestHost;

#[tokio::test]
async fn a_plugin_gets_nothing_that_nobody_accepted() {
    let host = TestHost::start().await;
    let (status, refused) = host.upload("replace_built_in=true", echo::greedy(1)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("grants_needed")), "{refused}");
    // The one that it would follow has `ssh`, and does not have `dns`.
    assert_eq!(refused["details"]["grants"]["interfaces"], json!(["dns"]));
    assert!(host.kept_files().is_empty());
    host.add_echo(echo::version(1)).await;
    let (status, refused) = host.upload("", echo::greedy(2)).await;
    assert_eq!((status, &refused["details"]["grants"]["interfaces"]), (409, &json!(["ssh"])));
    // The same wishes as before need no answer.
    let (status, added) = host.upload("", echo::version(3)).await;
    assert_eq!(status, 201, "{added}");
}

#[tokio::test]
async fn a_job_that_runs_is_refused_what_is_revoked_from_its_next_call_on() {
    let mut host = TestHost::start().await;
    let one = host.add_echo(echo::version(1)).await;
    let asking = host.create_server("asks").await;
    let log = format!("/api/jobs/{asking}");
    host.becomes(&log, "asking", |job| job["logs"].to_string().contains("asking")).await;
    // A version that is active by now changes nothing for the job, and the grant goes from both.
    host.add_echo(echo::version(2)).await;
    let (status, revoked) =
        host.change("grants", json!({ "revoke": { "interfaces": ["dns"] } })).await;
    assert_eq!(status, 200, "{revoked}");
    assert_eq!(ran(&host.ended(&asking).await), ("7.7.1", one.as_str()));
    host.crash();
    host.restart().await;
    assert_eq!(host.echo_plugin().await["accepted"]["interfaces"], json!(["job"]));
    assert_eq!(host.echo("asks-again").await["status"], "completed");
    let (status, refused) =
        host.change("grants", json!({ "revoke": { "interfaces": ["dns"] } })).await;
    assert_eq!((status, &refused["code"]), (422, &json!("no_such_grant")), "{refused}");
}

#[tokio::test]
async fn what_was_revoked_is_asked_for_again_by_the_next_version_and_can_be_given_back() {
    let host = TestHost::start().await;
    host.add_echo(echo::version(1)).await;
    let dns = json!({ "interfaces": ["dns"] });
    assert_eq!(host.change("grants", json!({ "revoke": dns })).await.0, 200);
    let (status, refused) = host.upload("", echo::version(2)).await;
    assert_eq!((status, &refused["details"]["grants"]["interfaces"]), (409, &json!(["dns"])));
    assert_eq!(host.change("grants", json!({ "restore": dns })).await.0, 200);
    assert_eq!(host.upload("", echo::version(2)).await.0, 201);
}

#[tokio::test]
async fn what_is_revoked_from_a_plugin_of_the_program_stays_revoked_over_a_restart() {
    let mut host = TestHost::start().await;
    let ssh = json!({ "revoke": { "interfaces": ["ssh"] } });
    assert_eq!(host.change("grants", ssh).await.0, 200);
    host.crash();
    host.restart().await;
    let job = host.echo("web-1").await;
    assert_eq!(job["status"], "failed", "{job:#}");
    assert!(job["error"].as_str().unwrap().contains("no grant for `ssh`"), "{job:#}");
}
