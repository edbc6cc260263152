//! A job whose time is over cleans up as a cancelled one does, and is said to have failed.

use serde_json::{Value, json};
use tests::host_process::TestHost;
use windlass::app::evidence::{self, LAST_WORDS};

/// A host on which a job has less time than a machine takes to boot.
async fn hasty() -> TestHost {
    let mut host = TestHost::start().await;
    // Later on, what has to be compiled first would have no time left.
    let first = host.create_server("web-0").await;
    host.wait_for(&first, "completed").await;
    host.terminate().await;
    let settings = [("WINDLASS_SANDBOX_PACE", "realistic"), ("WINDLASS_LIMIT_RUN_SECONDS", "3")];
    host.set(&settings);
    host.restart().await;
    host
}

/// The job ended since its time was over, and there is nothing of its server.
async fn left_nothing(host: &TestHost, job: &str, case: &str) -> Value {
    let job = host.wait_for(job, "failed").await;
    assert_eq!(job["failure"]["code"], "operation_timeout", "{case}: {job:#}");
    assert_eq!(job["failure"]["effects"], json!([]), "{case}: {job:#}");
    assert_eq!(host.get("/api/servers/web-1").await.0, 404, "{case}");
    let there = evidence::read(&host.home()).unwrap();
    let of = |server: &str| there.keys().filter(|what| what.contains(server)).count();
    assert!(of("web-0") > 0 && of("web-1") == 0, "{case}: {there:?}");
    job
}

#[tokio::test]
async fn a_server_that_takes_too_long_is_deleted() {
    let host = hasty().await;
    let job = host.create_server("web-1").await;
    let ended = left_nothing(&host, &job, "no crash").await;
    assert_eq!(ended["attempt"], 1);
    let (_, journal) = host.get(&format!("/api/jobs/{job}/journal")).await;
    let said = journal.to_string();
    assert!(said.contains("the time of this job is over") && !said.contains("somebody"), "{said}");
}

#[tokio::test]
async fn a_server_that_takes_too_long_is_kept_where_that_was_asked_for() {
    let host = hasty().await;
    let order = json!({
        "name": "web-1", "server_type": "cx23", "region": "nbg1", "image": "debian-12",
        "keep_on_failure": true,
    });
    let (status, accepted) = host.post("/api/servers", order).await;
    assert_eq!(status, 202, "{accepted}");
    let job = host.wait_for(accepted["job_id"].as_str().unwrap(), "failed").await;
    assert_eq!(job["failure"]["code"], "operation_timeout", "{job:#}");
    let left = job["failure"]["effects"].as_array().unwrap().iter();
    let left: Vec<&str> = left.map(|it| it["function"].as_str().unwrap()).collect();
    assert_eq!(left, ["servers.ensure-ssh-key", "servers.create"], "{job:#}");
    assert_eq!(host.get("/api/servers/web-1").await.0, 200);
}

/// Points of the first run at which its host dies once the time is over: before the plugin is known to
/// have been told, and while it cleans up.
const POINTS: [(u64, &str); 7] = [
    (13, "after-send servers.wait-running"),
    (14, "after-outcome servers.wait-running"),
    (16, "after-intent servers.delete"),
    (18, "after-send servers.delete"),
    (19, "after-outcome servers.delete"),
    (23, "after-send servers.delete-ssh-key"),
    (27, "after-send inventory.remove-server"),
];

#[tokio::test]
async fn a_host_that_dies_while_a_late_job_cleans_up_goes_on_with_that() {
    let mut host = hasty().await;
    for (point, boundary) in POINTS {
        host.terminate().await;
        assert!(host.restart_to_die(point).await);
        let job = host.create_server("web-1").await;
        host.died();
        let log = host.log();
        let died = log.lines().filter_map(|line| line.strip_prefix(LAST_WORDS)).next_back();
        assert_eq!(died, Some(boundary), "{point}");
        host.restart().await;
        let ended = left_nothing(&host, &job, boundary).await;
        assert_eq!(ended["attempt"], 2, "{boundary}");
    }
}
