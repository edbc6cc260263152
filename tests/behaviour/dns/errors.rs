//! Every error of the API's table, lost answers, limits, and credentials that are not good.

use std::time::Duration;

use secrecy::SecretString;
use tests::fake_cloudflare::{FakeCloudflare, Fault, Harm, Options};
use windlass::dns::Zones;
use windlass::dns::cloudflare::{Access, Cloudflare};
use windlass::providers::ProviderError;

use super::{
    CREATE, LIST, REPLACE, client, client_with, contents, fake, marker, owner, quick, wanted,
};

/// What the caller sees, in one word.
fn kind(error: &ProviderError) -> String {
    windlass::model::failure::Failure::from(error.clone()).code
}

async fn refused(access: Access, fake: &FakeCloudflare) -> String {
    let client = Cloudflare::new(&access, owner(), Some(&fake.url()), quick()).unwrap();
    let error = client.verify().await.unwrap_err();
    assert!(matches!(error, ProviderError::InvalidCredentials { .. }), "{error:?}");
    error.to_string()
}

fn token(text: &str) -> Access {
    Access::Token(SecretString::from(text.to_owned()))
}

fn key(email: &str, key: &str) -> Access {
    Access::Key { email: email.to_owned(), key: SecretString::from(key.to_owned()) }
}

#[tokio::test]
async fn both_ways_in_are_accepted() {
    let (fake, _) = fake().await;
    let told = fake.options().clone();
    for access in [token(&told.token), key(&told.email, &told.key)] {
        let client = Cloudflare::new(&access, owner(), Some(&fake.url()), quick()).unwrap();
        client.verify().await.unwrap();
        client.upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
    }
    assert_eq!(fake.records_ever(), 1);
}

#[tokio::test]
async fn swapped_credentials_are_told_as_what_they_look_like() {
    let (fake, _) = fake().await;
    let told = fake.options().clone();
    let message = refused(token(&told.key), &fake).await;
    assert!(message.contains("6003") && message.contains("Authorization header"), "{message}");
    assert!(message.contains("looks like a Global API Key"), "{message}");
    assert!(!message.contains(&told.key), "{message}");
    let message = refused(key(&told.email, &told.token), &fake).await;
    assert!(message.contains("X-Auth-Key") && message.contains("looks like an API token"));
    assert!(!message.contains(&told.token), "{message}");
}

#[tokio::test]
async fn wrong_credentials_are_told_with_what_to_do() {
    let (fake, _) = fake().await;
    let email = fake.options().email.clone();
    for (access, code) in [
        (token("a_token_of_the_right_shape_and_unknown_0"), "9109"),
        (token("short"), "6003"),
        (key(&email, "fffffffffffffffffffffffffffffffffffff"), "9103"),
        (key("other@example.com", &fake.options().key), "9103"),
    ] {
        let message = refused(access, &fake).await;
        assert!(message.contains(code) && message.contains("DNS:Edit"), "{message}");
    }
}

#[tokio::test]
async fn a_token_that_may_only_read_is_told_at_the_first_write() {
    let (fake, _) = fake().await;
    let access = token(&fake.options().read_only_token);
    let client = Cloudflare::new(&access, owner(), Some(&fake.url()), quick()).unwrap();
    client.verify().await.unwrap();
    let error = client.upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap_err();
    assert_eq!(kind(&error), "invalid_credentials");
    assert!(error.to_string().contains("DNS:Edit"), "{error}");
}

#[tokio::test]
async fn refusals_are_told_at_once() {
    for (status, code, seen) in [
        (400, "6003", "invalid_credentials"),
        (400, "9106", "invalid_credentials"),
        (403, "9109", "invalid_credentials"),
        (403, "10000", "invalid_credentials"),
        (401, "4242", "invalid_credentials"),
        (403, "4242", "access_denied"),
        (400, "81053", "conflict"),
        (400, "81054", "conflict"),
        (400, "81045", "quota_exceeded"),
        (400, "9021", "invalid_argument"),
        (404, "7003", "not_found"),
        (200, "4242", "invalid_argument"),
    ] {
        let (fake, _) = fake().await;
        fake.inject(Fault::on(CREATE, Harm::refuse(status, code)).always());
        let error = client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap_err();
        assert_eq!((kind(&error).as_str(), fake.count(CREATE)), (seen, 1), "{status} {code}");
        assert!(error.to_string().contains(code), "{error}");
    }
}

