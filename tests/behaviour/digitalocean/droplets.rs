//! Waiting for droplets and deleting them, when all goes well and when it does not.

use tests::fake_digitalocean::{FakeDigitalOcean, Fault, Harm, Options, Pace};
use windlass::providers::{MachineStatus, Provider, ProviderError};

use super::{LONG, SHORT, code, fake, fake_with, impatient, order, provider, provider_with, quick};

const MADE: &str = "2026-11-22T12:00:05Z";

#[tokio::test]
async fn a_droplet_is_ordered_waited_for_and_deleted_with_its_tags() {
    let fake = fake().await;
    let provider = provider(&fake);
    let ordered = provider.create_server(&order()).await.unwrap();
    assert_eq!((ordered.status, ordered.ipv4), (MachineStatus::Booting, None));
    let running = provider.wait_running(&ordered.id, &ordered.actions, LONG).await.unwrap();
    assert_eq!(running.status, MachineStatus::Running);
    assert_eq!(running.ipv4, Some(fake.droplets()[0].ipv4), "the public one");
    assert!(running.ipv6.is_some());
    assert_eq!(provider.server(&running.id).await.unwrap(), Some(running.clone()));

    provider.delete_server(&running.id).await.unwrap();
    assert_eq!(provider.server(&running.id).await.unwrap(), None);
    assert_eq!((fake.droplets().len(), fake.droplets_ordered()), (0, 1));
    assert_eq!(fake.tags(), ["windlass-effect:2"]);
    assert_eq!(fake.count("DELETE /droplets"), 0, "never by tag");
}

#[tokio::test]
async fn a_tag_that_another_droplet_has_is_kept() {
    let fake = fake().await;
    let tag = "windlass-job:job_20261122_120000_a1b2c3";
    let one = fake.add_droplet("web-1", &[tag, "env:prod"], MADE);
    fake.add_droplet("web-2", &[tag], MADE);
    provider(&fake).delete_server(&one.to_string()).await.unwrap();
    assert_eq!(fake.tags(), ["env:prod", tag]);
    assert_eq!(fake.droplets()[0].tags, [tag]);
}

#[tokio::test]
async fn tags_that_cannot_be_removed_hinder_nobody() {
    let fake =
        fake_with(Fault::on("GET /tags/{id}", Harm::refuse(403, "forbidden")).always()).await;
    let one = fake.add_droplet("web-1", &["windlass:job_20261122_120000_a1b2c3-2"], MADE);
    provider(&fake).delete_server(&one.to_string()).await.unwrap();
    assert!(fake.droplets().is_empty());
}

