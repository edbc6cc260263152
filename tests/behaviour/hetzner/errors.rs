//! Every error of the API's table, as the provider's caller sees it.

use std::net::TcpListener;
use std::time::Duration;

use secrecy::SecretString;
use tests::fake_hetzner::{FakeHetzner, Fault, Harm, Options};
use windlass::providers::hetzner::Hetzner;
use windlass::providers::{Provider, ProviderError};

use super::{fake, fake_with, identity, impatient, key, order, provider, provider_with, quick};

/// What the caller sees, in one word.
fn kind(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::InvalidCredentials { .. } => "invalid_credentials",
        ProviderError::NotFound { .. } => "not_found",
        ProviderError::Conflict { .. } => "conflict",
        ProviderError::Refused { code, .. } => code,
        ProviderError::ActionFailed { .. } => "action_failed",
        ProviderError::RateLimited { .. } => "rate_limited",
        ProviderError::Unavailable { .. } => "unavailable",
        ProviderError::OutcomeUnknown { .. } => "outcome_unknown",
        ProviderError::Timeout { .. } => "timeout",
    }
}

/// Orders a server while orders are always answered so: what the caller sees, and the requests.
async fn order_answered(status: u16, code: &'static str) -> (&'static str, usize) {
    let harm = Harm::refuse(status, code);
    let fake = fake_with(Fault::on("POST /servers", harm).always()).await;
    let error = provider(&fake).create_server(&order("web-1")).await.unwrap_err();
    assert!(error.to_string().contains("[request fake"), "no correlation id: {error}");
    (kind(&error), fake.count("POST /servers"))
}

#[tokio::test]
async fn refusals_are_told_at_once() {
    for (status, code, seen) in [
        (400, "json_error", "invalid_argument"),
        (401, "unauthorized", "invalid_credentials"),
        (401, "token_readonly", "invalid_credentials"),
        (403, "forbidden", "access_denied"),
        (403, "resource_limit_exceeded", "quota_exceeded"),
        (403, "maintenance", "unavailable"),
        (404, "not_found", "not_found"),
        (405, "method_not_allowed", "unsupported"),
        (410, "deprecated_api_endpoint", "unsupported"),
        (412, "resource_unavailable", "no_capacity"),
        (422, "placement_error", "no_capacity"),
        (422, "invalid_input", "invalid_argument"),
        (422, "a_code_of_next_year", "invalid_argument"),
        (422, "unsupported_error", "unsupported"),
        (423, "locked", "unavailable"),
        (423, "protected", "protected"),
    ] {
        assert_eq!(order_answered(status, code).await, (seen, 1), "{status} {code}");
    }
}

#[tokio::test]
async fn what_passes_is_tried_five_times() {
    for (status, code, seen) in [
        (409, "conflict", "unavailable"),
        (429, "rate_limit_exceeded", "rate_limited"),
        (502, "bad_gateway", "outcome_unknown"),
        (503, "unavailable", "unavailable"),
        (504, "timeout", "outcome_unknown"),
    ] {
        assert_eq!(order_answered(status, code).await, (seen, 5), "{status} {code}");
    }
}

#[tokio::test]
async fn an_order_that_broke_something_is_not_sent_again() {
    for (status, code) in [(500, "server_error"), (422, "service_error"), (500, "unheard_of")] {
        assert_eq!(order_answered(status, code).await, ("outcome_unknown", 1), "{status} {code}");
    }
}

#[tokio::test]
async fn reading_is_tried_again_after_anything_that_may_pass() {
    for harm in [
        Harm::refuse(429, "rate_limit_exceeded"),
        Harm::Refuse { status: 429, code: "rate_limit_exceeded", retry_after: Some("0") },
        Harm::refuse(500, "server_error"),
        Harm::refuse(504, "timeout"),
        Harm::Html(429),
        Harm::Html(502),
        Harm::Html(200),
        Harm::Cut,
    ] {
        let fake = fake_with(Fault::on("GET /servers", harm.clone()).times(4)).await;
        let found = provider(&fake).find_server(&identity(), &order("web-1").name).await;
        assert!(matches!(found, Ok(None)), "{harm:?}: {found:?}");
        assert_eq!(fake.count("GET /servers"), 5, "{harm:?}");
    }
}

#[tokio::test]
async fn reading_ends_as_unavailable_when_nothing_passes() {
    for harm in [Harm::refuse(500, "server_error"), Harm::Html(502), Harm::Cut, Harm::Silence] {
        let fake = fake_with(Fault::on("GET /servers", harm.clone()).always()).await;
        let provider = provider_with(&fake, impatient(&harm));
        let error = provider.find_server(&identity(), &order("web-1").name).await.unwrap_err();
        assert_eq!(kind(&error), "unavailable", "{harm:?}: {error}");
        assert_eq!(fake.count("GET /servers"), 2, "{harm:?}");
    }
}

