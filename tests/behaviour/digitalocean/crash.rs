//! The whole way of a droplet through the real program, which is killed while it orders.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tests::fake_digitalocean::{FakeDigitalOcean, Fault, Harm, Options, Pace};
use tests::host_process::TestHost;
use tests::lab::Lab;

const ORDER: &str = "POST /droplets";
/// The lab's machines are shared with other tests and told apart by name.
const NAME: &str = "droplet-1";

/// A host that buys at this DigitalOcean, told so as its operator would.
async fn host_at(cloud: &FakeDigitalOcean) -> TestHost {
    let host = TestHost::start().await;
    let config = json!({ "name": "digitalocean", "token": cloud.token(), "endpoint": cloud.url() });
    let (status, answer) = host.post("/api/config/provider", config).await;
    assert_eq!((status, &answer["data"]["verified"]), (200, &json!(true)), "{answer}");
    host
}

async fn create(host: &TestHost) -> String {
    let body = json!({
        "name": NAME,
        "provider": "digitalocean",
        "server_type": "s-1vcpu-1gb",
        "region": "fra1",
        "image": "debian-12-x64",
    });
    host.submit(Method::POST, "/api/servers", Some(body)).await
}

async fn until_step(host: &TestHost, job: &str, step: &str) {
    let mut events = host.events(job, 0).await;
    loop {
        let event = events.next().await.unwrap_or_else(|| panic!("{job} ended before `{step}`"));
        if event.name == "step" && event.content["step"] == step {
            return;
        }
    }
}

/// The order is carried out and never answered; the host dies waiting, and starts again.
async fn kill_while_ordering(host: &mut TestHost, cloud: &FakeDigitalOcean) -> String {
    cloud.inject(Fault::on(ORDER, Harm::Silence).after_work());
    let job = create(host).await;
    cloud.until(|cloud| cloud.droplets_ordered() == 1).await;
    host.crash();
    host.restart().await;
    job
}

/// How the journal says that the order came to its end.
async fn recovered(host: &TestHost, job: &str) -> Value {
    let journal = host.get(&format!("/api/jobs/{job}/journal?limit=1000")).await.1;
    let entries = journal["entries"].as_array().unwrap();
    let is_it =
        |entry: &&Value| entry["kind"] == "outcome" && entry["function"] == "servers.create";
    entries.iter().find(is_it).unwrap_or_else(|| panic!("{journal:#}"))["recovered"].clone()
}

fn assert_nothing_is_left(cloud: &FakeDigitalOcean) {
    assert_eq!((cloud.count(ORDER), cloud.droplets_ordered()), (1, 1), "bought once");
    assert!(cloud.droplets().is_empty() && cloud.key_names().is_empty(), "nothing is left");
    assert_eq!(cloud.count("DELETE /droplets"), 0, "never by tag");
}

#[tokio::test]
async fn a_droplet_is_bought_once_although_the_host_dies_while_ordering_it() {
    let options = Options { pace: Pace::Looks(0), tags_after_looks: 2, ..Options::default() };
    let cloud = FakeDigitalOcean::start(options).await;
    let mut host = host_at(&cloud).await;
    let job = kill_while_ordering(&mut host, &cloud).await;
    // Nothing listens behind the fake, so this is as far as the server gets.
    until_step(&host, &job, "Check SSH").await;
    assert_eq!(recovered(&host, &job).await, "adopted");
    assert_eq!(cloud.droplets().len(), 1);
    let (_, server) = host.get(&format!("/api/servers/{NAME}")).await;
    assert_eq!(server["provider_id"], json!(cloud.droplets()[0].id.to_string()), "{server}");

    let (status, answer) = host.delete(&format!("/api/jobs/{job}")).await;
    assert!(status == 200 || status == 202, "{answer}");
    host.wait_for(&job, "cancelled").await;
    assert_nothing_is_left(&cloud);
}

#[tokio::test]
async fn a_real_machine_behind_a_droplet_is_made_used_and_deleted() {
    let Some(lab) = Lab::shared("a droplet with a real machine") else { return };
    let options = Options { machines: Arc::new(lab), tags_after_looks: 2, ..Options::default() };
    let cloud = FakeDigitalOcean::start(options).await;
    let mut host = host_at(&cloud).await;
    let job = kill_while_ordering(&mut host, &cloud).await;
    let made = host.wait_for(&job, "completed").await;
    assert!(made["result"]["system"].as_str().unwrap().starts_with("Linux "), "{made:#}");
    let delete = host.submit(Method::DELETE, &format!("/api/servers/{NAME}"), None).await;
    host.wait_for(&delete, "completed").await;
    assert_eq!(host.get(&format!("/api/servers/{NAME}")).await.0, 404);
    assert_nothing_is_left(&cloud);
}

#[tokio::test]
async fn the_catalogue_of_a_configured_provider_is_served() {
    let cloud = FakeDigitalOcean::start(Options::default()).await;
    let host = host_at(&cloud).await;
    let (status, answer) = host.get("/api/providers/server-types?provider=digitalocean").await;
    assert_eq!(status, 200, "{answer}");
    let price = &answer["server_types"][1]["price_monthly"];
    assert_eq!(price, &json!({ "amount": "6.00", "currency": "USD" }));
}

#[tokio::test]
async fn a_wrong_token_is_not_kept() {
    let cloud = FakeDigitalOcean::start(Options::default()).await;
    let host = TestHost::start().await;
    let config = json!({ "name": "digitalocean", "token": "wrong", "endpoint": cloud.url() });
    let (status, answer) = host.post("/api/config/provider", config).await;
    assert_eq!((status, &answer["code"]), (422, &json!("invalid_credentials")), "{answer}");
    let (status, answer) = host.get("/api/providers/images?provider=digitalocean").await;
    assert_eq!((status, &answer["code"]), (409, &json!("provider_not_configured")));
}
