//! A job's row is a cache of its journal: the doctor says where it is not what that tells, and makes it
//! so again.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use serde_json::json;
use tests::echo;
use tests::host_process::TestHost;

use super::doctor;

/// Damage to the rows of a completed, a failed, a cancelled, a retried and a waiting job, and what the
/// doctor calls it.
const DAMAGE: [(&str, &str); 5] = [
    ("status = 'queued', completed_at = NULL, result = '{}'", "(status, result, completed_at)"),
    ("status = 'completed', failure = NULL, view = NULL", "(status, steps, failure)"),
    ("cancel_requested = 0, view = 'no view'", "(all)"),
    ("plugin_name = NULL", "(plugin)"),
    ("attempt = 0, started_at = started_at + 1", "(attempt, started_at)"),
];

fn database(home: &Path) -> Connection {
    Connection::open(home.join("windlass.db")).unwrap()
}

/// All that follows from journals of the rows in a home, by job.
fn rows(home: &Path) -> BTreeMap<String, String> {
    let db = database(home);
    let mut select = db
        .prepare(
            "SELECT id, json_array(status, attempt, plugin_name, plugin_version, plugin_digest,
                                   cancel_requested, view, result, failure, started_at, completed_at)
             FROM jobs",
        )
        .unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// A host that has ended, and jobs that did so, too, in every way; the last one waits to go on.
async fn ended() -> (TestHost, Vec<String>) {
    let mut host = TestHost::start().await;
    let completed = host.create_server("web-1").await;
    host.wait_for(&completed, "completed").await;
    host.add_echo(echo::version(1)).await;
    let failed = host.create_server("fails-1").await;
    host.wait_for(&failed, "failed").await;
    let cancelled = host.create_server("waits-1").await;
    host.wait_for(&cancelled, "running").await;
    host.delete(&format!("/api/jobs/{cancelled}")).await;
    host.wait_for(&cancelled, "cancelled").await;
    let (_, retried) = host.post(&format!("/api/jobs/{failed}/retry"), json!({})).await;
    let retried = retried["job_id"].as_str().unwrap().to_owned();
    host.wait_for(&retried, "failed").await;
    let waiting = host.create_server("waits-2").await;
    host.wait_for(&waiting, "running").await;
    // One attempt that nobody ended, and one that is given back.
    host.crash();
    host.restart().await;
    let attempt = |job: &serde_json::Value| job["attempt"] == 2 && job["status"] == "running";
    host.until(&format!("/api/jobs/{waiting}"), attempt).await;
    let running = doctor(&host.home(), &["--full"]);
    assert_eq!(running.of("rows").0, "ok", "{:?}", running.of("rows"));
    let refused = doctor(&host.home(), &["--rebuild"]);
    assert_eq!((refused.code, refused.of("rows").0), (4, "problem"), "{:?}", refused.of("rows"));
    assert!(refused.of("rows").1.contains("is used by a host"), "{:?}", refused.of("rows"));
    assert!(host.terminate().await.success());
    (host, vec![completed, failed, cancelled, retried, waiting])
}

#[tokio::test]
async fn rows_that_are_not_what_their_journals_tell_are_named_and_made_so_again() {
    let (mut host, jobs) = ended().await;
    let home = host.home();
    let before = rows(&home);
    let well = doctor(&home, &["--full"]);
    assert_eq!(well.of("rows").0, "ok", "{:?}", well.of("rows"));
    for (job, (change, _)) in jobs.iter().zip(DAMAGE) {
        let changed = database(&home)
            .execute(&format!("UPDATE jobs SET {change} WHERE id = ?1"), [job])
            .unwrap();
        assert_eq!(changed, 1, "{change}");
    }
    let ill = doctor(&home, &["--full"]);
    let (verdict, told) = ill.of("rows");
    assert_eq!((ill.code, verdict), (4, "problem"), "{told}");
    assert!(told.contains("windlass doctor --rebuild"), "{told}");
    for (job, (_, parts)) in jobs.iter().zip(DAMAGE) {
        assert!(told.contains(&format!("{job} {parts}")), "{job} {parts}: {told}");
    }
    let mended = doctor(&home, &["--rebuild"]);
    assert_eq!((mended.code, mended.of("rows").0), (0, "warn"), "{:?}", mended.checks);
    assert_eq!(rows(&home), before);
    assert_eq!(doctor(&home, &["--full"]).of("rows").0, "ok");
    // Whoever waited goes on, with the plugin and the clock that it had.
    host.restart().await;
    let waiting = jobs.last().unwrap();
    let goes_on = |job: &serde_json::Value| job["attempt"] == 3 && job["status"] == "running";
    host.until(&format!("/api/jobs/{waiting}"), goes_on).await;
}
