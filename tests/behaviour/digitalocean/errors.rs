//! Every error of the API's table, as the provider's caller sees it.

use std::net::TcpListener;
use std::time::Duration;

use secrecy::SecretString;
use tests::fake_digitalocean::{FakeDigitalOcean, Fault, Harm, Options};
use windlass::providers::digitalocean::DigitalOcean;
use windlass::providers::{Provider, ProviderError};

use super::{
    code, fake, fake_with, identity, impatient, key, name, order, provider, provider_with, quick,
};

/// Orders a droplet while orders are always answered so: what the caller sees, and the requests.
async fn order_answered(harm: Harm) -> (String, usize) {
    let fake = fake_with(Fault::on("POST /droplets", harm).always()).await;
    let error = provider(&fake).create_server(&order()).await.unwrap_err();
    assert!(error.to_string().contains("[request fake"), "no correlation id: {error}");
    assert_eq!(fake.droplets_ordered(), 0);
    (code(&error), fake.count("POST /droplets"))
}

#[tokio::test]
async fn refusals_are_told_at_once() {
    for (status, id, seen) in [
        (400, "bad_request", "invalid_argument"),
        (401, "unauthorized", "invalid_credentials"),
        (402, "payment_required", "access_denied"),
        (403, "forbidden", "access_denied"),
        (404, "not_found", "not_found"),
        (405, "method_not_allowed", "unsupported"),
        (409, "conflict", "unavailable"),
        (410, "gone", "unsupported"),
        (422, "unprocessable_entity", "invalid_argument"),
    ] {
        let answered = order_answered(Harm::refuse(status, id)).await;
        assert_eq!(answered, (seen.to_owned(), 1), "{status} {id}");
    }
}

#[tokio::test]
async fn what_a_422_means_is_told_by_its_message() {
    for (message, seen) in [
        ("creating this/these droplet(s) will exceed your droplet limit", "quota_exceeded"),
        ("Region is not available", "no_capacity"),
        ("Size is not available in this region.", "no_capacity"),
        ("You specified an invalid image for Droplet creation.", "invalid_argument"),
        ("4711 are invalid key identifiers for Droplet creation.", "invalid_argument"),
        ("SSH Key is already in use on your account", "conflict"),
        ("Droplet already has a pending event.", "unavailable"),
        ("Please verify your payment method", "access_denied"),
        ("a message of next year", "invalid_argument"),
    ] {
        let harm = Harm::Say { status: 422, code: "unprocessable_entity", message };
        assert_eq!(order_answered(harm).await, (seen.to_owned(), 1), "{message}");
    }
}

#[tokio::test]
async fn too_many_requests_are_tried_five_times() {
    let answered = order_answered(Harm::refuse(429, "too_many_requests")).await;
    assert_eq!(answered, ("rate_limited".to_owned(), 5));
}

#[tokio::test]
async fn an_order_that_broke_something_is_not_sent_again() {
    for (status, id) in [(500, "server_error"), (503, "service_unavailable"), (504, "timeout")] {
        let fake = fake_with(Fault::on("POST /droplets", Harm::refuse(status, id)).always()).await;
        let error = provider(&fake).create_server(&order()).await.unwrap_err();
        assert_eq!((code(&error).as_str(), fake.count("POST /droplets")), ("outcome_unknown", 1));
    }
}

#[tokio::test]
async fn an_order_that_got_no_answer_is_not_sent_again() {
    for harm in [Harm::Html(500), Harm::Html(202), Harm::Cut, Harm::Silence] {
        let fake = fake_with(Fault::on("POST /droplets", harm.clone())).await;
        let provider = provider_with(&fake, impatient(&harm));
        let error = provider.create_server(&order()).await.unwrap_err();
        assert_eq!(code(&error), "outcome_unknown", "{harm:?}: {error}");
        assert_eq!((fake.count("POST /droplets"), fake.droplets_ordered()), (1, 0), "{harm:?}");
    }
}

#[tokio::test]
async fn an_order_that_nobody_took_is_simply_unavailable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let token = SecretString::from("token".to_owned());
    let provider = DigitalOcean::new(token, Some(&endpoint), quick()).unwrap();
    let error = provider.create_server(&order()).await.unwrap_err();
    assert_eq!(code(&error), "unavailable", "{error}");
}

#[tokio::test]
async fn reading_is_tried_again_after_anything_that_may_pass() {
    for harm in [
        Harm::refuse(429, "too_many_requests"),
        Harm::Refuse { status: 429, code: "too_many_requests", retry_after: Some("0") },
        Harm::refuse(500, "server_error"),
        Harm::Html(429),
        Harm::Html(502),
        Harm::Html(200),
        Harm::Cut,
    ] {
        let fake = fake_with(Fault::on("GET /droplets/{id}", harm.clone()).times(4)).await;
        let found = provider(&fake).server("4711").await;
        assert!(matches!(found, Ok(None)), "{harm:?}: {found:?}");
        assert_eq!(fake.count("GET /droplets/{id}"), 5, "{harm:?}");
    }
}

