//! Orders: sent once, and found again when their answer was lost, however late their tags show.

use std::collections::BTreeMap;
use std::time::Duration;

use tests::fake_digitalocean::{FakeDigitalOcean, Fault, Harm, Options};
use windlass::model::names::Identity;
use windlass::providers::{MachineStatus, Provider, ProviderError};

use super::{
    KEY, LONG, code, fake, fake_with, identity, impatient, key, name, order, provider,
    provider_with, quick,
};

/// Before the job of all these tests was made.
const BEFORE: &str = "2026-11-22T10:00:00Z";
/// Since then.
const SINCE: &str = "2026-11-22T12:00:05Z";

async fn late(tags_after_looks: u32) -> FakeDigitalOcean {
    FakeDigitalOcean::start(Options { tags_after_looks, ..Options::default() }).await
}

#[tokio::test]
async fn a_droplet_is_tagged_and_told_its_keys_by_the_order_itself() {
    let fake = fake().await;
    let provider = provider(&fake);
    let stored = provider.ensure_ssh_key(&key("web-1")).await.unwrap();
    let fingerprint = "65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd".to_owned();
    let mut wanted = order();
    wanted.ssh_keys = vec![stored.id.clone(), fingerprint];
    let machine = provider.create_server(&wanted).await.unwrap();
    assert_eq!((machine.status, machine.actions.len()), (MachineStatus::Booting, 1));
    let labels = [
        (Identity::JOB_LABEL, "job_20261122_120000_a1b2c3"),
        (Identity::EFFECT_LABEL, "2"),
        ("windlass", "job_20261122_120000_a1b2c3-2"),
    ];
    let labels: BTreeMap<String, String> =
        labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    assert_eq!(machine.labels, labels);
    let droplet = fake.droplets().remove(0);
    let id: u64 = stored.id.parse().unwrap();
    assert_eq!((droplet.name.as_str(), droplet.keys), ("web-1", vec![id, id]));
    assert!(droplet.user_data.starts_with("#cloud-config\n") && droplet.user_data.contains(KEY));
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found_and_made_once() {
    for harm in [Harm::Cut, Harm::Html(502), Harm::refuse(500, "server_error"), Harm::Silence] {
        let fake = fake_with(Fault::on("POST /droplets", harm.clone()).after_work()).await;
        let provider = provider_with(&fake, impatient(&harm));
        let error = provider.create_server(&order()).await.unwrap_err();
        assert!(matches!(error, ProviderError::OutcomeUnknown { .. }), "{harm:?}: {error:?}");
        let found = provider.find_server(&identity(), &name()).await.unwrap().unwrap();
        let running = provider.wait_running(&found.id, &found.actions, LONG).await.unwrap();
        assert_eq!((running.name.as_str(), running.status), ("web-1", MachineStatus::Running));
        assert_eq!((fake.count("POST /droplets"), fake.droplets_ordered()), (1, 1), "{harm:?}");
    }
}

#[tokio::test]
async fn a_droplet_whose_tags_show_late_is_waited_for() {
    let fake = late(20).await;
    fake.inject(Fault::on("POST /droplets", Harm::Cut).after_work());
    let mut options = quick();
    (options.order_settles, options.tags_settle) = (Duration::ZERO, LONG);
    let provider = provider_with(&fake, options);
    provider.create_server(&order()).await.unwrap_err();
    let found = provider.find_server(&identity(), &name()).await.unwrap().unwrap();
    assert_eq!(found.id, fake.droplets()[0].id.to_string());
    // Each look asks twice, by tag and by name.
    assert!(fake.count("GET /droplets") >= 20, "{:?}", fake.requests());
    assert_eq!(fake.droplets_ordered(), 1);
}

#[tokio::test]
async fn a_droplet_whose_tags_never_show_is_for_a_person_to_tell() {
    let fake = late(u32::MAX).await;
    fake.inject(Fault::on("POST /droplets", Harm::Cut).after_work());
    let provider = provider(&fake);
    provider.create_server(&order()).await.unwrap_err();
    let error = provider.find_server(&identity(), &name()).await.unwrap_err();
    assert_eq!(code(&error), "outcome_unknown");
    let id = fake.droplets()[0].id.to_string();
    let tag = "`windlass:job_20261122_120000_a1b2c3-2`";
    assert!(error.to_string().contains(&id) && error.to_string().contains(tag), "{error}");
}

#[tokio::test]
async fn an_order_that_never_arrived_is_looked_for_more_than_once() {
    let fake = fake_with(Fault::on("POST /droplets", Harm::Cut)).await;
    let provider = provider(&fake);
    provider.create_server(&order()).await.unwrap_err();
    assert_eq!(provider.find_server(&identity(), &name()).await.unwrap(), None);
    assert!(fake.count("GET /droplets") >= 4, "{:?}", fake.requests());
    provider.create_server(&order()).await.unwrap();
    assert_eq!(fake.droplets_ordered(), 1);
}

#[tokio::test]
async fn of_two_droplets_of_one_name_the_strangers_is_left_alone() {
    let fake = late(3).await;
    let old = fake.add_droplet("web-1", &[], BEFORE);
    let tagged = fake.add_droplet("WEB-1", &["env:prod"], SINCE);
    let provider = provider(&fake);
    assert_eq!(provider.find_server(&identity(), &name()).await.unwrap(), None);
    fake.inject(Fault::on("POST /droplets", Harm::Cut).after_work());
    provider.create_server(&order()).await.unwrap_err();
    let found = provider.find_server(&identity(), &name()).await.unwrap().unwrap();
    assert!(![old, tagged].map(|id| id.to_string()).contains(&found.id));
    provider.delete_server(&found.id).await.unwrap();
    let left: Vec<u64> = fake.droplets().iter().map(|droplet| droplet.id).collect();
    assert_eq!(left, [old, tagged]);
}

#[tokio::test]
async fn only_the_droplet_of_the_identity_is_found() {
    let fake = fake().await;
    let job = "windlass-job:job_20261122_120000_a1b2c3";
    fake.add_droplet("web-1", &[job, "windlass-effect:1"], SINCE);
    assert_eq!(provider(&fake).find_server(&identity(), &name()).await.unwrap(), None);
    let ours = fake.add_droplet("renamed", &["windlass:job_20261122_120000_a1b2c3-2"], SINCE);
    let found = provider(&fake).find_server(&identity(), &name()).await.unwrap().unwrap();
    assert_eq!(found.id, ours.to_string());
}

#[tokio::test]
async fn two_droplets_of_one_order_are_for_a_person_to_tell_apart() {
    let fake = fake().await;
    let tag = "windlass:job_20261122_120000_a1b2c3-2";
    let both = [(); 2].map(|()| fake.add_droplet("web-1", &[tag], SINCE).to_string());
    let error = provider(&fake).find_server(&identity(), &name()).await.unwrap_err();
    assert_eq!(code(&error), "conflict");
    assert!(both.iter().all(|id| error.to_string().contains(id)), "{error}");
}

#[tokio::test]
async fn a_droplet_is_found_among_more_than_a_page_of_its_name() {
    let fake = fake().await;
    for _ in 0..250 {
        fake.add_droplet("web-1", &["env:prod"], BEFORE);
    }
    let job = ["windlass-job:job_20261122_120000_a1b2c3", "windlass-effect:2"];
    let ours = fake.add_droplet("web-1", &job, SINCE);
    let found = provider(&fake).find_server(&identity(), &name()).await.unwrap().unwrap();
    assert_eq!(found.id, ours.to_string());
    assert_eq!(fake.count("GET /droplets"), 3, "one by tag, two pages by name");
}

#[tokio::test]
async fn what_could_not_be_found_again_is_not_ordered() {
    let fake = fake().await;
    let mut wanted = order();
    wanted.server_type = "gpu-h100x1-80gb".to_owned();
    let error = provider(&fake).create_server(&wanted).await.unwrap_err();
    assert_eq!(code(&error), "unsupported");
    wanted = order();
    wanted.boot.authorized_key = format!("ssh-rsa {}", "A".repeat(64 * 1024));
    let error = provider(&fake).create_server(&wanted).await.unwrap_err();
    assert_eq!(code(&error), "invalid_argument");
    assert!(fake.requests().is_empty());
}
