//! Whose a name is: no two servers of a host have the same, and no app has a server's own.

use reqwest::Method;
use serde_json::{Value, json};
use tests::apps::{AppsHost, recipe};
use tests::host_process::TestHost;

use super::{sandbox_server, wanted};

/// Asks for a setup with these names.
async fn ask(host: &TestHost, server: &str, subdomain: &str) -> (u16, Value) {
    let body = json!({
        "ssl_email": "admin@example.com", "zone_name": "example.com", "subdomain": subdomain,
    });
    host.post(&format!("/api/servers/{server}/setup"), body).await
}

async fn end(host: &TestHost, answer: &Value) {
    host.wait_for(answer["job_id"].as_str().unwrap(), "completed").await;
}

#[tokio::test]
async fn no_two_servers_have_the_same_names() {
    let host = TestHost::start().await;
    sandbox_server(&host, "web-1").await;
    sandbox_server(&host, "web-2").await;
    let (one, two) = tokio::join!(ask(&host, "web-1", "lab"), ask(&host, "web-2", "LAB"));
    let (winner, loser, refused) = match (one.0, two.0) {
        (202, 409) => ("web-1", "web-2", &two.1),
        (409, 202) => ("web-2", "web-1", &one.1),
        _ => panic!("one of them has the names: {one:?} {two:?}"),
    };
    assert_eq!(refused["code"], "name_taken", "{refused}");
    assert_eq!(refused["details"]["server"], winner, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("lab.example.com"), "{refused}");
    end(&host, if one.0 == 202 { &one.1 } else { &two.1 }).await;
    // Neither while the other is being set up nor afterwards.
    assert_eq!(ask(&host, loser, "lab").await.0, 409);
    let (status, own) = ask(&host, loser, "other").await;
    assert_eq!(status, 202, "{own}");
    end(&host, &own).await;
    let (status, again) = ask(&host, winner, "lab").await;
    assert_eq!(status, 202, "a server keeps its own: {again}");
    end(&host, &again).await;
    let deletion = host.submit(Method::DELETE, &format!("/api/servers/{winner}"), None).await;
    host.wait_for(&deletion, "completed").await;
    let (status, freed) = ask(&host, loser, "lab").await;
    assert_eq!(status, 202, "{freed}");
    end(&host, &freed).await;
}

#[tokio::test]
async fn no_app_has_a_servers_own_name() {
    let domain = json!({ "domain": { "type": "string" } });
    let more = json!({ "dns_prefixes": ["ptn"], "params": { "properties": domain } });
    let apps = AppsHost::start(&[recipe("taker", &[], more)]).await;
    sandbox_server(&apps.host, "web-1").await;
    let path = "/api/servers/web-1/setup";
    let setup = apps.host.submit(Method::POST, path, Some(wanted())).await;
    apps.host.wait_for(&setup, "completed").await;
    for config in [json!({}), json!({ "domain": "lab.example.com" })] {
        let (status, answer) = apps.ask("taker", config).await;
        assert_eq!((status, &answer["code"]), (409, &json!("name_taken")), "{answer}");
        assert_eq!(answer["details"]["name"], "ptn.lab.example.com");
    }
    apps.installed("taker", json!({ "domain": "elsewhere.example.com" })).await;
}
