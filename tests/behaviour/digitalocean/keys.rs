//! Public keys: stored once, found by fingerprint, nobody's deleted.

use tests::fake_digitalocean::{Fault, Harm};
use windlass::providers::Provider;

use super::{KEY, OTHER_KEY, code, fake, fake_with, key, provider};

#[tokio::test]
async fn a_key_is_stored_once_and_lists_of_keys_are_never_asked_for() {
    let fake = fake().await;
    let provider = provider(&fake);
    let first = provider.ensure_ssh_key(&key("web-1")).await.unwrap();
    let second = provider.ensure_ssh_key(&key("web-2")).await.unwrap();
    assert_eq!((&first, first.name.as_str()), (&second, "web-1"));
    assert_eq!((fake.count("POST /account/keys"), fake.count("GET /account/keys")), (1, 0));
}

#[tokio::test]
async fn a_key_whose_name_another_key_has_is_stored_beside_it() {
    let fake = fake().await;
    let other = fake.add_key("web-1", OTHER_KEY);
    let stored = provider(&fake).ensure_ssh_key(&key("web-1")).await.unwrap();
    assert_ne!(stored.id, other.to_string());
    assert_eq!(fake.key_names(), ["web-1", "web-1"]);
}

#[tokio::test]
async fn a_key_that_somebody_else_stored_is_used_as_it_is() {
    let fake = fake().await;
    let theirs = fake.add_key("theirs", KEY);
    let stored = provider(&fake).ensure_ssh_key(&key("web-1")).await.unwrap();
    assert_eq!((stored.id, stored.name.as_str()), (theirs.to_string(), "theirs"));
    assert_eq!(fake.key_names(), ["theirs"]);
}

#[tokio::test]
async fn a_key_that_is_stored_by_two_at_once_is_found() {
    let fake = fake_with(Fault::on("GET /account/keys/{id}", Harm::refuse(404, "not_found"))).await;
    let theirs = fake.add_key("theirs", KEY);
    let stored = provider(&fake).ensure_ssh_key(&key("web-1")).await.unwrap();
    assert_eq!(stored.id, theirs.to_string());
    assert_eq!(fake.count("POST /account/keys"), 1);
}

#[tokio::test]
async fn a_key_that_is_in_use_where_it_cannot_be_seen_is_a_conflict() {
    let hidden = Fault::on("GET /account/keys/{id}", Harm::refuse(404, "not_found")).always();
    let fake = fake_with(hidden).await;
    fake.add_key("theirs", KEY);
    let error = provider(&fake).ensure_ssh_key(&key("web-1")).await.unwrap_err();
    assert_eq!(code(&error), "conflict");
    assert!(error.to_string().contains("already in use on your account"), "{error}");
    assert_eq!(fake.key_names(), ["theirs"]);
}

#[tokio::test]
async fn a_key_whose_storing_got_no_answer_is_found() {
    let fake = fake_with(Fault::on("POST /account/keys", Harm::Cut).after_work()).await;
    let stored = provider(&fake).ensure_ssh_key(&key("web-1")).await.unwrap();
    assert_eq!(stored.name, "web-1");
    assert_eq!(fake.key_names(), ["web-1"]);
    assert_eq!(fake.count("POST /account/keys"), 2);
}

#[tokio::test]
async fn removing_a_key_twice_is_fine() {
    let fake = fake().await;
    let provider = provider(&fake);
    let stored = provider.ensure_ssh_key(&key("web-1")).await.unwrap();
    provider.delete_ssh_key(&stored.id).await.unwrap();
    provider.delete_ssh_key(&stored.id).await.unwrap();
    assert!(fake.key_names().is_empty());
}

#[tokio::test]
async fn an_id_that_is_no_number_is_not_sent() {
    let fake = fake().await;
    let error = provider(&fake).delete_ssh_key("1/../../droplets").await.unwrap_err();
    assert_eq!(code(&error), "invalid_argument");
    assert!(fake.requests().is_empty());
}
