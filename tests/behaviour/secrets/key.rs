//! The key of a home, as an operator meets it: at the start, and at a rotation.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use serde_json::json;
use tests::fake_hetzner::{self, FakeHetzner};
use tests::host_process::{Options, TestHost, program};

/// Runs the program on this home to its end.
fn run(home: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> (i32, String) {
    let mut command = program();
    command.args(arguments).arg("--home").arg(home).envs(environment.iter().copied());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
    (status.code().unwrap(), said)
}

/// A host that is not started, for this reason.
fn refused(home: &Path, environment: &[(&str, &str)]) -> String {
    let (exit, said) = run(home, environment, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(exit, 4, "{said}");
    said
}

/// A home with a provider's token in it, and no host.
async fn home_with_a_token(environment: &[(&str, &str)]) -> (TestHost, FakeHetzner) {
    let cloud = FakeHetzner::start(fake_hetzner::Options::default()).await;
    let mut environment: Vec<(String, String)> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    environment.push(("HCLOUD_ENDPOINT".to_owned(), cloud.url()));
    let mut host = TestHost::start_with(Options { environment }).await;
    let config = json!({ "name": "hetzner", "token": cloud.token() });
    assert_eq!(host.post("/api/config/provider", config).await.0, 200);
    host.terminate().await;
    (host, cloud)
}

/// The host can use the token that it keeps.
async fn uses_its_token(host: &TestHost) {
    let (status, answer) = host.get("/api/providers/locations?provider=hetzner").await;
    assert_eq!((status, &answer["stale"]), (200, &json!(false)), "{answer}");
}

fn forget_catalogue(host: &TestHost) {
    let _ = std::fs::remove_dir_all(host.home().join("cache"));
}

#[tokio::test]
async fn a_host_with_a_wrong_key_does_not_start_and_says_what_it_tried() {
    let (mut host, _cloud) = home_with_a_token(&[]).await;
    let key = host.home().join("key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::write(&key, "ab".repeat(32)).unwrap();
    let said = refused(&host.home(), &[]);
    assert!(
        said.contains("tried: the file") && said.contains("WINDLASS_KEY (not given)"),
        "{said}"
    );
    std::fs::remove_file(&key).unwrap();
    let said = refused(&host.home(), &[]);
    assert!(said.contains("there is none") && !key.exists(), "no new key for old secrets: {said}");
    std::fs::write(&key, &kept).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
    let said = refused(&host.home(), &[]);
    assert!(said.contains("chmod 600"), "{said}");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let said = refused(&host.home(), &[("WINDLASS_KEY", &"cd".repeat(32))]);
    assert!(said.contains("is the one") && !said.contains("cdcd"), "{said}");
    forget_catalogue(&host);
    host.restart().await;
    uses_its_token(&host).await;
}

#[tokio::test]
async fn a_key_in_the_environment_is_written_nowhere() {
    let key = "0123456789abcdef".repeat(4);
    let (mut host, _cloud) = home_with_a_token(&[("WINDLASS_KEY", &key)]).await;
    assert!(!host.home().join("key").exists());
    let both = [("WINDLASS_KEY", key.as_str()), ("WINDLASS_PASSPHRASE", "correct horse")];
    let (exit, said) = run(&host.home(), &both, &["serve"]);
    assert_eq!((exit, said.contains("use one of the two")), (2, true), "{said}");
    let bad = refused(&host.home(), &[("WINDLASS_KEY", "hunter2hunter2")]);
    assert!(bad.contains("64 hex digits") && !bad.contains("hunter2"), "{bad}");
    forget_catalogue(&host);
    host.restart().await;
    uses_its_token(&host).await;
    assert!(!host.log().contains(&key));
}

#[tokio::test]
async fn a_key_file_is_rotated_and_the_old_key_opens_nothing() {
    let (mut host, _cloud) = home_with_a_token(&[]).await;
    let key = host.home().join("key");
    let old = std::fs::read(&key).unwrap();
    let (exit, said) = run(&host.home(), &[], &["vault", "rotate"]);
    assert_eq!((exit, said.contains("sealed with the key")), (0, true), "{said}");
    let new = std::fs::read(&key).unwrap();
    assert_ne!(old, new);
    std::fs::write(&key, &old).unwrap();
    refused(&host.home(), &[]);
    std::fs::write(&key, &new).unwrap();
    forget_catalogue(&host);
    host.restart().await;
    uses_its_token(&host).await;
    let (exit, said) = run(&host.home(), &[], &["vault", "rotate"]);
    assert_eq!((exit, said.contains("is used by")), (4, true), "not while a host runs: {said}");
}

#[tokio::test]
async fn a_home_goes_from_its_key_file_to_a_passphrase() {
    let (host, _cloud) = home_with_a_token(&[]).await;
    let file = host.home().join("passphrase.txt");
    std::fs::write(&file, "correct horse battery\n").unwrap();
    let file = file.to_str().unwrap();
    let (exit, said) = run(&host.home(), &[], &["vault", "rotate", "--new-passphrase-file", file]);
    assert_eq!(exit, 0, "{said}");
    assert!(!host.home().join("key").exists());
    let said = refused(&host.home(), &[]);
    assert!(said.contains("a passphrase (not given)"), "{said}");
    let said = refused(&host.home(), &[("WINDLASS_PASSPHRASE", "battery staple")]);
    assert!(!said.contains("battery"), "{said}");
    let looks = ["--passphrase-file", file, "token", "list"];
    let (exit, said) = run(&host.home(), &[], &looks);
    assert_eq!((exit, said.contains("admin")), (0, true), "{said}");
    let (exit, said) = run(
        &host.home(),
        &[("WINDLASS_PASSPHRASE", "correct horse battery")],
        &["vault", "rotate"],
    );
    assert_eq!((exit, said.contains("--new-passphrase-file")), (2, true), "{said}");
}
