//! What a killed host leaves of files that it was writing: nothing of it is good for anybody, and
//! the next start takes it away.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use tests::host_process::{Options, TestHost, injected};
use windlass::app::evidence::POINTS_PASSED;

/// The calls by which files become what they are.
const CALLS: &str = "rename,fsync,fdatasync";

/// What stands between a file's name and the end of the name that it has while it is written.
const RANDOM: &str = ".0123456789abcdef.new";

fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "new")).collect()
}

/// Starts a host on this home that is killed at its call of this number, in whichever thread that
/// comes first. Answers whether it was, before it listened.
fn is_killed_at(home: &Path, call: u32) -> bool {
    let mut command = injected(CALLS, &format!("signal=KILL:when={call}"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--home"]).arg(home);
    let mut host = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
    host.kill().unwrap();
    host.wait().unwrap();
    line.is_empty()
}

#[tokio::test]
async fn a_first_start_that_is_killed_at_any_write_leaves_a_home_that_the_next_one_uses() {
    const TEST: &str = "a first start that is killed at any write";
    if !Path::new("/usr/bin/strace").exists() {
        return tests::lab::skip(TEST, "strace is not installed");
    }
    let mut leftovers = 0;
    let mut call = 0;
    loop {
        call += 1;
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let starting = home.clone();
        let killing = tokio::task::spawn_blocking(move || is_killed_at(&starting, call));
        if !killing.await.unwrap() {
            break;
        }
        leftovers += unfinished(&home).len();
        let host = TestHost::start_on(&home).await;
        let (status, tokens) = host.get("/api/tokens").await;
        assert_eq!(status, 200, "killed at {call}: {tokens}");
        assert_eq!(tokens["tokens"].as_array().map(Vec::len), Some(1), "{tokens}");
        assert_eq!(unfinished(&host.home()), Vec::<PathBuf>::new(), "killed at {call}");
    }
    println!("killed at {} calls, {leftovers} files were left unfinished", call - 1);
    assert!(call > 5 && leftovers > 0, "{call} calls, {leftovers} files");
}

#[tokio::test]
async fn what_a_killed_host_left_unfinished_is_gone_after_the_next_start() {
    let cache = tempfile::tempdir().unwrap();
    let environment = vec![("WINDLASS_CACHE".to_owned(), cache.path().display().to_string())];
    let mut host = TestHost::start_with(Options { environment }).await;
    let body = json!({ "name": "unknown", "scope": "admin" });
    let (status, made) = host.post("/api/tokens", body).await;
    assert_eq!(status, 201, "{made}");
    host.crash();
    let home = host.home();
    let left = |folder: &Path, name: &str, content: &[u8]| {
        fs::write(folder.join(format!("{name}{RANDOM}")), content).unwrap();
    };
    // One that is good, and that nobody knows of: it was to be the home's.
    left(&home, "token", made["token"].as_str().unwrap().as_bytes());
    left(&home, "key.next", b"half of a k");
    left(&home, "plugins.lock", b"{");
    left(cache.path(), "code.cwasm", b"half of a plu");
    fs::write(home.join("notes.new"), "of its owner").unwrap();
    host.restart().await;
    assert_eq!(unfinished(&home), [home.join("notes.new")]);
    assert_eq!(unfinished(cache.path()), Vec::<PathBuf>::new());
    let tokens = host.get("/api/tokens").await.1;
    let names: Vec<&Value> =
        tokens["tokens"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["admin", "unknown"], "what is on record stays");
    let request = host.request(Method::GET, "/api/servers");
    assert_eq!(host.answer(request).await.0, 200);
}

/// The receipts that lie on the sandbox's machines.
fn receipts(home: &Path) -> Vec<PathBuf> {
    let machines = fs::read_dir(home.join("sandbox/contents")).into_iter().flatten();
    let folders = machines.map(|machine| machine.unwrap().path().join("receipts"));
    let files = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
    files.map(|file| file.unwrap().path()).collect()
}

async fn set_up(host: &TestHost, name: &str) -> String {
    let body =
        json!({ "ssl_email": "ops@example.com", "zone_name": "example.com", "subdomain": name });
    host.submit(Method::POST, &format!("/api/servers/{name}/setup"), Some(body)).await
}

#[tokio::test]
async fn receipts_of_a_job_whose_host_died_right_after_its_end_are_removed_after_the_next_start() {
    let mut host = TestHost::start().await;
    for name in ["counted", "web-1"] {
        let made = host.create_server(name).await;
        host.wait_for(&made, "completed").await;
    }
    host.terminate().await;
    // The last point of a run is behind its end. No host comes to this one: it only counts.
    assert!(host.restart_to_die(u64::MAX).await);
    let counted = set_up(&host, "counted").await;
    host.wait_for(&counted, "completed").await;
    host.terminate().await;
    let log = host.log();
    let passed = log.lines().filter_map(|line| line.strip_prefix(POINTS_PASSED)).next_back();
    let points: u64 = passed.unwrap().parse().unwrap();
    assert_eq!(receipts(&host.home()), Vec::<PathBuf>::new());
    assert!(host.restart_to_die(points).await);
    let job = set_up(&host, "web-1").await;
    assert!(!host.completes(&job).await);
    host.died();
    assert_ne!(receipts(&host.home()), Vec::<PathBuf>::new());
    host.restart().await;
    host.wait_for(&job, "completed").await;
    let home = host.home();
    host.until("/health", |_| receipts(&home).is_empty()).await;
}
