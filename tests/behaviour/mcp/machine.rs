//! The story of a server told by a client that nobody here wrote, on a real machine: real Docker,
//! PostgreSQL, Redis and Traefik, and a stand-in for n8n that uses them as n8n does.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::agent_kit::AgentKit;
use tests::host_process::{TestHost, program};
use tests::lab::Lab;

use super::clients::{check_apps, told};
use crate::recipes::machine::{give_images, host_with_names, parts};
use crate::setup::machine::see;

const SERVER: &str = "story-1";
const MACHINE: &str = "windlass-story-1";
/// How long each act may take, and the whole.
const PATIENCE: Duration = Duration::from_secs(600);
const WHOLE: Duration = Duration::from_secs(1_800);

/// The job of this kind, once somebody asked for it.
async fn job_of(host: &TestHost, operation: &str) -> String {
    let path = format!("/api/jobs?type={operation}");
    let asked = async {
        let mut look = tokio::time::interval(Duration::from_millis(200));
        loop {
            look.tick().await;
            if let Some(id) = host.get(&path).await.1["jobs"][0]["job_id"].as_str() {
                return id.to_owned();
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, asked).await;
    found.unwrap_or_else(|_elapsed| panic!("nobody asked for {operation}: {}", host.log()))
}

/// Gives the machine its images as soon as it can take them, which is what a registry would do.
async fn stand_in_for_a_registry(lab: &Lab, host: &TestHost, traefik: &str) {
    let setup = job_of(host, "setup_server").await;
    see(host, &setup, "Deploy Traefik").await;
    let machine = lab.find(MACHINE).await.expect("the machine that was made");
    give_images(lab, &machine, (MACHINE, traefik)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pythons_sdk_tells_the_whole_story_of_a_real_machine() {
    const TEST: &str = "pythons_sdk_tells_the_whole_story_of_a_real_machine";
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: {TEST}: sets a real machine up, set SLOW_TESTS");
    }
    let (Some(lab), Some(kit)) = (Lab::shared(TEST), AgentKit::shared(TEST)) else { return };
    let Some(traefik) = parts(lab, TEST) else { return };
    let (host, cloudflare) = host_with_names(lab).await;
    let wanted = json!({
        "server": { "name": SERVER, "server_type": "medium", "region": "local" },
        "setup": { "ssl_email": "ops@example.com", "zone_name": "example.com", "subdomain": "lab" },
    });
    let mut client = kit.python("modern");
    client.arg(program().get_program()).arg("mcp").env("STORY", wanted.to_string());
    client.env("LIVCHAT_API_URL", host.url()).env("LIVCHAT_API_KEY", host.token());
    let began = Instant::now();
    let story =
        async { tokio::join!(told(client), stand_in_for_a_registry(lab, &host, &traefik)).0 };
    let story = tokio::time::timeout(WHOLE, story).await.expect("it comes to its end");
    println!("the story took {:?}", began.elapsed());
    for (job, took) in jobs(&host).await {
        println!("{took:>6} s  {job}");
    }
    assert_eq!((&story["version"], &story["left"]), (&json!("2026-07-28"), &json!([])));
    let forms = story["forms"].as_array().expect("forms");
    assert!(forms.len() == 4 && forms[3].to_string().contains(SERVER), "{story:#}");
    check_apps(&story);
    assert!(lab.find(MACHINE).await.is_err(), "the machine is destroyed");
    let left = cloudflare.records();
    assert!(left.is_empty(), "{left:?}");
}

/// What each job was and how many seconds it took, in order. All of them completed.
async fn jobs(host: &TestHost) -> Vec<(String, i64)> {
    let (_, all) = host.get("/api/jobs?limit=100").await;
    let all = all["jobs"].as_array().expect("jobs").iter().rev();
    let told = all.map(|job| {
        assert_eq!(job["status"], "completed", "{job:#}");
        let seconds = |at: &Value| {
            let at: jiff::Timestamp = at.as_str().expect("a time").parse().expect("a time");
            at.as_second()
        };
        let took = seconds(&job["completed_at"]) - seconds(&job["started_at"]);
        (job["type"].as_str().expect("a type").to_owned(), took)
    });
    told.collect()
}