#[tokio::test]
async fn reading_ends_as_unavailable_when_nothing_passes() {
    for harm in [Harm::refuse(500, "server_error"), Harm::Html(502), Harm::Cut, Harm::Silence] {
        let fake = fake_with(Fault::on("GET /droplets", harm.clone()).always()).await;
        let provider = provider_with(&fake, impatient(&harm));
        let error = provider.find_server(&identity(), &name()).await.unwrap_err();
        assert_eq!(code(&error), "unavailable", "{harm:?}: {error}");
        assert_eq!(fake.count("GET /droplets"), 2, "{harm:?}");
    }
}

#[tokio::test]
async fn an_order_that_is_told_to_wait_is_sent_again() {
    let harm = Harm::Refuse { status: 429, code: "too_many_requests", retry_after: Some("0") };
    let fake = fake_with(Fault::on("POST /droplets", harm).times(2)).await;
    provider(&fake).create_server(&order()).await.unwrap();
    assert_eq!((fake.count("POST /droplets"), fake.droplets_ordered()), (3, 1));
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_told_instead_of_waited() {
    let harm = Harm::Refuse { status: 429, code: "too_many_requests", retry_after: Some("1800") };
    let fake = fake_with(Fault::on("POST /droplets", harm).always()).await;
    let error = provider(&fake).create_server(&order()).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::RateLimited { message, retry_after: Some(wait) }
        if wait.as_secs() == 1800 && message.contains("1800 s")),
        "{error:?}"
    );
    assert_eq!(fake.count("POST /droplets"), 1);
}

#[tokio::test]
async fn the_tokens_own_limit_is_told_with_when_it_ends() {
    let fake = FakeDigitalOcean::start(Options { rate_limit: 0, ..Options::default() }).await;
    let error = provider(&fake).verify().await.unwrap_err();
    assert_eq!(code(&error), "rate_limited");
    assert!(error.to_string().contains("API rate limit exceeded."), "{error}");
}

#[tokio::test]
async fn checking_the_token_takes_no_longer_than_allowed() {
    let fake = fake_with(Fault::on("GET /account", Harm::Silence).always()).await;
    let mut options = quick();
    options.verify_timeout = Duration::from_millis(50);
    let error = provider_with(&fake, options).verify().await.unwrap_err();
    assert_eq!(code(&error), "unavailable", "{error}");
}

#[tokio::test]
async fn a_wrong_token_is_told_with_what_to_do_and_without_itself() {
    let fake = fake().await;
    let token = SecretString::from("wrong-and-secret".to_owned());
    let provider = DigitalOcean::new(token, Some(&fake.url()), quick()).unwrap();
    let error = provider.verify().await.unwrap_err();
    assert_eq!(code(&error), "invalid_credentials");
    let message = error.to_string();
    assert!(message.contains("make a new token") && !message.contains("secret"), "{message}");
}

#[tokio::test]
async fn a_token_that_lacks_a_scope_is_told_at_its_first_use() {
    let fake = fake().await;
    let token = SecretString::from(fake.read_only_token());
    let provider = DigitalOcean::new(token, Some(&fake.url()), quick()).unwrap();
    provider.verify().await.unwrap();
    let error = provider.ensure_ssh_key(&key("web-1")).await.unwrap_err();
    assert_eq!(code(&error), "access_denied");
    assert!(error.to_string().contains("scopes"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_ordered_is_told() {
    let fake = FakeDigitalOcean::start(Options { droplet_limit: 1, ..Options::default() }).await;
    let provider = provider(&fake);
    for (size, region, image, key, seen, word) in [
        ("s-9vcpu", "fra1", "debian-12-x64", None, "invalid_argument", "invalid size"),
        ("s-1vcpu-1gb", "mars1", "debian-12-x64", None, "invalid_argument", "invalid region"),
        ("s-1vcpu-1gb", "fra1", "windows-95", None, "invalid_argument", "invalid image"),
        ("s-1vcpu-1gb", "fra1", "debian-12-x64", Some("1"), "invalid_argument", "key identifiers"),
        ("s-1vcpu-1gb", "nyc2", "debian-12-x64", None, "no_capacity", "another region"),
        ("s-2vcpu-4gb", "ams3", "debian-12-x64", None, "no_capacity", "another region"),
    ] {
        let mut wanted = order();
        wanted.server_type = size.to_owned();
        wanted.region = region.to_owned();
        wanted.image = image.to_owned();
        wanted.ssh_keys = key.into_iter().map(str::to_owned).collect();
        let error = provider.create_server(&wanted).await.unwrap_err();
        assert_eq!(code(&error), seen, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    provider.create_server(&order()).await.unwrap();
    let error = provider.create_server(&order()).await.unwrap_err();
    assert_eq!((code(&error).as_str(), fake.droplets_ordered()), ("quota_exceeded", 1));
}

#[tokio::test]
async fn an_endpoint_that_is_no_address_is_refused() {
    for endpoint in ["nowhere", "ftp://example.com", "http://"] {
        let token = SecretString::from("token".to_owned());
        let error = DigitalOcean::new(token, Some(endpoint), quick()).map(|_| ()).unwrap_err();
        assert_eq!(code(&error), "invalid_argument", "{endpoint}: {error}");
    }
}
