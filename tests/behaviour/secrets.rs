//! Secrets: where their key comes from, and that their values are nowhere where somebody looks.

mod agents;
mod key;
mod planted;
mod rotation;

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;
use tests::fake_hetzner::{self, FakeHetzner};
use tests::host_process::{Options, TestHost};
use tests::workshop::{Workshop, code, result};
use windlass::model::job::JobStatus;
use windlass::storage::Store;
use windlass::storage::sqlite::{self, Sqlite};
use windlass::vault::source::Source;
use windlass::vault::{Vault, VaultError};

/// What stands where a value was.
const MASK: &str = "•••";

/// Every value that a home keeps sealed, by name, as the host itself would open it.
async fn values(home: &Path) -> Vec<(String, String)> {
    values_by(home, &Source::File).await.unwrap()
}

/// The same with a key from somewhere else, unless it is not the one.
async fn values_by(home: &Path, source: &Source) -> Result<Vec<(String, String)>, VaultError> {
    let database = home.join("windlass.db");
    let store: Arc<dyn Store> = Sqlite::open(&database, &sqlite::Options::default()).unwrap();
    let vault = Vault::open(home, source, &store).await;
    let found = match vault {
        Ok(vault) => Ok(opened(&vault, &store).await),
        Err(error) => Err(error),
    };
    store.close().await;
    found
}

async fn values_of(home: &Path, store: &Arc<dyn Store>) -> Vec<(String, String)> {
    opened(&Vault::open(home, &Source::File, store).await.unwrap(), store).await
}

async fn opened(vault: &Vault, store: &Arc<dyn Store>) -> Vec<(String, String)> {
    let sealed = store.sealed().await.unwrap().into_iter();
    let opened = sealed.map(|value| {
        let name = value.place.name();
        let plain = vault.unseal(&name, &value.bytes).unwrap();
        (name, plain.expose_secret().to_owned())
    });
    opened.filter(|(name, _)| name != "vault/check" && name != "dns/owner").collect()
}

/// What nobody may find: the values, the lines of long ones, and their base64.
fn needles(values: &[(String, String)]) -> Vec<(String, String)> {
    let mut needles = Vec::new();
    for (name, value) in values.iter().filter(|(_, value)| value.len() >= 16) {
        let lines = value.lines().filter(|line| line.len() >= 16 && !line.starts_with("-----"));
        for line in lines {
            needles.push((name.clone(), line.to_owned()));
            needles.push((format!("{name} in base64"), STANDARD_NO_PAD.encode(line)));
        }
    }
    needles
}

/// No needle is in this content.
fn check(place: &str, content: &[u8], needles: &[(String, String)]) {
    for (name, needle) in needles {
        let found = content.windows(needle.len()).any(|part| part == needle.as_bytes());
        assert!(!found, "`{name}` is in {place}");
    }
}

/// No needle is in a file under this folder whose path does not have one of these parts.
fn check_files(folder: &Path, but: &[&str], needles: &[(String, String)]) -> usize {
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let shown = path.display().to_string();
        if but.iter().any(|part| shown.contains(part)) {
            continue;
        }
        if path.is_dir() {
            checked += check_files(&path, but, needles);
        } else {
            check(&shown, &std::fs::read(&path).unwrap(), needles);
            checked += 1;
        }
    }
    checked
}

#[tokio::test]
async fn a_secret_is_made_once_and_its_value_is_where_it_was_put_and_masked_elsewhere() {
    let workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    let job = workshop.run_on("web-1", "uses-secrets").await;
    let said = result(&job).clone();
    assert_eq!(said["reference"], "${secret:web-1/app/password}");
    assert_eq!(said["again"], said["reference"]);
    assert_eq!(said["hash"], "${secret:web-1/app/password.bcrypt}");
    assert_eq!(said["echoed"], format!("it is {MASK}\n"));
    assert_eq!(said["shown"], format!("PASSWORD={MASK}\nHASH={MASK}\n"));
    assert_eq!((&said["read"], &said["complained"]), (&said["shown"], &json!(MASK)));

    let values = values_of(workshop.home(), &workshop.store).await;
    let value = |name: &str| &values.iter().find(|(it, _)| it == name).unwrap().1;
    let password = value("server/web-1/secret/app/password");
    let hash = value("server/web-1/secret/app/password.bcrypt");
    assert!(password.len() == 32 && password.chars().all(|c| c.is_ascii_alphanumeric()));
    assert!(hash.starts_with("$2b$12$"), "{hash}");
    let again = workshop.run_on("web-1", "uses-secrets").await;
    assert_eq!(result(&again)["hash"], said["hash"]);
    assert_eq!(values, values_of(workshop.home(), &workshop.store).await, "the same for ever");
    // The one place where they belong.
    let file = format!("PASSWORD={password}\nHASH={hash}\n");
    let sandbox = workshop.home().join("sandbox");
    assert!(file_with(&sandbox, file.as_bytes()), "the file on the server has the values");
}

fn file_with(folder: &Path, wanted: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            file_with(&path, wanted)
        } else {
            std::fs::read(&path).unwrap() == wanted
        }
    })
}

#[tokio::test]
async fn a_secret_is_used_only_as_it_was_granted() {
    let workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    let job = workshop.run_on("web-1", "steals-secrets").await;
    let wanted = json!({
        "name_not_granted": "access_denied",
        "name_of_a_key": "invalid_argument",
        "policy": "invalid_argument",
        "reference_not_granted": "access_denied",
        "other_server": "access_denied",
        "unknown": "not_found",
        "broken": "invalid_argument",
        "hash_of_a_hash": "invalid_argument",
        "command_line": "secret_exposed",
    });
    assert_eq!(result(&job), &wanted);
    let without_server = workshop.run("steals-secrets").await;
    assert_eq!(code(&without_server), "plugin_trapped");
}

