//! Trying again: what is known is not done twice, what may be there is looked for, and what cannot
//! be tried again says why.

mod classes;
mod commands;

use reqwest::Method;
use serde_json::{Value, json};
use tests::fake_hetzner::{self, FakeHetzner, Fault, Harm};
use tests::host_process::TestHost;
use tests::workshop::{Workshop, code, result};
use windlass::model::job::JobStatus;
use windlass::model::retry::{RetriedEffect, RetryFrom, Reuse};

const ORDER: &str = "POST /servers";

/// A host that buys at a Hetzner of our own, which this often does not say how orders get on.
async fn host_with_failures(times: usize) -> (TestHost, FakeHetzner) {
    let (cloud, host) = FakeHetzner::with_host(fake_hetzner::Options::default()).await;
    let harm = Harm::refuse(403, "forbidden");
    cloud.inject(Fault::on("GET /actions", harm).times(times));
    (host, cloud)
}

async fn failed_create(host: &TestHost, keep: bool) -> String {
    let order = json!({
        "name": "web-1", "server_type": "cx23", "region": "nbg1", "keep_on_failure": keep,
    });
    let id = host.submit(Method::POST, "/api/servers", Some(order)).await;
    host.wait_for(&id, "failed").await;
    id
}

async fn retry(host: &TestHost, id: &str, body: Value) -> Value {
    let (status, answer) = host.post(&format!("/api/jobs/{id}/retry"), body).await;
    assert_eq!(status, 202, "{answer:#}");
    answer
}

/// Waits until a job is in this step.
async fn see_step(host: &TestHost, job: &str, step: &str) {
    let mut events = host.events(job, 0).await;
    while let Some(event) = events.next().await {
        if event.name == "step" && event.content["step"] == step {
            return;
        }
    }
    panic!("{job} ended before `{step}`: {:#}", host.get(&format!("/api/jobs/{job}")).await.1);
}

async fn refused(host: &TestHost, id: &str, body: Value) -> (u16, String) {
    let (status, answer) = host.post(&format!("/api/jobs/{id}/retry"), body).await;
    let words = answer["error"].as_str().unwrap_or_default();
    assert!(words.ends_with('.') && words.len() > 20, "no sentence: {answer:#}");
    (status, answer["code"].as_str().unwrap_or_default().to_owned())
}

fn told(effects: &[RetriedEffect]) -> Vec<(&str, Reuse)> {
    effects.iter().map(|effect| (effect.function.as_str(), effect.how)).collect()
}

#[tokio::test]
async fn a_failed_step_is_done_again_and_the_steps_before_it_are_not() {
    let workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    let failed = workshop.run_on("web-1", "works-in-steps").await;
    assert_eq!(code(&failed), "no_way");
    result(&workshop.run_on("web-1", "opens-the-way").await);

    let (_, effects) = workshop.new_retry(&failed.id, RetryFrom::FailedStep, None).await;
    let wanted = [
        ("ssh.exec", Reuse::Reused),
        ("ssh.upload", Reuse::Reused),
        ("ssh.exec", Reuse::Anew),
        ("ssh.exec", Reuse::Anew),
    ];
    assert_eq!(told(&effects), wanted);
    let id = workshop.retry(&failed.id, RetryFrom::FailedStep, None).await;
    let job = workshop.finished(&id).await;
    assert_eq!(result(&job)["id"], failed.id.to_string(), "the chain's first job");
    assert_eq!((job.plugin, job.retry_of), (failed.plugin, Some(failed.id)));
    let log = workshop.log(&id).await;
    assert!(log.iter().any(|line| line.contains("after `First`")), "{log:?}");
    assert!(!log.contains(&"in the first step".to_owned()), "{log:?}");
    assert_eq!(job.view.steps_completed, ["Misbehave", "First", "Second"]);
}

#[tokio::test]
async fn what_a_job_did_once_it_was_told_to_end_is_no_step_to_go_on_at() {
    let workshop = Workshop::open().await;
    let first = workshop.submit("waits-and-cleans-up").await;
    workshop.says(&first, "waiting").await;
    let ended = workshop.cancel(&first).await;
    assert_eq!(ended.view.current_step.as_deref(), Some("Clean up"));
    let again = workshop.retry(&first, RetryFrom::FailedStep, None).await;
    // It waits anew, and is not told once more that somebody cancelled the job before.
    workshop.says(&again, "waiting").await;
    assert_eq!(workshop.cancel(&again).await.view.steps_completed, ["Misbehave"]);
}

#[tokio::test]
async fn a_retry_of_a_retry_goes_on_from_both() {
    let workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    let first = workshop.run_on("web-1", "works-in-steps").await;
    let second = workshop.retry(&first.id, RetryFrom::FailedStep, None).await;
    assert_eq!(code(&workshop.finished(&second).await), "no_way");
    result(&workshop.run_on("web-1", "opens-the-way").await);
    let third = workshop.retry(&second, RetryFrom::FailedStep, None).await;
    let job = workshop.finished(&third).await;
    assert_eq!(result(&job)["id"], first.id.to_string());
    assert_eq!(job.root, first.id);
}

#[tokio::test]
async fn a_retry_goes_on_from_its_own_journal_when_the_host_dies() {
    let workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    let first = workshop.run_on("web-1", "works-in-steps").await;
    result(&workshop.run_on("web-1", "opens-the-way").await);
    let id = workshop.retry(&first.id, RetryFrom::FailedStep, None).await;
    let before = result(&workshop.finished(&id).await).clone();
    workshop.store.close().await;
    tests::journal::reopen(&workshop.database(), &id);
    let workshop = workshop.restart().await;
    let again = workshop.finished(&id).await;
    assert_eq!((again.status, again.attempt), (JobStatus::Completed, 2));
    assert_eq!(result(&again), &before, "the clock of the first job is seen again");
}

