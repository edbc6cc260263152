//! `POST /api/config/cloudflare` at the door.

use std::io::Write;
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use tests::fake_cloudflare::{FakeCloudflare, Fault, Harm};
use tests::host_process::{Options, TestHost, program};

const PATH: &str = "/api/config/cloudflare";

async fn host_and_fake() -> (TestHost, FakeCloudflare) {
    let (fake, _) = super::fake().await;
    let endpoint = ("CLOUDFLARE_ENDPOINT".to_owned(), fake.url());
    let options = Options { environment: vec![endpoint] };
    (TestHost::start_with(options).await, fake)
}

fn pointers(body: &Value) -> Vec<&str> {
    let fields = body["details"]["fields"].as_array().expect("a refusal names fields");
    fields.iter().map(|field| field["pointer"].as_str().expect("a pointer")).collect()
}

#[tokio::test]
async fn good_credentials_are_kept_sealed_and_never_shown() {
    let (host, fake) = host_and_fake().await;
    let told = fake.options();
    let bodies =
        [json!({"api_token": told.token}), json!({"email": told.email, "api_key": told.key})];
    for body in bodies {
        let (status, answer) = host.post(PATH, body).await;
        let expected = json!({"name": "cloudflare", "verified": true});
        assert_eq!((status, &answer["data"]), (200, &expected), "{answer}");
        for secret in [&told.token, &told.key] {
            assert!(!answer.to_string().contains(secret), "{answer}");
        }
    }
    for secret in [&told.token, &told.key] {
        assert!(!host.log().contains(secret), "{}", host.log());
        for entry in std::fs::read_dir(host.home()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap_or_default();
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn refused_credentials_are_not_kept() {
    let (host, fake) = host_and_fake().await;
    let (status, answer) = host.post(PATH, json!({"api_token": fake.options().key})).await;
    assert_eq!((status, &answer["code"]), (422, &json!("invalid_credentials")), "{answer}");
    assert_eq!(pointers(&answer), ["/api_token"]);
    let said = answer["error"].as_str().expect("a sentence");
    assert!(said.contains("Global API Key") && !said.contains(&fake.options().key), "{said}");
}

#[tokio::test]
async fn a_cloudflare_that_does_not_answer_is_kept_unverified() {
    let (host, fake) = host_and_fake().await;
    fake.inject(Fault::on("GET /zones", Harm::Silence).always());
    let began = std::time::Instant::now();
    let (status, answer) = host.post(PATH, json!({"api_token": fake.options().token})).await;
    assert_eq!((status, &answer["data"]["verified"]), (200, &json!(false)), "{answer}");
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    let body = json!({"api_token": "x", "endpoint": "http://127.0.0.1:9"});
    let (status, answer) = host.post(PATH, body).await;
    assert_eq!((status, &answer["data"]["verified"]), (200, &json!(false)), "{answer}");
}

#[tokio::test]
async fn what_is_neither_of_the_two_ways_is_refused_with_its_place() {
    let (host, fake) = host_and_fake().await;
    for (body, expected) in [
        (json!({}), "/api_token"),
        (json!({"email": "a@example.com"}), "/api_key"),
        (json!({"api_key": "x"}), "/email"),
        (json!({"email": "nobody", "api_key": "x"}), "/email"),
        (json!({"email": "a@example.com", "api_key": ""}), "/api_key"),
        (json!({"api_token": "a\nb"}), "/api_token"),
        (json!({"api_token": "x", "email": "a@example.com"}), "/api_token"),
        (json!({"api_token": "x", "endpoint": "ftp://example.com"}), "/endpoint"),
        (json!({"apitoken": "x"}), "/apitoken"),
    ] {
        let (status, answer) = host.post(PATH, body.clone()).await;
        assert_eq!((status, pointers(&answer)), (422, vec![expected]), "{body}: {answer}");
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn only_an_admin_may_configure() {
    let (host, _fake) = host_and_fake().await;
    let body = json!({"name": "an-operator", "scope": "operate"});
    let (_, answer) = host.post("/api/tokens", body).await;
    let token = answer["token"].as_str().expect("it is told once");
    let request = host.bare_request(Method::POST, PATH).bearer_auth(token);
    let (status, answer) = host.answer(request.json(&json!({"api_token": "x"}))).await;
    assert_eq!((status, &answer["code"]), (403, &json!("insufficient_scope")));
}

#[tokio::test]
async fn the_command_line_reads_the_token_from_its_input() {
    let (host, fake) = host_and_fake().await;
    let token = fake.options().token.clone();
    let mut command = program();
    command.arg("--home").arg(host.home()).args(["config", "cloudflare"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program can be run");
    child.stdin.take().expect("it has an input").write_all(token.as_bytes()).expect("it reads");
    let waited = tokio::task::spawn_blocking(move || child.wait_with_output()).await;
    let output = waited.expect("no panic").expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((output.status.code(), said.trim()), (Some(0), "Cloudflare is ready."));
    assert_eq!(fake.count("GET /zones"), 1);
}
