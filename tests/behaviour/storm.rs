//! A short storm: kills, cut connections and restarts of sshd, all at once, over one host that buys two
//! servers, has commands run on them, names and deletes them. Longer ones are run by hand, by the
//! program that this one runs.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tests::host_process::program;
use tests::sshd::Sshd;

/// A storm of this seed, told more.
async fn storm(seed: u64, arguments: &'static [&'static str]) -> Output {
    let mut command = Command::new(Path::new(program().get_program()).with_file_name("storm"));
    // What it runs is built already.
    command.env_remove("CARGO").args(["--seed", &seed.to_string()]).args(arguments);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

async fn planned(seed: u64) -> String {
    let output = storm(seed, &["--plan", "--runs", "20"]).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_same_seed_plans_the_same_storm() {
    let plan = planned(7).await;
    assert_eq!(plan, planned(7).await);
    assert_ne!(plan, planned(8).await);
    for harm in ["host killed", "Cut There", "Cut Back", "Kill There", "Kill Back", "Restart"] {
        assert!(plan.contains(harm), "no {harm}: {plan}");
    }
    let eleventh = storm(7, &["--plan", "--only", "11"]).await.stdout;
    assert_eq!(String::from_utf8(eleventh).unwrap().trim(), plan.lines().nth(10).unwrap());
}

#[tokio::test]
async fn a_storm_does_nothing_twice_leaves_nothing_over_and_nothing_stuck() {
    const TEST: &str = "a storm does nothing twice";
    if !Sshd::is_installed() || !rustix::process::geteuid().is_root() {
        return tests::lab::skip(TEST, "there is no sshd, or this is not root");
    }
    // One run in which no order is in doubt at a cloud that takes half a minute to show one, or many.
    let is_slow = std::env::var_os("SLOW_TESTS").is_some();
    let output = if is_slow {
        storm(7, &["--json", "--runs", "12"]).await
    } else {
        storm(2, &["--json", "--runs", "1"]).await
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["wrong"], 0, "{report:#}");
    for kind in ["connection cut", "host killed", "sshd restarted"] {
        let faults = report["faults"].as_array().unwrap().iter();
        assert!(faults.filter(|it| it["kind"] == kind).count() > 0, "no {kind}: {report:#}");
    }
}