#[tokio::test]
async fn from_the_start_all_is_done_anew() {
    let workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    let failed = workshop.run_on("web-1", "works-in-steps").await;
    let id = workshop.retry(&failed.id, RetryFrom::Start, None).await;
    let job = workshop.finished(&id).await;
    assert_eq!(code(&job), "twice", "its receipts are not those of the first job");
}

#[tokio::test]
async fn a_server_that_was_kept_is_adopted_from_the_start() {
    let (host, cloud) = host_with_failures(1).await;
    let first = failed_create(&host, true).await;
    let answer = retry(&host, &first, json!({ "from": "start" })).await;
    assert_eq!(answer["retry_of"], first);
    let create = answer["effects"].as_array().unwrap().iter();
    let create = create.map(|it| (it["function"].as_str().unwrap(), it["how"].as_str().unwrap()));
    let wanted = [("servers.ensure-ssh-key", "anew"), ("servers.create", "looked_up")];
    assert_eq!(create.collect::<Vec<_>>(), wanted);
    let id = answer["job_id"].as_str().unwrap();
    see_step(&host, id, "Check SSH").await;
    assert_eq!((cloud.servers_ever(), cloud.count(ORDER)), (1, 1), "bought once");
    assert_eq!(host.get("/api/servers/web-1").await.1["status"], "creating");
    // Cancelled, it takes away what the first job made.
    host.delete(&format!("/api/jobs/{id}")).await;
    let job = host.wait_for(id, "cancelled").await;
    assert_eq!(job["failure"]["effects"], json!([]), "{job:#}");
    assert_eq!(cloud.servers().len() + cloud.key_names().len(), 0, "something is left");
}

#[tokio::test]
async fn what_was_cleaned_up_is_made_again_although_only_a_later_step_failed() {
    let (host, cloud) = host_with_failures(1).await;
    let first = failed_create(&host, false).await;
    assert_eq!(host.get("/api/servers/web-1").await.0, 404);
    let job = host.get(&format!("/api/jobs/{first}")).await.1;
    assert_eq!(job["failure"]["effects"], json!([]), "nothing remains: {job:#}");
    let answer = retry(&host, &first, json!({})).await;
    assert!(answer["effects"].as_array().unwrap().iter().all(|it| it["how"] != "reused"));
    let id = answer["job_id"].as_str().unwrap();
    see_step(&host, id, "Check SSH").await;
    assert_eq!((cloud.servers_ever(), cloud.servers().len()), (2, 1));
}

#[tokio::test]
async fn what_cannot_be_tried_again_says_why() {
    let host = TestHost::start().await;
    let made = host.create_server("web-1").await;
    host.wait_for(&made, "completed").await;
    let refusal = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(refused(&host, &made, json!({})).await, refusal(409, "job_finished"));
    let unknown = "job_20200101_000000_abcdef";
    assert_eq!(refused(&host, unknown, json!({})).await, refusal(404, "no_such_job"));
    assert_eq!(refused(&host, &made, json!({"from": "middle"})).await.0, 422);
    assert_eq!(refused(&host, &made, json!({"form": "start"})).await.0, 422);
}

#[tokio::test]
async fn a_job_is_tried_again_once_and_only_while_nobody_else_has_its_server() {
    let (host, cloud) = host_with_failures(1).await;
    let first = failed_create(&host, true).await;
    let refusal = |code: &str| (409, code.to_owned());
    let resolve = json!({ "resolve": "happened" });
    assert_eq!(refused(&host, &first, resolve).await, refusal("nothing_to_resolve"));
    let second = retry(&host, &first, json!({ "from": "start" })).await;
    let second = second["job_id"].as_str().unwrap();
    assert_eq!(refused(&host, &first, json!({})).await, refusal("already_retried"));
    assert_eq!(refused(&host, second, json!({})).await, refusal("job_not_finished"));
    see_step(&host, second, "Check SSH").await;
    host.delete(&format!("/api/jobs/{second}")).await;
    host.wait_for(second, "cancelled").await;

    // The name is given to another server: the job is not about that one.
    cloud.inject(Fault::on("GET /actions", Harm::refuse(403, "forbidden")));
    let other = failed_create(&host, true).await;
    assert_eq!(refused(&host, second, json!({})).await, refusal("server_exists"));
    let delete = host.submit(Method::DELETE, "/api/servers/web-1", None).await;
    let busy = refused(&host, &other, json!({ "from": "start" })).await;
    host.wait_for(&delete, "completed").await;
    assert!(busy == refusal("server_busy"), "{busy:?}");
}

#[tokio::test]
async fn the_same_key_is_the_same_retry() {
    let (host, _cloud) = host_with_failures(1).await;
    let first = failed_create(&host, true).await;
    let path = format!("/api/jobs/{first}/retry");
    let ask = || async {
        let request = host.request(Method::POST, &path).header("Idempotency-Key", "again");
        host.answer(request).await
    };
    let (one, two) = (ask().await, ask().await);
    assert_eq!((one.0, &one.1), (202, &two.1));
}

#[tokio::test]
async fn a_retry_whose_plugin_is_gone_says_so() {
    let mut host = TestHost::start().await;
    let id = host.create_server("web-1").await;
    host.wait_for(&id, "completed").await;
    host.terminate().await;
    tests::journal::fail_with_another_plugin(&host.home().join("windlass.db"), &id);
    host.restart().await;
    let gone = refused(&host, &id, json!({})).await;
    assert_eq!(gone, (409, "plugin_missing".to_owned()));
    let answer = retry(&host, &id, json!({ "from": "start" })).await;
    host.wait_for(answer["job_id"].as_str().unwrap(), "completed").await;
}