#[tokio::test]
async fn values_are_in_no_file_but_the_servers_own_whether_jobs_fail_or_not() {
    let mut workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    workshop.run_on("web-1", "uses-secrets").await;
    let failed = workshop.run_on("web-1", "fails-with-a-secret").await;
    assert_eq!((failed.status, code(&failed)), (JobStatus::Failed, "no_luck"));
    assert!(failed.failure.as_ref().unwrap().message.contains(MASK));
    let log = workshop.log(&failed.id).await;
    assert!(log.iter().any(|line| line.contains(&format!("it is {MASK}"))), "{log:?}");

    let needles = needles(&values_of(workshop.home(), &workshop.store).await);
    assert!(needles.len() > 8, "{needles:?}");
    // First with the database's log of writes, then as it is when all receipts are removed too,
    // which is done when a job's end is on disk already.
    check_files(workshop.home(), &["/files/", "/receipts/"], &needles);
    workshop.stop().await;
    let checked = check_files(workshop.home(), &["/files/"], &needles);
    assert!(checked > 3, "{checked} files");
}

#[tokio::test]
async fn values_are_in_no_answer_of_the_api_and_in_no_line_of_the_log() {
    let mut workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    let used = workshop.run_on("web-1", "uses-secrets").await;
    let failed = workshop.run_on("web-1", "fails-with-a-secret").await;
    workshop.stop().await;
    let cloud = FakeHetzner::start(fake_hetzner::Options::default()).await;
    let environment = vec![
        ("HCLOUD_ENDPOINT".to_owned(), cloud.url()),
        ("WINDLASS_LOG".to_owned(), "trace".to_owned()),
    ];
    let mut host = TestHost::start_with(Options { environment }).await;
    host.terminate().await;
    adopt(workshop.home(), &host.home());
    host.restart().await;
    let config = json!({ "name": "hetzner", "token": cloud.token() });
    assert_eq!(host.post("/api/config/provider", config).await.0, 200);

    let needles = needles(&values_with_token(&host, cloud.token()).await);
    for path in answers(&[used.id.as_str(), failed.id.as_str()]) {
        let response = host.request(Method::GET, &path).send().await.unwrap();
        assert!(response.status().is_success(), "{path}");
        check(&path, &response.bytes().await.unwrap(), &needles);
    }
    for (command, stdin) in [("cat /root/.env", ""), ("cat", "a line"), ("cat /root/.env >&2", "")]
    {
        let body = json!({ "command": command, "stdin": stdin });
        let (status, answer) = host.post("/api/servers/web-1/exec", body).await;
        assert_eq!((status, &answer["success"]), (200, &json!(true)), "{answer}");
        check(command, answer.to_string().as_bytes(), &needles);
    }
    let (_, answer) = host.get(&format!("/api/jobs/{}", used.id)).await;
    assert!(answer.to_string().contains("${secret:web-1/app/password}"), "{answer}");
    host.terminate().await;
    check("the log", host.log().as_bytes(), &needles);
    assert!(host.log().contains("TRACE"), "the log has everything in it");
}

/// Puts what another home has in the place of what this one has.
fn adopt(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            adopt(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
    // The token of the home that was there is unknown to the store that is there now.
    let _ = std::fs::remove_file(to.join("token"));
}

/// The values of a running host's home, read from a copy of it.
async fn values_with_token(host: &TestHost, token: &str) -> Vec<(String, String)> {
    let copy = tempfile::tempdir().unwrap();
    adopt(&host.home(), copy.path());
    let mut values = values(copy.path()).await;
    values.push(("the token".to_owned(), token.to_owned()));
    values
}

/// Everything that can be looked at.
fn answers(jobs: &[&str]) -> Vec<String> {
    let mut paths: Vec<String> = [
        "/",
        "/health",
        "/openapi.json",
        "/api/jobs",
        "/api/servers",
        "/api/servers/web-1",
        "/api/plugins",
        "/api/tokens",
        "/api/providers/server-types?provider=hetzner",
        "/api/providers/images?provider=hetzner",
        "/api/providers/locations",
    ]
    .map(str::to_owned)
    .to_vec();
    for job in jobs {
        for end in ["", "/logs?tail=1000&level=debug", "/journal", "/events"] {
            paths.push(format!("/api/jobs/{job}{end}"));
        }
    }
    paths
}

#[tokio::test]
async fn a_provider_that_quotes_the_token_in_its_refusal_is_not_quoted() {
    let token = "quoted-token-0123456789";
    let body = json!({ "error": { "code": "unauthorized", "message": format!("bad {token}") } });
    let refuse = move || async move { (axum::http::StatusCode::UNAUTHORIZED, axum::Json(body)) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = axum::serve(listener, axum::Router::new().fallback(refuse));
    let server = tokio::spawn(server.into_future());
    let environment = vec![("HCLOUD_ENDPOINT".to_owned(), url)];
    let host = TestHost::start_with(Options { environment }).await;
    let config = json!({ "name": "hetzner", "token": token });
    let (status, answer) = host.post("/api/config/provider", config).await;
    server.abort();
    assert_eq!(status, 422, "{answer}");
    assert!(answer.to_string().contains(MASK), "{answer}");
    assert!(!answer.to_string().contains(token) && !host.log().contains(token), "{answer}");
}
