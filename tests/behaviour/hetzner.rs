//! Servers at Hetzner Cloud: what the provider makes of everything that the API may answer.

mod errors;
mod servers;

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use tests::fake_hetzner::{FakeHetzner, Fault, Harm, Options};
use windlass::model::names::Identity;
use windlass::providers::cloud;
use windlass::providers::cloud::patience::Patience;
use windlass::providers::hetzner::{self, Hetzner};
use windlass::providers::{Boot, NewMachine, Provider, ProviderError, PublicKey};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
const OTHER_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

/// Long enough for anything that is to happen, on a busy machine too.
const LONG: Duration = Duration::from_secs(20);
/// For what is never to happen.
const SHORT: Duration = Duration::from_secs(1);

async fn fake() -> FakeHetzner {
    FakeHetzner::start(Options::default()).await
}

async fn fake_with(fault: Fault) -> FakeHetzner {
    let fake = fake().await;
    fake.inject(fault);
    fake
}

fn provider(fake: &FakeHetzner) -> Hetzner {
    provider_with(fake, quick())
}

fn provider_with(fake: &FakeHetzner, options: hetzner::Options) -> Hetzner {
    let token = SecretString::from(fake.token().to_owned());
    Hetzner::new(token, Some(&fake.url()), options).unwrap()
}

/// Everything as usual, but without the waiting.
fn quick() -> hetzner::Options {
    let backoff = Duration::from_millis(1);
    hetzner::Options {
        cloud: cloud::Options {
            request_timeout: LONG,
            patience: Patience { backoff, ..Patience::default() },
            ..cloud::Options::default()
        },
        poll_interval: backoff,
        verify_timeout: LONG,
        delete_timeout: LONG,
        order_settles: SHORT,
    }
}

/// As `quick`, but giving up sooner, and soon where there will be no answer.
fn impatient(harm: &Harm) -> hetzner::Options {
    let mut options = quick();
    options.cloud.patience.tries = 2;
    if matches!(harm, Harm::Silence) {
        options.cloud.request_timeout = SHORT;
    }
    options
}

fn identity() -> Identity {
    Identity { job: "job_20261122_120000_a1b2c3".parse().unwrap(), effect: 2 }
}

fn order(name: &str) -> NewMachine {
    NewMachine {
        name: name.parse().unwrap(),
        identity: identity(),
        server_type: "cx23".to_owned(),
        region: "nbg1".to_owned(),
        image: "debian-12".to_owned(),
        ssh_keys: Vec::new(),
        boot: Boot {
            authorized_key: KEY.to_owned(),
            host_key: SecretString::from(
                "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n".to_owned(),
            ),
            host_key_public: OTHER_KEY.to_owned(),
        },
    }
}

fn key(name: &str) -> PublicKey {
    PublicKey { name: name.to_owned(), line: KEY.to_owned(), labels: BTreeMap::new() }
}

#[tokio::test]
async fn a_good_token_is_accepted() {
    let fake = fake().await;
    provider(&fake).verify().await.unwrap();
    assert_eq!(fake.requests(), BTreeMap::from([("GET /servers".to_owned(), 1)]));
}

#[tokio::test]
async fn the_catalogue_has_what_is_to_be_had() {
    let fake = fake().await;
    let catalogue = provider(&fake).catalogue().await.unwrap();
    let sizes = &catalogue.server_types;
    let size = |name: &str| sizes.iter().find(|size| size.name == name).unwrap();
    assert_eq!(size("cx33").available_in, ["nbg1", "hel1"]);
    assert_eq!(size("cx23").price_monthly.as_ref().unwrap().amount, "4.1531");
    assert_eq!(size("cx23").price_monthly.as_ref().unwrap().currency, "EUR");
    assert!(size("cx43").available_in.is_empty() && size("cx43").price_monthly.is_none());
    assert!(size("cpx31").deprecated && !size("cpx22").deprecated);
    let debian = catalogue.images.iter().find(|image| image.name == "debian-12").unwrap();
    assert_eq!(debian.architectures, ["x86", "arm"]);
    assert_eq!(catalogue.locations.len(), 6);
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let fake = FakeHetzner::start(Options { extra_images: 60, ..Options::default() }).await;
    let catalogue = provider(&fake).catalogue().await.unwrap();
    assert_eq!(catalogue.images.len(), 66);
    assert!(catalogue.images.iter().all(|image| image.architectures.len() == 2));
    assert_eq!(fake.count("GET /images"), 3);
}

#[tokio::test]
async fn a_list_that_does_not_advance_is_an_error() {
    let fake = fake_with(Fault::on("GET /images", Harm::SamePage).always()).await;
    let error = provider(&fake).catalogue().await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Unavailable { message }
        if message.contains("do not advance")),
        "{error:?}"
    );
    assert_eq!(fake.count("GET /images"), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let fake = fake().await;
    let mut options = quick();
    options.cloud.max_answer_bytes = 1000;
    let error = provider_with(&fake, options).catalogue().await.unwrap_err();
    assert!(error.to_string().contains("longer than 1000 bytes"), "{error}");
}

#[tokio::test]
async fn a_key_is_stored_once() {
    let fake = fake().await;
    let provider = provider(&fake);
    let first = provider.ensure_ssh_key(&key("web-1")).await.unwrap();
    let second = provider.ensure_ssh_key(&key("web-2")).await.unwrap();
    assert_eq!((&first, first.name.as_str()), (&second, "web-1"));
    assert_eq!(fake.count("POST /ssh_keys"), 1);
}

#[tokio::test]
async fn a_key_whose_name_is_another_keys_gets_a_new_name() {
    let fake = fake().await;
    fake.add_key("web-1", OTHER_KEY);
    let stored = provider(&fake).ensure_ssh_key(&key("web-1")).await.unwrap();
    assert_eq!(stored.name, "web-1-65962dfc");
    assert_eq!(fake.key_names(), ["web-1", "web-1-65962dfc"]);
}

#[tokio::test]
async fn a_key_whose_storing_got_no_answer_is_found() {
    let fake = fake_with(Fault::on("POST /ssh_keys", Harm::Cut).after_work()).await;
    let stored = provider(&fake).ensure_ssh_key(&key("web-1")).await.unwrap();
    assert_eq!(stored.name, "web-1");
    assert_eq!(fake.key_names(), ["web-1"]);
    assert_eq!(fake.count("POST /ssh_keys"), 2);
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