#[tokio::test]
async fn a_list_that_says_no_in_a_good_answer_is_refused() {
    let (fake, _) = fake().await;
    fake.inject(Fault::on(LIST, Harm::refuse(200, "4242")).always());
    let error = client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap_err();
    assert!(error.to_string().contains("4242"), "{error}");
    assert_eq!(fake.writes(), 0);
}

#[tokio::test]
async fn a_lost_answer_to_a_new_record_makes_no_second_one() {
    for harm in [Harm::Cut, Harm::Html(502), Harm::Html(200), Harm::refuse(500, "1000")] {
        let (fake, _) = fake().await;
        fake.inject(Fault::on(CREATE, harm.clone()).after_work());
        let made = client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
        assert!(made.ours, "{harm:?}");
        assert_eq!((fake.records_ever(), fake.count(CREATE)), (1, 2), "{harm:?}");
    }
}

#[tokio::test]
async fn an_identical_record_counts_once_a_list_confirms_it() {
    for code in ["81057", "81058"] {
        let (fake, _) = fake().await;
        fake.inject(Fault::on(CREATE, Harm::refuse(400, code)).times(2));
        client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
        assert_eq!((fake.count(CREATE), fake.count(LIST)), (3, 3));
        fake.inject(Fault::on(REPLACE, Harm::refuse(400, code)).always());
        let error = client(&fake).upsert(&wanted("A", "192.0.2.2"), &marker()).await.unwrap_err();
        assert_eq!(kind(&error), "unavailable", "{error}");
    }
}

#[tokio::test]
async fn a_record_that_goes_while_it_is_changed_is_made_anew() {
    let (fake, _) = fake().await;
    client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
    fake.inject(Fault::on(REPLACE, Harm::refuse(404, "81044")));
    client(&fake).upsert(&wanted("A", "192.0.2.2"), &marker()).await.unwrap();
    assert_eq!(contents(&fake), ["A web.example.com 192.0.2.2"]);
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    for harm in [Harm::Html(502), Harm::Html(403), Harm::Cut, Harm::refuse(500, "1000")] {
        for request in [LIST, CREATE] {
            let (fake, _) = fake().await;
            fake.inject(Fault::on(request, harm.clone()).times(4));
            client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
            assert_eq!(fake.records_ever(), 1, "{request} {harm:?}");
        }
    }
}

#[tokio::test]
async fn pages_of_the_edge_end_as_unavailable() {
    let (fake, _) = fake().await;
    fake.inject(Fault::on(LIST, Harm::Html(521)).always());
    let error = client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap_err();
    assert_eq!((kind(&error).as_str(), fake.count(LIST)), ("unavailable", 5));
    assert!(error.to_string().contains("HTTP 521 and text/html"), "{error}");
}

#[tokio::test]
async fn a_limit_is_waited_for_as_long_as_it_says() {
    let (fake, _) = fake().await;
    let harm = Harm::Refuse { status: 429, code: "10100", retry_after: Some("0") };
    fake.inject(Fault::on(CREATE, harm).times(3));
    client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap();
    assert_eq!(fake.count(CREATE), 4);
}

#[tokio::test]
async fn a_limit_that_lasts_too_long_is_told_with_its_end() {
    let options = Options { rate_limit: 2, ..Options::default() };
    let fake = FakeCloudflare::start(options).await;
    fake.add_zone("example.com", "ours");
    let error = client(&fake).upsert(&wanted("A", "192.0.2.1"), &marker()).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::RateLimited { retry_after: Some(wait), message }
            if wait.as_secs() == 240 && message.contains("240 s")),
        "{error:?}"
    );
    assert_eq!(fake.records_ever(), 0);
}

#[tokio::test]
async fn checking_credentials_takes_no_longer_than_allowed() {
    let (fake, _) = fake().await;
    fake.inject(Fault::on("GET /zones", Harm::Silence).always());
    let mut options = quick();
    options.verify_timeout = Duration::from_millis(50);
    let error = client_with(&fake, options).verify().await.unwrap_err();
    assert_eq!(kind(&error), "unavailable", "{error}");
}
