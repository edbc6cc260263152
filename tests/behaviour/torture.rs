//! A host is killed at every point of a job's run, and what comes of it is what an undisturbed run
//! did: by the command that operators have.

use std::process::Output;

use serde_json::Value;
use tests::host_process::program;

use super::recovery::TORTURED;

/// Where one effect can be cut in two, and a job.
const POINTS: [&str; 8] = [
    "claimed",
    "before-intent",
    "after-intent",
    "within",
    "after-send",
    "after-outcome",
    "before-end",
    "after-end",
];

/// What is between the wish to cancel a job and its run.
const CANCEL: [&str; 2] = ["before-cancel", "after-cancel"];

async fn torture(arguments: &[&str]) -> Output {
    let mut command = program();
    command.args(["torture", "--json"]).args(arguments);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

fn report(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Kills at a point of a scenario.
fn kills_at(report: &Value, scenario: &str, point: &str) -> u64 {
    counted(report, "kills", scenario, point)
}

fn counted(report: &Value, what: &str, scenario: &str, point: &str) -> u64 {
    let points = report["points"].as_array().unwrap();
    let is_it = |row: &&Value| {
        let killed_at = row["killed_at"].as_str().unwrap();
        row["scenario"] == scenario && killed_at.starts_with(point)
    };
    points.iter().filter(is_it).map(|row| row[what].as_str().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test]
async fn a_server_is_made_once_wherever_the_host_is_killed() {
    let report = report(&torture(&["create", "--cancels", "4", "--seed", "7"]).await);
    assert_eq!(report["wrong"], 0, "{report:#}");
    for point in POINTS {
        assert!(kills_at(&report, "create", point) > 0, "never killed at {point}: {report:#}");
    }
    // A cancelled creation takes away what it made: that has all points, but for a new claim.
    for point in CANCEL.iter().chain(&POINTS[1..]) {
        let kills = counted(&report, "in_cancel", "create", point);
        assert!(kills > 0, "no cancel was killed at {point}: {report:#}");
    }
    assert!(report["cancelled"].as_u64().unwrap() > 0, "{report:#}");
}

#[tokio::test]
async fn a_whole_life_is_lived_once_wherever_the_host_is_killed() {
    // Each point in turn, or so many that most come several times, and up to three in one run.
    let is_slow = std::env::var_os("SLOW_TESTS").is_some();
    let (arguments, kills): (&[&str], u64) = if is_slow {
        (&["--kills", "1000", "--cancels", "6", "--seed", "7"], 1_000)
    } else {
        (&["setup", "deploy", "remove", "delete", "--cancels", "2", "--seed", "7"], 200)
    };
    let report = report(&torture(arguments).await);
    assert_eq!(report["wrong"], 0, "{report:#}");
    assert!(report["kills"].as_u64().unwrap() >= kills, "{report:#}");
    let scenarios = ["create", "setup", "deploy", "remove", "delete"];
    for scenario in &scenarios[usize::from(!is_slow)..] {
        for point in POINTS.iter().filter(|point| **point != "within") {
            assert!(kills_at(&report, scenario, point) > 0, "{scenario} {point}: {report:#}");
        }
        for point in CANCEL.iter().chain(&["after-end"]) {
            let kills = counted(&report, "in_cancel", scenario, point);
            assert!(kills > 0, "{scenario}: no cancel was killed at {point}: {report:#}");
        }
    }
    // A server is ordered by the first scenario, which the test above is about.
    for function in TORTURED.into_iter().filter(|it| is_slow || !it.starts_with("servers.")) {
        let point = format!("after-send {function}");
        let kills: u64 = scenarios.iter().map(|scenario| kills_at(&report, scenario, &point)).sum();
        assert!(kills > 0, "never killed {point}: {report:#}");
    }
}
