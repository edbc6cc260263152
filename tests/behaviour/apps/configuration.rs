//! What an app is configured with: checked before there is a job, and never seen where it is secret.

use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tests::apps::{AppsHost, recipe};
use windlass::storage::Store;
use windlass::storage::sqlite::{Options, Sqlite};
use windlass::vault::Vault;
use windlass::vault::source::Source;

use super::ready;

const PASSWORD: &str = "correct-horse-battery-staple";

fn secretive() -> Value {
    let more = json!({ "params": {
        "properties": {
            "how": { "default": "tells-its-secret" },
            "size": { "type": "integer", "minimum": 1, "default": 3 },
            "password": { "type": "string", "minLength": 12, "writeOnly": true },
        },
    }});
    recipe("secretive", &[], more)
}

/// What the vault of a stopped host has, by name.
async fn secrets(apps: &AppsHost) -> Vec<(String, String)> {
    let home = apps.host.home();
    let store: Arc<dyn Store> =
        Sqlite::open(&home.join("windlass.db"), &Options::default()).unwrap();
    let vault = Vault::open(&home, &Source::File, &store).await.unwrap();
    let found = store.secrets("server/").await.unwrap().into_iter();
    let open = |(name, sealed): (String, Vec<u8>)| {
        let plain = vault.unseal(&name, &sealed).unwrap();
        (name, plain.expose_secret().to_owned())
    };
    let found = found.map(open).collect();
    store.close().await;
    found
}

/// The names of what the vault of a stopped host has.
pub(super) async fn secret_names(apps: &AppsHost) -> Vec<String> {
    secrets(apps).await.into_iter().map(|(name, _)| name).collect()
}

/// The files under this folder, but those that a simulated server has, which have a text in them.
fn files_with(folder: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if std::fs::read(&path).unwrap().windows(needle.len()).any(|it| it == needle) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn what_is_wrong_with_a_configuration_is_said_where_it_is() {
    let apps = ready(&[secretive()]).await;
    for (config, pointer) in [
        (json!({ "size": 0 }), "/config/size"),
        (json!({ "size": "large" }), "/config/size"),
        (json!({ "colour": "red" }), "/config"),
        (json!([]), "/config"),
        (json!({ "how": "${secret:web-1/portainer/admin-password}" }), "/config/how"),
        (json!({ "password": "${secret:web-1/portainer/admin-password}" }), "/config/password"),
    ] {
        let (status, answer) = apps.ask("secretive", config.clone()).await;
        assert_eq!(status, 422, "{config}: {answer}");
        assert_eq!(answer["details"]["fields"][0]["pointer"], pointer, "{answer}");
    }
    let (status, answer) = apps.ask("secretive", json!({ "password": "too-short" })).await;
    assert_eq!(
        (status, &answer["details"]["fields"][0]["pointer"]),
        (422, &json!("/config/password"))
    );
    assert!(!answer.to_string().contains("too-short"), "{answer}");
    let (status, answer) = apps.ask("secretiv", json!({})).await;
    assert_eq!((status, &answer["details"]["fields"][0]["pointer"]), (422, &json!("/app_name")));
    assert!(answer["error"].as_str().unwrap().contains("`secretive`?"), "{answer}");
    assert!(super::jobs(&apps).await.is_empty());
}

#[tokio::test]
async fn a_secret_of_the_configuration_is_on_the_server_and_nowhere_else() {
    let mut apps = ready(&[secretive()]).await;
    let config = json!({ "password": PASSWORD });
    let (_, accepted) = apps.ask("secretive", config.clone()).await;
    let (_, again) = apps.ask("secretive", config).await;
    assert_eq!(accepted["deduplicated"], false);
    let id = accepted["job_id"].as_str().unwrap();
    let job = apps.host.wait_for(id, "completed").await;
    // Either the same job, or a new one after it had ended.
    apps.host.wait_for(again["job_id"].as_str().unwrap(), "completed").await;
    let reference = "${secret:web-1/secretive/config-password}";
    assert_eq!(job["params"]["config"]["password"], reference, "{job}");
    let mut seen = vec![job.to_string(), accepted.to_string(), again.to_string()];
    for end in ["", "/logs?tail=1000&level=debug", "/journal"] {
        seen.push(apps.host.get(&format!("/api/jobs/{id}{end}")).await.1.to_string());
    }
    let app = apps.app("secretive").await;
    assert_eq!(
        app["config"],
        json!({ "how": "tells-its-secret", "size": 3, "password": reference })
    );
    seen.push(app.to_string());
    assert!(seen.iter().all(|text| !text.contains(PASSWORD)), "{seen:#?}");
    apps.host.terminate().await;
    assert!(!apps.host.log().contains(PASSWORD));
    let files = files_with(&apps.host.home(), PASSWORD.as_bytes());
    assert!(files.iter().all(|file| file.contains("/sandbox/")), "{files:?}");
    let kept = ("server/web-1/secret/secretive/config-password".to_owned(), PASSWORD.to_owned());
    assert!(secrets(&apps).await.contains(&kept));
}

#[tokio::test]
async fn a_secret_that_is_not_given_again_stays_and_goes_with_the_data() {
    let mut apps = ready(&[secretive()]).await;
    let name = "server/web-1/secret/secretive/config-password".to_owned();
    apps.installed("secretive", json!({ "password": PASSWORD })).await;
    let job = apps.installed("secretive", json!({ "size": 4 })).await;
    let reference = json!("${secret:web-1/secretive/config-password}");
    assert_eq!(job["params"]["config"]["password"], reference);
    let shown = json!({ "size": 5, "password": reference });
    apps.installed("secretive", shown).await;
    apps.installed("secretive", json!({ "password": "another-long-password" })).await;
    apps.host.terminate().await;
    assert!(secrets(&apps).await.contains(&(name.clone(), "another-long-password".to_owned())));
    apps.host.restart().await;
    apps.removed("secretive", false).await;
    apps.host.terminate().await;
    assert!(secret_names(&apps).await.contains(&name), "it goes with the data only");
    apps.host.restart().await;
    apps.installed("secretive", json!({ "password": PASSWORD })).await;
    apps.removed("secretive", true).await;
    apps.host.terminate().await;
    assert!(!secret_names(&apps).await.contains(&name));
}

#[tokio::test]
async fn an_app_with_names_has_a_domain_or_is_refused() {
    let domain = json!({ "domain": { "type": "string" } });
    let more = json!({ "dns_prefixes": ["mine"], "params": { "properties": domain } });
    let apps =
        AppsHost::start(&[recipe("named", &[], more.clone()), recipe("rival", &[], more)]).await;
    let job = apps.host.create_server("web-1").await;
    apps.host.wait_for(&job, "completed").await;
    let body = json!({ "ssl_email": "admin@example.com" });
    let setup =
        apps.host.submit(reqwest::Method::POST, "/api/servers/web-1/setup", Some(body)).await;
    apps.host.wait_for(&setup, "completed").await;
    for config in [json!({}), json!({ "domain": "no domain" }), json!({ "domain": "x`y.com" })] {
        let (status, answer) = apps.ask("named", config).await;
        assert_eq!(status, 422, "{answer}");
        assert_eq!(answer["details"]["fields"][0]["pointer"], "/config/domain", "{answer}");
    }
    apps.installed("named", json!({ "domain": "apps.example.org" })).await;
    let (status, answer) = apps.ask("rival", json!({ "domain": "apps.example.org" })).await;
    assert_eq!((status, &answer["code"]), (409, &json!("name_taken")), "{answer}");
    assert_eq!(answer["details"]["name"], "mine.apps.example.org");
}