#[tokio::test]
async fn an_action_that_fails_ends_the_wait() {
    let harm = Harm::ActionFails { code: "", message: "" };
    let fake = fake_with(Fault::on("POST /droplets", harm)).await;
    let provider = provider(&fake);
    let ordered = provider.create_server(&order()).await.unwrap();
    // With the action that the order told, and as for an adopted droplet, without.
    for actions in [ordered.actions.as_slice(), &[]] {
        let error = provider.wait_running(&ordered.id, actions, LONG).await.unwrap_err();
        assert!(
            matches!(&error, ProviderError::ActionFailed { message }
            if message.contains("could not finish `create`")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_action_that_the_provider_forgot_is_told_by_the_droplet() {
    let fake = fake().await;
    let provider = provider(&fake);
    let ordered = provider.create_server(&order()).await.unwrap();
    provider.wait_running(&ordered.id, &ordered.actions, LONG).await.unwrap();
    fake.forget_actions();
    provider.wait_running(&ordered.id, &ordered.actions, LONG).await.unwrap();
    assert_eq!(fake.droplets_ordered(), 1);
}

#[tokio::test]
async fn a_droplet_that_never_boots_is_waited_for_no_longer_than_asked() {
    let fake = fake_with(Fault::on("POST /droplets", Harm::NeverBoots)).await;
    let provider = provider(&fake);
    let ordered = provider.create_server(&order()).await.unwrap();
    let error = provider.wait_running(&ordered.id, &ordered.actions, SHORT).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Timeout { message }
        if message.contains("its status was `new` and it had no public IPv4")),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_action_that_goes_on_too_long_is_named() {
    let pace = Pace::Looks(u32::MAX);
    let fake = FakeDigitalOcean::start(Options { pace, ..Options::default() }).await;
    let provider = provider(&fake);
    let ordered = provider.create_server(&order()).await.unwrap();
    let error = provider.wait_running(&ordered.id, &ordered.actions, SHORT).await.unwrap_err();
    assert_eq!(code(&error), "timeout");
    assert!(error.to_string().contains("`create` was still running"), "{error}");
}

#[tokio::test]
async fn a_boot_is_waited_for_while_the_api_is_away() {
    let fake = fake().await;
    let away = Harm::Html(503);
    let provider = provider_with(&fake, impatient(&away));
    let ordered = provider.create_server(&order()).await.unwrap();
    fake.inject(Fault::on("GET /actions/{id}", away).times(7));
    let running = provider.wait_running(&ordered.id, &ordered.actions, LONG).await.unwrap();
    assert_eq!(running.status, MachineStatus::Running);
}

#[tokio::test]
async fn a_droplet_deleted_by_somebody_else_is_not_waited_for() {
    let fake = fake().await;
    let error = provider(&fake).wait_running("4711", &[], LONG).await.unwrap_err();
    assert_eq!(code(&error), "not_found");
}

#[tokio::test]
async fn deleting_what_is_gone_is_fine() {
    let fake = fake().await;
    provider(&fake).delete_server("4711").await.unwrap();
    assert_eq!(fake.count("DELETE /droplets/{id}"), 0);
}

#[tokio::test]
async fn a_droplet_with_a_pending_event_is_deleted_when_that_has_ended() {
    let pace = Pace::Looks(3);
    let fake = FakeDigitalOcean::start(Options { pace, ..Options::default() }).await;
    let droplet = fake.add_droplet("web-1", &[], MADE);
    fake.keep_busy(droplet);
    provider(&fake).delete_server(&droplet.to_string()).await.unwrap();
    assert!(fake.droplets().is_empty());
    assert!(fake.count("DELETE /droplets/{id}") > 1);
}

#[tokio::test]
async fn a_droplet_that_is_always_busy_is_given_up() {
    let busy = "Droplet already has a pending event.";
    let harm = Harm::Say { status: 422, code: "unprocessable_entity", message: busy };
    let fake = fake_with(Fault::on("DELETE /droplets/{id}", harm).always()).await;
    let droplet = fake.add_droplet("web-1", &[], MADE);
    let mut options = quick();
    options.delete_timeout = SHORT;
    let deleted = provider_with(&fake, options).delete_server(&droplet.to_string()).await;
    assert_eq!(code(&deleted.unwrap_err()), "timeout");
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_is_sent_again() {
    let fake = fake_with(Fault::on("DELETE /droplets/{id}", Harm::Cut).after_work()).await;
    let droplet = fake.add_droplet("web-1", &[], MADE);
    provider(&fake).delete_server(&droplet.to_string()).await.unwrap();
    assert!(fake.droplets().is_empty());
}

#[tokio::test]
async fn a_deletion_that_came_to_nothing_is_asked_for_again() {
    let harm = Harm::ActionFails { code: "", message: "" };
    let fake = fake_with(Fault::on("DELETE /droplets/{id}", harm)).await;
    let droplet = fake.add_droplet("web-1", &[], MADE);
    provider(&fake).delete_server(&droplet.to_string()).await.unwrap();
    assert!(fake.droplets().is_empty());
    assert_eq!(fake.count("DELETE /droplets/{id}"), 2);
}

#[tokio::test]
async fn an_id_that_is_no_number_is_not_sent() {
    let fake = fake().await;
    let error = provider(&fake).delete_server("?tag_name=env:prod").await.unwrap_err();
    assert_eq!(code(&error), "invalid_argument");
    assert!(fake.requests().is_empty());
}
