//! What there is to be had, over all pages, and the token that it is asked for with.

use std::collections::BTreeMap;

use secrecy::SecretString;
use tests::fake_digitalocean::{FakeDigitalOcean, Fault, Harm, Options};
use windlass::providers::digitalocean::DigitalOcean;
use windlass::providers::{Provider, ProviderError};

use super::{code, fake, fake_with, provider, quick};

#[tokio::test]
async fn a_good_token_is_accepted() {
    let fake = fake().await;
    provider(&fake).verify().await.unwrap();
    assert_eq!(fake.requests(), BTreeMap::from([("GET /account".to_owned(), 1)]));
}

#[tokio::test]
async fn an_endpoint_may_have_the_version_in_it() {
    let fake = fake().await;
    for endpoint in [format!("{}/v2", fake.url()), format!("{}/v2/", fake.url())] {
        let token = SecretString::from(fake.token().to_owned());
        DigitalOcean::new(token, Some(&endpoint), quick()).unwrap().verify().await.unwrap();
    }
}

#[tokio::test]
async fn a_locked_account_is_told_with_its_reason() {
    let options = Options { account_status: "locked", ..Options::default() };
    let fake = FakeDigitalOcean::start(options).await;
    let error = provider(&fake).verify().await.unwrap_err();
    assert_eq!(code(&error), "access_denied");
    assert!(error.to_string().contains("pay first"), "{error}");
}

#[tokio::test]
async fn the_catalogue_has_what_is_to_be_had() {
    let fake = fake().await;
    let catalogue = provider(&fake).catalogue().await.unwrap();
    let sizes = &catalogue.server_types;
    let size = |name: &str| sizes.iter().find(|size| size.name == name);
    let small = size("s-1vcpu-1gb").unwrap();
    assert_eq!(small.available_in, ["nyc1", "nyc3", "ams3", "fra1"], "nyc2 is closed");
    let price = small.price_monthly.as_ref().unwrap();
    assert_eq!((price.amount.as_str(), price.currency.as_str()), ("6.00", "USD"));
    assert_eq!((small.cores, small.disk_gb, small.architecture.as_str()), (1, 25, "x86"));
    assert!((small.memory_gb - 1.0).abs() < f64::EPSILON);
    let bigger = size("s-2vcpu-4gb").unwrap();
    assert_eq!(bigger.available_in, ["nyc1", "nyc3", "fra1"], "the region does not have it");
    let old = size("512mb").unwrap();
    assert!(old.deprecated && old.available_in.is_empty());
    assert!(size("gpu-h100x1-80gb").is_none());
    let places: Vec<&str> = catalogue.locations.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(places, ["nyc1", "nyc3", "ams3", "fra1"]);
    let images: Vec<&str> = catalogue.images.iter().map(|it| it.name.as_str()).collect();
    assert!(images.contains(&"debian-12-x64") && !images.contains(&"docker-20-04"));
    assert!(
        catalogue.images.iter().all(|image| image.deprecated == (image.name == "fedora-40-x64"))
    );
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let fake = FakeDigitalOcean::start(Options { extra_sizes: 450, ..Options::default() }).await;
    let catalogue = provider(&fake).catalogue().await.unwrap();
    assert_eq!(catalogue.server_types.len(), 455);
    assert!(catalogue.server_types.iter().any(|size| size.name == "extra-450"));
    assert_eq!((fake.count("GET /sizes"), fake.count("GET /regions")), (3, 1));
}

#[tokio::test]
async fn a_list_that_does_not_advance_is_an_error() {
    let nowhere = Harm::NextPage("https://api.digitalocean.com/v2/sizes".to_owned());
    for harm in [Harm::SamePage, nowhere] {
        let fake = fake_with(Fault::on("GET /sizes", harm).always()).await;
        let error = provider(&fake).catalogue().await.unwrap_err();
        assert!(
            matches!(&error, ProviderError::Unavailable { message }
            if message.contains("do not advance")),
            "{error:?}"
        );
        assert_eq!(fake.count("GET /sizes"), 1);
    }
}

#[tokio::test]
async fn a_link_to_another_place_takes_the_token_nowhere() {
    let elsewhere = fake().await;
    let options = Options { extra_sizes: 200, ..Options::default() };
    let fake = FakeDigitalOcean::start(options).await;
    let link = format!("{}/v2/sizes?page=2&per_page=200", elsewhere.url());
    fake.inject(Fault::on("GET /sizes", Harm::NextPage(link)));
    let catalogue = provider(&fake).catalogue().await.unwrap();
    assert_eq!(catalogue.server_types.len(), 205);
    assert_eq!((fake.count("GET /sizes"), elsewhere.requests().len()), (2, 0));
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let fake = fake().await;
    let mut options = quick();
    options.cloud.max_answer_bytes = 1000;
    let error = super::provider_with(&fake, options).catalogue().await.unwrap_err();
    assert!(error.to_string().contains("longer than 1000 bytes"), "{error}");
}
