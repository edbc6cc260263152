//! A version that some of the new jobs try.

use serde_json::json;
use tests::echo;
use tests::host_process::TestHost;

#[tokio::test]
async fn a_canary_that_does_worse_ends_by_itself_and_the_history_says_why() {
    let mut host = TestHost::start().await;
    let query = "accept_grants=true&activate=false";
    let one = host.add_echo(echo::version(1)).await;
    let (_, added) = host.upload(query, echo::version(9)).await;
    let nine = added["digest"].as_str().unwrap().to_owned();
    let body = json!({ "digest": nine, "percent": 50 });
    let (status, tried) = host.change("canary", body).await;
    assert_eq!((status, &tried["plugin"]["canary"]["percent"]), (200, &json!(50)), "{tried}");
    host.crash();
    host.restart().await;
    let mut failed = 0;
    let mut jobs = 0;
    while !host.echo_plugin().await["canary"].is_null() {
        jobs += 1;
        assert!(jobs < 200, "the canary goes on after {failed} failures");
        let job = host.echo(&format!("fails-9-{jobs}")).await;
        let ran_nine = job["plugin"]["digest"] == nine.as_str();
        assert_eq!(job["status"] == "failed", ran_nine, "{job:#}");
        failed += u64::from(ran_nine);
    }
    assert!((5..jobs).contains(&failed), "{failed} of {jobs} jobs");
    let (cause, digest) = host.echo_history().await[0].clone();
    assert_eq!((cause.as_str(), digest), ("canary", one.clone()));
    let (_, body) = host.get("/api/plugins/create-server/history").await;
    let why = body["history"][0]["reason"].as_str().unwrap();
    assert!(why.contains("jobs failed, and 0 of"), "{why}");
    assert_eq!(host.echo("fails-9-last").await["plugin"]["digest"], one.as_str());
}

#[tokio::test]
async fn a_canary_at_a_hundred_percent_is_the_active_version() {
    let host = TestHost::start().await;
    let query = "accept_grants=true&activate=false";
    let one = host.add_echo(echo::version(1)).await;
    let (_, added) = host.upload(query, echo::version(2)).await;
    let two = added["digest"].as_str().unwrap().to_owned();
    for (digest, percent, status, code) in
        [(&one, 10, 409, "already_active"), (&two, 0, 422, "invalid_request")]
    {
        let (found, refused) =
            host.change("canary", json!({ "digest": digest, "percent": percent })).await;
        assert_eq!((found, &refused["code"]), (status, &json!(code)), "{refused}");
    }
    let (status, tried) = host.change("canary", json!({ "digest": two, "percent": 10 })).await;
    assert_eq!(status, 200, "{tried}");
    let (status, promoted) = host.change("canary", json!({ "digest": two, "percent": 100 })).await;
    assert_eq!((status, &promoted["plugin"]["canary"]), (200, &json!(null)), "{promoted}");
    assert_eq!(echo::ran(&host.echo("web").await), ("7.7.2", two.as_str()));
    let (status, refused) = host.delete("/api/plugins/create-server/canary").await;
    assert_eq!((status, &refused["code"]), (409, &json!("no_canary")));
}
