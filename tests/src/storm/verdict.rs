//! Whether a run came out right: by what those outside counted, and by what the host has on record.
//!
//! Every job has to be completed. An effect may be `uncertain` only where nobody can look for what
//! came of it, which are requests to strangers (`http.send`): nothing in a storm sends one. Orders,
//! keys and records are looked for, commands are asked for by their receipts, files and records are
//! the same when they are written again.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::host_process::TestHost;

use crate::machine;
use crate::outside::{Counted, Sold};
use crate::storm::Phase;

/// What the commands of a setup leave on their machine.
const RAN: [&str; 5] = ["asked", "slow", "over", "loud", "reads"];

/// Where root's commands have their receipts.
const RECEIPTS: &str = "/var/lib/windlass/receipts";

/// Those outside were asked for all of it, once, and for nothing else.
pub(crate) fn check(after: Phase, counted: &Counted) -> Result<()> {
    let wanted = wanted(after);
    ensure!(*counted == wanted, "after {after:?} there is {counted:?}, and not {wanted:?}");
    Ok(())
}

fn wanted(after: Phase) -> Counted {
    let there = usize::from(after != Phase::Delete);
    let sold = Sold { ever: 1, servers: there, keys: there };
    let (records, ran): (_, &[&str]) = match after {
        Phase::Create => ((0, 0), &[]),
        Phase::SetUp => ((2, 2), &RAN),
        Phase::Delete => ((2, 0), &RAN),
    };
    let machine = machine::Counted {
        boots: 1,
        is_destroyed: after == Phase::Delete,
        ran: ran.iter().map(|&line| line.to_owned()).collect(),
    };
    Counted { sold: [sold; 2], records, machines: [machine.clone(), machine] }
}

/// The host knows these jobs and no others, all of them completed, and no server any more.
pub(crate) async fn check_records(host: &TestHost, jobs: &[String]) -> Result<()> {
    let (_, answer) = host.get("/api/jobs?limit=100").await;
    let told = |job: &Value, field: &str| job[field].as_str().unwrap_or_default().to_owned();
    let known = answer["jobs"].as_array().into_iter().flatten();
    let mut known: Vec<_> = known.map(|job| (told(job, "job_id"), told(job, "status"))).collect();
    let mut wanted: Vec<_> = jobs.iter().map(|id| (id.clone(), "completed".to_owned())).collect();
    known.sort();
    wanted.sort();
    ensure!(known == wanted, "on record are the jobs {known:?}, and not {wanted:?}");
    let (_, answer) = host.get("/api/servers").await;
    ensure!(answer["servers"] == json!({}), "servers are on record: {answer}");
    Ok(())
}

/// The receipts of these jobs' commands that are still there, and what was to become one.
pub(crate) fn receipts(jobs: &[String]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(RECEIPTS).into_iter().flatten().flatten();
    let is_theirs =
        |name: &str| jobs.iter().any(|job| name.trim_start_matches('.').starts_with(job.as_str()));
    let theirs = entries.filter(|entry| is_theirs(&entry.file_name().to_string_lossy()));
    theirs.map(|entry| entry.path()).collect()
}