#[tokio::test]
async fn an_order_that_is_told_to_wait_is_sent_again() {
    let harm = Harm::Refuse { status: 429, code: "rate_limit_exceeded", retry_after: Some("0") };
    let fake = fake_with(Fault::on("POST /servers", harm).times(2)).await;
    provider(&fake).create_server(&order("web-1")).await.unwrap();
    assert_eq!((fake.count("POST /servers"), fake.servers_ever()), (3, 1));
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_told_instead_of_waited() {
    let harm = Harm::Refuse { status: 429, code: "rate_limit_exceeded", retry_after: Some("1800") };
    let fake = fake_with(Fault::on("POST /servers", harm).always()).await;
    let error = provider(&fake).create_server(&order("web-1")).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::RateLimited { message, retry_after: Some(wait) }
        if wait.as_secs() == 1800 && message.contains("1800 s")),
        "{error:?}"
    );
    assert_eq!(fake.count("POST /servers"), 1);
}

#[tokio::test]
async fn an_order_that_got_no_answer_is_not_sent_again() {
    for harm in [Harm::Html(500), Harm::Html(200), Harm::Cut, Harm::Silence] {
        let fake = fake_with(Fault::on("POST /servers", harm.clone())).await;
        let provider = provider_with(&fake, impatient(&harm));
        let error = provider.create_server(&order("web-1")).await.unwrap_err();
        assert_eq!(kind(&error), "outcome_unknown", "{harm:?}: {error}");
        assert_eq!((fake.count("POST /servers"), fake.servers_ever()), (1, 0), "{harm:?}");
    }
}

#[tokio::test]
async fn an_order_that_nobody_took_is_simply_unavailable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}/v1");
    let token = SecretString::from("token".to_owned());
    let provider = Hetzner::new(token, Some(&endpoint), quick()).unwrap();
    let error = provider.create_server(&order("web-1")).await.unwrap_err();
    assert_eq!(kind(&error), "unavailable", "{error}");
}

#[tokio::test]
async fn checking_the_token_takes_no_longer_than_allowed() {
    let fake = fake_with(Fault::on("GET /servers", Harm::Silence).always()).await;
    let mut options = quick();
    options.verify_timeout = Duration::from_millis(50);
    let error = provider_with(&fake, options).verify().await.unwrap_err();
    assert_eq!(kind(&error), "unavailable", "{error}");
}

#[tokio::test]
async fn a_wrong_token_is_told_with_what_to_do_and_without_itself() {
    let fake = fake().await;
    let token = SecretString::from("wrong-and-secret".to_owned());
    let provider = Hetzner::new(token, Some(&fake.url()), quick()).unwrap();
    let error = provider.verify().await.unwrap_err();
    assert_eq!(kind(&error), "invalid_credentials");
    let message = error.to_string();
    assert!(message.contains("make a new token") && !message.contains("secret"), "{message}");
}

#[tokio::test]
async fn a_token_that_may_only_read_is_told_at_the_first_write() {
    let fake = fake().await;
    let token = SecretString::from(fake.read_only_token());
    let provider = Hetzner::new(token, Some(&fake.url()), quick()).unwrap();
    provider.verify().await.unwrap();
    let error = provider.ensure_ssh_key(&key("web-1")).await.unwrap_err();
    assert_eq!(kind(&error), "invalid_credentials");
    assert!(error.to_string().contains("may only read"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_ordered_is_told_by_its_name() {
    let fake = FakeHetzner::start(Options { server_limit: 1, ..Options::default() }).await;
    let provider = provider(&fake);
    for (server_type, region, image, seen, word) in [
        ("cx11", "nbg1", "debian-12", "invalid_argument", "server_type"),
        ("cx23", "ash", "debian-12", "invalid_argument", "location"),
        ("cx23", "nbg1", "windows-95", "invalid_argument", "image"),
        ("cx33", "fsn1", "debian-12", "no_capacity", "another region"),
    ] {
        let mut wanted = order("web-1");
        wanted.server_type = server_type.to_owned();
        wanted.region = region.to_owned();
        wanted.image = image.to_owned();
        let error = provider.create_server(&wanted).await.unwrap_err();
        assert_eq!(kind(&error), seen, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    provider.create_server(&order("web-1")).await.unwrap();
    let error = provider.create_server(&order("web-2")).await.unwrap_err();
    assert!(error.to_string().contains("at its limit (project_limit)"), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_is_no_address_is_refused() {
    for endpoint in ["nowhere", "ftp://example.com", "http://"] {
        let token = SecretString::from("token".to_owned());
        let error = Hetzner::new(token, Some(endpoint), quick()).map(|_| ()).unwrap_err();
        assert_eq!(kind(&error), "invalid_argument", "{endpoint}: {error}");
    }
}
