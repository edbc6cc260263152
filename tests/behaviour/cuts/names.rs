//! A name that is made, changed and deleted at the fake of Cloudflare, with the way there cut or the
//! host killed.

use secrecy::SecretString;
use serde_json::json;
use tests::fake_cloudflare::{FakeCloudflare, Options};
use tests::killable::KillableWorkshop;
use tests::proxy::{Proxy, Strike};
use tests::workshop::{Workshop, result};
use windlass::dns::cloudflare::Access;

use super::{is_struck_before, strikes};

/// Names things once, struck there. Answers how many bytes went to Cloudflare and back.
async fn run(strike: Option<Strike>) -> (u64, u64) {
    let cloudflare = FakeCloudflare::start(Options::default()).await;
    cloudflare.add_zone("example.com", "ours");
    let url = reqwest::Url::parse(&cloudflare.url()).unwrap();
    let proxy = Proxy::to(url.port().unwrap()).await;
    let mut endpoint = url;
    endpoint.set_port(Some(proxy.port())).unwrap();
    let mut workshop = Workshop::open().await;
    let access = Access::Token(SecretString::from(cloudflare.options().token.clone()));
    workshop.outside.domains.configure(access, Some(endpoint.to_string())).await.unwrap();
    workshop.stop().await;

    proxy.arm(strike);
    let mut process = KillableWorkshop::start(workshop.home(), "web-1", "names-things", &json!({}));
    let job = process.job().await;
    if is_struck_before(&proxy, strike, process.ended()).await {
        process.kill().await;
        proxy.cut();
    }
    let workshop = workshop.restart().await;
    let job = workshop.finished(&job).await;
    let said = result(&job);
    assert_eq!((&said["same"], &said["left"]), (&json!(true), &json!(0)), "{strike:?}: {said}");
    assert_eq!(said["found"], json!([["web-1.example.com", "198.18.0.8"]]), "{strike:?}");
    assert_eq!((cloudflare.records_ever(), cloudflare.records().len()), (1, 0), "{strike:?}");
    proxy.carried()
}

#[tokio::test]
async fn a_name_is_made_once_at_cloudflare_whatever_byte_is_the_last_to_arrive() {
    let carried = run(None).await;
    for strike in strikes(6, 100, carried) {
        run(Some(strike)).await;
    }
}
