//! A provider in trouble, seen from the door: the job says what happened, and nothing is left behind.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use tests::fake_hetzner::{self, FakeHetzner, Fault, Harm};
use tests::host_process::TestHost;

const ORDER: &str = "POST /servers";

/// A host that buys at a Hetzner of our own, where these things go wrong.
async fn host_at(faults: Vec<Fault>) -> (TestHost, FakeHetzner) {
    let (cloud, host) = FakeHetzner::with_host(fake_hetzner::Options::default()).await;
    for fault in faults {
        cloud.inject(fault);
    }
    (host, cloud)
}

/// The create fails with this in its error, and nothing of it is left anywhere.
async fn check_failed(faults: Vec<Fault>, code: &str, words: &str) {
    let (host, cloud) = host_at(faults).await;
    let id = host.create_server("web-1").await;
    let job = host.wait_for(&id, "failed").await;
    assert_eq!(job["failure"]["code"], code, "{job:#}");
    assert!(job["error"].as_str().unwrap().contains(words), "{job:#}");
    assert_eq!(cloud.servers().len() + cloud.key_names().len(), 0, "something is left");
    assert_eq!(host.get("/api/servers/web-1").await.0, 404);
}

#[tokio::test]
async fn an_action_that_fails_is_told_in_the_providers_words() {
    let harm = Harm::ActionFails { code: "action_failed", message: "the disk broke" };
    check_failed(vec![Fault::on(ORDER, harm)], "action_failed", "the disk broke").await;
}

#[tokio::test]
async fn a_sold_out_type_is_told() {
    let harm = Harm::refuse(412, "resource_unavailable");
    check_failed(vec![Fault::on(ORDER, harm)], "no_capacity", "web-1").await;
}

#[tokio::test]
async fn a_token_that_is_revoked_in_the_middle_is_told() {
    let harm = Harm::refuse(401, "unauthorized");
    check_failed(vec![Fault::on(ORDER, harm)], "invalid_credentials", "token").await;
}

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_adopted() {
    for harm in [Harm::Cut, Harm::Html(502), Harm::refuse(500, "server_error")] {
        let (host, cloud) = host_at(vec![Fault::on(ORDER, harm).after_work()]).await;
        let id = host.create_server("web-1").await;
        // Nothing listens behind the fake: the machine is waited for, which is all this is about.
        let mut events = host.events(&id, 0).await;
        while let Some(event) = events.next().await {
            if event.name == "step" && event.content["step"] == "Check SSH" {
                break;
            }
        }
        assert_eq!((cloud.servers_ever(), cloud.servers().len()), (1, 1));
        assert_eq!(host.get(&format!("/api/jobs/{id}")).await.1["status"], "running");
    }
}

#[tokio::test]
async fn a_strangers_server_of_that_name_is_left_alone() {
    let (host, cloud) = host_at(Vec::new()).await;
    cloud.add_server("web-1", BTreeMap::new());
    let id = host.create_server("web-1").await;
    let job = host.wait_for(&id, "failed").await;
    assert_eq!(job["failure"]["code"], "conflict", "{job:#}");
    assert_eq!(cloud.servers().len(), 1, "the stranger's server is gone");
    assert_eq!(host.get("/api/servers/web-1").await.0, 404);
}

#[tokio::test]
async fn what_was_made_is_kept_when_that_was_asked_for() {
    let harm = Harm::ActionFails { code: "action_failed", message: "the disk broke" };
    let (host, cloud) = host_at(vec![Fault::on(ORDER, harm)]).await;
    let order = json!({
        "name": "web-1", "server_type": "cx23", "region": "nbg1", "keep_on_failure": true,
    });
    let id = host.submit(Method::POST, "/api/servers", Some(order)).await;
    host.wait_for(&id, "failed").await;
    assert_eq!(cloud.servers().len(), 1);
    assert_eq!(host.get("/api/servers/web-1").await.1["status"], "error");
}

/// Cancels a create while it waits in this step, and answers the job.
async fn cancel_in(host: &TestHost, step: &str) -> Value {
    let id = host.create_server("web-1").await;
    let mut events = host.events(&id, 0).await;
    while let Some(event) = events.next().await {
        if event.name == "step" && event.content["step"] == step {
            break;
        }
    }
    let (status, answer) = host.delete(&format!("/api/jobs/{id}")).await;
    assert!([200, 202].contains(&status), "{answer}");
    host.wait_for(&id, "cancelled").await
}

#[tokio::test]
async fn a_cancelled_create_of_a_server_that_never_boots_leaves_nothing_behind() {
    let (host, cloud) = host_at(vec![Fault::on(ORDER, Harm::NeverBoots)]).await;
    let job = cancel_in(&host, "Wait for boot").await;
    assert_eq!(job["failure"]["code"], "cancelled", "{job:#}");
    assert_eq!(cloud.servers().len() + cloud.key_names().len(), 0, "something is left");
    assert_eq!(host.get("/api/servers/web-1").await.0, 404);
}

#[tokio::test]
async fn a_cancelled_create_of_a_server_without_ssh_leaves_nothing_behind() {
    let (host, cloud) = host_at(Vec::new()).await;
    cancel_in(&host, "Check SSH").await;
    assert_eq!(cloud.servers().len() + cloud.key_names().len(), 0, "something is left");
}

#[tokio::test]
async fn a_create_that_is_cancelled_before_it_begins_leaves_its_name_free() {
    let (host, cloud) = host_at(vec![Fault::on(ORDER, Harm::NeverBoots)]).await;
    let first = host.create_server("web-1").await;
    let mut events = host.events(&first, 0).await;
    while events.next().await.is_some_and(|event| event.name != "step") {}
    let delete = host.submit(Method::DELETE, "/api/servers/web-1", None).await;
    assert_eq!(host.delete(&format!("/api/jobs/{delete}")).await.0, 200);
    let job = host.get(&format!("/api/jobs/{delete}")).await.1;
    assert_eq!((&job["status"], &job["attempt"]), (&json!("cancelled"), &json!(0)));
    host.delete(&format!("/api/jobs/{first}")).await;
    host.wait_for(&first, "cancelled").await;
    assert_eq!(cloud.servers().len(), 0);
    assert_eq!(host.get("/api/servers/web-1").await.0, 404);
}

#[tokio::test]
async fn an_order_that_nobody_can_tell_the_end_of_asks_a_person() {
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: waits out the provider's retries, set SLOW_TESTS");
    }
    let lost = Fault::on(ORDER, Harm::Cut).after_work();
    let dark = Fault::on("GET /servers", Harm::refuse(503, "unavailable")).always();
    let (host, cloud) = host_at(vec![lost, dark]).await;
    let id = host.create_server("web-1").await;
    let job = host.wait_for(&id, "uncertain").await;
    assert_eq!(job["failure"]["retry_safe"], false, "{job:#}");
    assert_eq!(cloud.count(ORDER), 1, "sent again without knowing");
    // The provider answers again, and a person has seen the server there.
    cloud.heal();
    let path = format!("/api/jobs/{id}/retry");
    let retry = host.submit(Method::POST, &path, Some(json!({ "resolve": "happened" }))).await;
    let adopted = |it: &Value| it["provider_id"] == json!(cloud.servers()[0].id.to_string());
    host.until("/api/servers/web-1", adopted).await;
    assert_eq!((cloud.count(ORDER), cloud.servers_ever()), (1, 1), "bought twice");
    host.delete(&format!("/api/jobs/{retry}")).await;
    host.wait_for(&retry, "cancelled").await;
    assert_eq!(cloud.servers().len() + cloud.key_names().len(), 0, "something is left");
}
