//! What durability costs: how often the disk is waited for, counted by the system itself.

use std::path::Path;
use std::process::Command;

/// How often the database was synced while the workbench did this.
fn syncs(work: [&str; 3]) -> u32 {
    let bench = std::env::current_exe().unwrap();
    let bench = bench.ancestors().nth(2).unwrap().join("workbench");
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let status = Command::new("strace")
        .args([
            "--seccomp-bpf",
            "-f",
            "-y",
            "-qq",
            "-e",
            "trace=fdatasync,fsync",
            "-e",
            "signal=none",
            "-o",
        ])
        .arg(&trace)
        .arg(bench)
        .args(work)
        .status()
        .unwrap();
    assert!(status.success(), "{work:?}: {status}");
    let trace = std::fs::read_to_string(trace).unwrap();
    let of_database = trace.lines().filter(|line| line.contains("/windlass.db"));
    u32::try_from(of_database.count()).unwrap()
}

/// The syncs for each piece of work, without those of the beginning and the end.
fn each(what: &str, count: u32, clients: u32) -> f64 {
    let clients_text = clients.to_string();
    let none = syncs([what, "0", &clients_text]);
    let all = syncs([what, &count.to_string(), &clients_text]);
    f64::from(all.saturating_sub(none)) / f64::from(count)
}

fn is_skipped(test: &str) -> bool {
    if std::env::var_os("SLOW_TESTS").is_none() {
        println!("SKIPPED: {test}: counts a thousand jobs, set SLOW_TESTS");
        return true;
    }
    if !Path::new("/usr/bin/strace").exists() {
        tests::lab::skip(test, "strace is not installed");
        return true;
    }
    false
}

fn check(what: &str, count: u32, clients: u32, most: f64) {
    let counted = each(what, count, clients);
    println!("{what}, {clients} clients: {counted:.3} syncs each, at most {most}");
    assert!(counted <= most, "{what}, {clients} clients: {counted} syncs each, at most {most}");
}

#[test]
fn a_job_of_five_effects_waits_for_the_disk_six_times_alone_and_once_among_others() {
    if is_skipped("syncs of jobs") {
        return;
    }
    // Six, and now and then the log is taken over into the database. A machine that is so busy that
    // something deferred waits for a tenth of a second adds a commit for it.
    check("jobs", 100, 1, 6.5);
    // The goal is one, and a release build keeps it. How many meet in a commit depends on how fast
    // they come: a debug build on a machine with a load of 19 was counted at 1.4.
    check("jobs", 960, 32, 3.0);
}

#[test]
fn submissions_share_their_syncs() {
    if is_skipped("syncs of submissions") {
        return;
    }
    // The goal is 0.2; 0.03 to 0.06 was counted, and more where the machine has much else to do.
    check("submissions", 3200, 32, 0.6);
}
