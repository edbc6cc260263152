//! The `dns` interface as a plugin sees it, on the sandbox's zones.

use serde_json::{Value, json};
use tests::workshop::{Workshop, code, result};
use windlass::model::server::Server;

/// What the sandbox keeps.
fn kept(workshop: &Workshop) -> Value {
    let path = workshop.home().join("sandbox/dns/zones.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_plugin_names_things_on_a_sandbox_server() {
    let workshop = Workshop::open().await;
    let id = workshop.submit_on_sandbox("names-things", "web-1").await;
    let job = workshop.finished(&id).await;
    let seen = result(&job);
    assert_eq!(seen["zones"], json!(["example.com", "example.net", "example.org"]));
    assert_eq!(seen["found"], json!([["web-1.example.com", "198.18.0.8"]]));
    assert_eq!((&seen["same"], &seen["ours"]), (&json!(true), &json!(true)));
    assert_eq!(seen["refused"], json!(["invalid_argument", "invalid_argument"]));
    assert_eq!(seen["left"], json!(0));
    let properties = seen["properties"].to_string();
    assert!(properties.contains(r#"["simulated","true"]"#), "{properties}");
    assert!(properties.contains(id.as_str()) && properties.contains("for a test"), "{properties}");
    assert_eq!(
        (&kept(&workshop)["records"], &kept(&workshop)["simulated"]),
        (&json!([]), &json!(true))
    );
}

#[tokio::test]
async fn a_name_of_another_server_is_not_touched() {
    let workshop = Workshop::open().await;
    for server in ["web-1", "web-2"] {
        let id = workshop.submit_on_sandbox("returns", server).await;
        result(&workshop.finished(&id).await);
    }
    let record = json!([{
        "zone": "example.com", "id": "its-record", "name": "web-1.example.com", "kind": "A",
    }]);
    let give = move |it: &mut Server| drop(it.dns.insert("records".to_owned(), record));
    let name = "web-2".parse().unwrap();
    workshop.store.update_server(&name, Box::new(give)).await.unwrap().unwrap();
    let job = workshop.run_on("web-1", "names-things").await;
    assert_eq!(code(&job), "name_taken");
    assert!(job.failure.unwrap().message.contains("`web-2`"));
    // To whom it belongs, it may be changed.
    result(&workshop.run_on("web-2", "names-things").await);
}

#[tokio::test]
async fn a_job_whose_server_is_real_needs_credentials() {
    let workshop = Workshop::open().await;
    let job = workshop.run("names-things").await;
    assert_eq!(code(&job), "provider_not_configured");
    let message = job.failure.unwrap().message;
    assert!(message.contains("windlass config cloudflare"), "{message}");
}

#[tokio::test]
async fn a_name_that_was_made_before_a_crash_is_ours_after_it() {
    let mut workshop = Workshop::open().await;
    let id = workshop.submit_on_sandbox("waits-after-naming", "web-1").await;
    workshop.says(&id, "waiting").await;
    let before = kept(&workshop);
    workshop.stop().await;
    // As if the host had died before it could write down how the effect ended.
    tests::journal::forget_outcome(&workshop.database(), &id, "dns.upsert");
    let workshop = workshop.restart().await;
    workshop.says(&id, "attempt 2: going on from the journal").await;
    workshop.says(&id, "waiting").await;
    workshop.store.request_cancel(&id, "test", jiff::Timestamp::now()).await.unwrap();
    workshop.finished(&id).await;
    assert_eq!(kept(&workshop), before);
}
