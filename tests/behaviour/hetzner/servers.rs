//! Ordering, waiting for and deleting servers, when all goes well and when it does not.

use std::collections::BTreeMap;

use tests::fake_hetzner::{FakeHetzner, Fault, Harm, Options, Pace};
use windlass::model::names::Identity;
use windlass::providers::{MachineStatus, Provider, ProviderError};

use super::{
    LONG, SHORT, fake, fake_with, identity, impatient, key, order, provider, provider_with,
};

#[tokio::test]
async fn a_server_is_ordered_waited_for_and_deleted() {
    let fake = fake().await;
    let provider = provider(&fake);
    let stored = provider.ensure_ssh_key(&key("web-1")).await.unwrap();
    let mut wanted = order("web-1");
    wanted.ssh_keys = vec![stored.id];

    let ordered = provider.create_server(&wanted).await.unwrap();
    assert_eq!((ordered.status, ordered.actions.len()), (MachineStatus::Booting, 2));
    let running = provider.wait_running(&ordered.id, &ordered.actions, LONG).await.unwrap();
    assert_eq!((running.status, running.ipv4), (MachineStatus::Running, ordered.ipv4));
    assert_eq!(
        provider.find_server(&identity(), &order("web-1").name).await.unwrap(),
        Some(running.clone())
    );

    provider.delete_server(&running.id).await.unwrap();
    assert_eq!(provider.server(&running.id).await.unwrap(), None);
    assert_eq!((fake.servers().len(), fake.servers_ever()), (0, 1));
}

#[tokio::test]
async fn a_server_is_labelled_and_told_its_keys_by_the_order_itself() {
    let fake = fake().await;
    provider(&fake).create_server(&order("web-1")).await.unwrap();
    let server = fake.servers().remove(0);
    assert_eq!(server.labels[Identity::JOB_LABEL], "job_20261122_120000_a1b2c3");
    assert_eq!(server.labels[Identity::EFFECT_LABEL], "2");
    assert!(server.user_data.starts_with("#cloud-config\n"));
    assert!(server.user_data.contains(super::KEY));
}

