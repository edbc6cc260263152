//! Apps and hosts that die: no app is left being deployed by nobody.

use reqwest::Method;
use serde_json::json;
use tests::apps::recipe;

use super::ready;

/// Waits until a job has said this.
async fn says(apps: &tests::apps::AppsHost, job: &str, line: &str) {
    let mut events = apps.host.events(job, 0).await;
    while let Some(event) = events.next().await {
        if event.name == "log" && event.content["message"] == line {
            return;
        }
    }
    panic!("{job} never said `{line}`");
}

#[tokio::test]
async fn a_host_that_dies_in_the_middle_of_a_deployment_goes_on_with_it() {
    let mut apps =
        ready(&[recipe("slow", &[], json!({})), recipe("needy", &["slow"], json!({}))]).await;
    let needy = {
        apps.install("slow", json!({ "how": "waits" })).await;
        apps.install("needy", json!({})).await
    };
    let (_, job) = apps.host.get(&format!("/api/jobs/{needy}")).await;
    let slow = job["depends_on"][0].as_str().unwrap().to_owned();
    says(&apps, &slow, "waiting").await;
    apps.host.crash();
    apps.host.restart().await;
    assert_eq!(
        apps.statuses().await,
        ["needy: deploying (deploying)", "slow: deploying (deploying)"]
    );
    says(&apps, &slow, "attempt 2: going on from the journal").await;
    let (_, job) = apps.host.get(&format!("/api/jobs/{slow}")).await;
    assert_eq!((&job["status"], &job["attempt"]), (&json!("running"), &json!(2)), "{job}");
    apps.host.delete(&format!("/api/jobs/{slow}")).await;
    apps.host.wait_for(&slow, "cancelled").await;
    apps.host.wait_for(&needy, "failed").await;
    assert_eq!(apps.statuses().await, ["slow: running (error)"]);
    // What came after the crash is recorded as well as what came before.
    apps.installed("slow", json!({ "how": "runs" })).await;
    apps.installed("needy", json!({})).await;
    assert_eq!(apps.statuses().await.len(), 2);
}

#[tokio::test]
async fn a_host_that_dies_as_soon_as_it_answered_has_the_jobs_and_the_records() {
    let recipes = [recipe("base", &[], json!({})), recipe("top", &["base"], json!({}))];
    for _ in 0..3 {
        let mut apps = ready(&recipes).await;
        let job = apps.install("top", json!({})).await;
        apps.host.crash();
        apps.host.restart().await;
        apps.host.wait_for(&job, "completed").await;
        assert_eq!(apps.statuses().await, ["base: running (running)", "top: running (running)"]);
        let path = "/api/servers/web-1/apps/top?delete_data=true";
        let job = apps.host.submit(Method::DELETE, path, None).await;
        apps.host.crash();
        apps.host.restart().await;
        apps.host.wait_for(&job, "completed").await;
        assert_eq!(apps.statuses().await, ["base: running (running)"]);
    }
}
