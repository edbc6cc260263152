//! Servers at DigitalOcean: what the provider makes of everything that the API may answer.

mod catalogue;
mod crash;
mod droplets;
mod errors;
mod keys;
mod orders;

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use tests::fake_digitalocean::{FakeDigitalOcean, Fault, Harm, Options};
use windlass::model::failure::Failure;
use windlass::model::names::{Identity, ServerName};
use windlass::providers::cloud;
use windlass::providers::cloud::patience::Patience;
use windlass::providers::digitalocean::{self, DigitalOcean};
use windlass::providers::{Boot, NewMachine, ProviderError, PublicKey};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
const OTHER_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

/// Long enough for anything that is to happen, on a busy machine too.
const LONG: Duration = Duration::from_secs(20);
/// For what is never to happen.
const SHORT: Duration = Duration::from_secs(1);

async fn fake() -> FakeDigitalOcean {
    FakeDigitalOcean::start(Options::default()).await
}

async fn fake_with(fault: Fault) -> FakeDigitalOcean {
    let fake = fake().await;
    fake.inject(fault);
    fake
}

fn provider(fake: &FakeDigitalOcean) -> DigitalOcean {
    provider_with(fake, quick())
}

fn provider_with(fake: &FakeDigitalOcean, options: digitalocean::Options) -> DigitalOcean {
    let token = SecretString::from(fake.token().to_owned());
    DigitalOcean::new(token, Some(&fake.url()), options).unwrap()
}

/// Everything as usual, but without the waiting.
fn quick() -> digitalocean::Options {
    let backoff = Duration::from_millis(1);
    digitalocean::Options {
        cloud: cloud::Options {
            request_timeout: LONG,
            patience: Patience { backoff, ..Patience::default() },
            ..cloud::Options::default()
        },
        poll_interval: Duration::from_millis(20),
        verify_timeout: LONG,
        delete_timeout: LONG,
        delete_repeats: SHORT,
        order_settles: Duration::from_millis(100),
        tags_settle: SHORT,
    }
}

/// As `quick`, but giving up sooner, and soon where there will be no answer.
fn impatient(harm: &Harm) -> digitalocean::Options {
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

fn name() -> ServerName {
    "web-1".parse().unwrap()
}

fn order() -> NewMachine {
    NewMachine {
        name: name(),
        identity: identity(),
        server_type: "s-1vcpu-1gb".to_owned(),
        region: "fra1".to_owned(),
        image: "debian-12-x64".to_owned(),
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

/// What a plugin sees of the error, in one word.
fn code(error: &ProviderError) -> String {
    Failure::from(error.clone()).code
}