#[tokio::test]
async fn only_the_server_of_the_identity_is_found() {
    let fake = fake().await;
    let label = |effect: &str| {
        BTreeMap::from([
            (Identity::JOB_LABEL.to_owned(), identity().job.to_string()),
            (Identity::EFFECT_LABEL.to_owned(), effect.to_owned()),
        ])
    };
    fake.add_server("other", label("1"));
    assert_eq!(provider(&fake).find_server(&identity(), &order("web-1").name).await.unwrap(), None);
    let ours = fake.add_server("ours", label("2"));
    let found =
        provider(&fake).find_server(&identity(), &order("web-1").name).await.unwrap().unwrap();
    assert_eq!(found.id, ours.to_string());
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found_and_made_once() {
    for harm in [Harm::Cut, Harm::Html(502), Harm::refuse(500, "server_error"), Harm::Silence] {
        let fake = fake_with(Fault::on("POST /servers", harm.clone()).after_work()).await;
        let provider = provider_with(&fake, impatient(&harm));
        let error = provider.create_server(&order("web-1")).await.unwrap_err();
        assert!(matches!(error, ProviderError::OutcomeUnknown { .. }), "{harm:?}: {error:?}");
        assert_eq!(fake.count("POST /servers"), 1, "{harm:?}");
        let found = provider.find_server(&identity(), &order("web-1").name).await.unwrap().unwrap();
        assert_eq!(found.name, "web-1");
    }
}

#[tokio::test]
async fn an_order_that_is_sent_again_adopts_its_own_server() {
    let fake = fake().await;
    let provider = provider(&fake);
    let first = provider.create_server(&order("web-1")).await.unwrap();
    let second = provider.create_server(&order("web-1")).await.unwrap();
    assert_eq!(first.id, second.id);
    let running = provider.wait_running(&second.id, &second.actions, LONG).await.unwrap();
    assert_eq!(running.status, MachineStatus::Running);
    assert_eq!(fake.servers_ever(), 1);
}

#[tokio::test]
async fn an_order_that_timed_out_at_the_provider_is_repeated_and_adopted() {
    let fault = Fault::on("POST /servers", Harm::refuse(504, "timeout")).after_work();
    let fake = fake_with(fault).await;
    let ordered = provider(&fake).create_server(&order("web-1")).await.unwrap();
    assert_eq!((ordered.name.as_str(), fake.servers_ever()), ("web-1", 1));
    assert_eq!(fake.count("POST /servers"), 2);
}

#[tokio::test]
async fn a_refusal_after_a_try_that_may_have_worked_is_no_refusal() {
    let fault = Fault::on("POST /servers", Harm::refuse(504, "timeout")).after_work();
    let fake = fake_with(fault).await;
    fake.inject(Fault::on("POST /servers", Harm::refuse(403, "resource_limit_exceeded")));
    let error = provider(&fake).create_server(&order("web-1")).await.unwrap_err();
    assert!(matches!(error, ProviderError::OutcomeUnknown { .. }), "{error:?}");
}

#[tokio::test]
async fn a_strangers_server_is_never_adopted() {
    let fake = fake().await;
    let stranger = fake.add_server("web-1", BTreeMap::new());
    let error = provider(&fake).create_server(&order("web-1")).await.unwrap_err();
    assert!(matches!(&error, ProviderError::Conflict { message }
        if message.contains(&stranger.to_string()) && message.contains("choose another name")));
    assert_eq!(fake.servers().len(), 1);
}

#[tokio::test]
async fn an_action_that_fails_ends_the_wait_with_the_providers_words() {
    let harm = Harm::ActionFails { code: "no_space_left_in_location", message: "it is full" };
    let fake = fake_with(Fault::on("POST /servers", harm)).await;
    let provider = provider(&fake);
    let ordered = provider.create_server(&order("web-1")).await.unwrap();
    // With the actions that the order told, and as for an adopted server, without.
    for actions in [ordered.actions.as_slice(), &[]] {
        let error = provider.wait_running(&ordered.id, actions, LONG).await.unwrap_err();
        assert!(
            matches!(&error, ProviderError::ActionFailed { message }
            if message.contains("it is full (no_space_left_in_location)")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_action_that_the_provider_forgot_is_an_error() {
    let fake = fake().await;
    let provider = provider(&fake);
    let ordered = provider.create_server(&order("web-1")).await.unwrap();
    fake.forget_actions();
    let error = provider.wait_running(&ordered.id, &ordered.actions, LONG).await.unwrap_err();
    assert!(matches!(error, ProviderError::ActionFailed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_boots_is_waited_for_no_longer_than_asked() {
    let fake = fake_with(Fault::on("POST /servers", Harm::NeverBoots)).await;
    let provider = provider(&fake);
    let ordered = provider.create_server(&order("web-1")).await.unwrap();
    let error = provider.wait_running(&ordered.id, &ordered.actions, SHORT).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Timeout { message }
        if message.contains("its status was `starting`")),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_action_that_goes_on_too_long_is_named() {
    let pace = Pace::Looks(u32::MAX);
    let fake = FakeHetzner::start(Options { pace, ..Options::default() }).await;
    let provider = provider(&fake);
    let ordered = provider.create_server(&order("web-1")).await.unwrap();
    let error = provider.wait_running(&ordered.id, &ordered.actions, SHORT).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Timeout { message }
        if message.contains("`create_server` was still running")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_boot_is_waited_for_while_the_api_is_away() {
    let fake = fake().await;
    let away = Harm::Html(503);
    let provider = provider_with(&fake, impatient(&away));
    let ordered = provider.create_server(&order("web-1")).await.unwrap();
    fake.inject(Fault::on("GET /actions", away).times(7));
    let running = provider.wait_running(&ordered.id, &ordered.actions, LONG).await.unwrap();
    assert_eq!(running.status, MachineStatus::Running);
}

#[tokio::test]
async fn a_server_deleted_by_somebody_else_is_not_waited_for() {
    let fake = fake().await;
    let error = provider(&fake).wait_running("4711", &[], LONG).await.unwrap_err();
    assert!(matches!(error, ProviderError::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn deleting_what_is_gone_is_fine() {
    let fake = fake().await;
    provider(&fake).delete_server("4711").await.unwrap();
}

#[tokio::test]
async fn a_locked_server_is_deleted_when_its_action_has_ended() {
    let pace = Pace::Looks(3);
    let fake = FakeHetzner::start(Options { pace, ..Options::default() }).await;
    let server = fake.add_server("web-1", BTreeMap::new());
    fake.keep_busy(server);
    provider(&fake).delete_server(&server.to_string()).await.unwrap();
    assert!(fake.servers().is_empty());
    assert_eq!(fake.count("DELETE /servers/{id}"), 2);
}

#[tokio::test]
async fn a_protected_server_stays() {
    let fake = fake().await;
    let server = fake.add_server("web-1", BTreeMap::new());
    fake.protect(server);
    let error = provider(&fake).delete_server(&server.to_string()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused { code: "protected", .. }), "{error:?}");
    assert_eq!(fake.count("DELETE /servers/{id}"), 1);
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_is_sent_again() {
    let fake = fake_with(Fault::on("DELETE /servers/{id}", Harm::Cut).after_work()).await;
    let server = fake.add_server("web-1", BTreeMap::new());
    provider(&fake).delete_server(&server.to_string()).await.unwrap();
    assert!(fake.servers().is_empty());
}

#[tokio::test]
async fn a_deletion_that_fails_says_why() {
    let harm = Harm::ActionFails { code: "action_failed", message: "the host is on fire" };
    let fake = fake_with(Fault::on("DELETE /servers/{id}", harm)).await;
    let server = fake.add_server("web-1", BTreeMap::new());
    let error = provider(&fake).delete_server(&server.to_string()).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::ActionFailed { message }
        if message.contains("the host is on fire")),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_id_that_is_no_number_is_not_sent() {
    let fake = fake().await;
    let error = provider(&fake).delete_server("1/actions/poweroff").await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused { code: "invalid_argument", .. }));
    assert!(fake.requests().is_empty());
}
