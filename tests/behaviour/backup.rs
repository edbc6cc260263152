//! Backups: taken while jobs run, put back later, when the world has gone on without them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::echo::{self, digest, ran};
use tests::fake_hetzner::{self, FakeHetzner, Fault, Harm};
use tests::host_process::{TestHost, program};
use tokio::task::JoinSet;

/// Runs a command on a home that may have no host. Answers its exit code, and all that it said.
fn run(home: &Path, arguments: &[&str]) -> (i32, String) {
    let output = program().arg("--home").arg(home).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

/// Takes a backup of a host's home.
fn taken(host: &TestHost, folder: &TempDir, name: &str) -> PathBuf {
    let file = folder.path().join(name);
    let (code, said) = run(&host.home(), &["backup", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("Without the home's key it is worth nothing"), "{said}");
    file
}

/// Puts a backup back where a database is.
fn put_back(home: &Path, file: &Path) -> String {
    let (code, said) = run(home, &["restore", "--replace", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    said
}

/// A home that has the key of another one, and sees the same machines.
fn home_with_key_of(host: &TestHost, folder: &TempDir, name: &str) -> PathBuf {
    let home = folder.path().join(name);
    std::fs::create_dir(&home).unwrap();
    std::fs::copy(host.home().join("key"), home.join("key")).unwrap();
    let machines = host.home().join("sandbox");
    if machines.exists() {
        let copied = Command::new("cp").arg("-r").arg(machines).arg(&home).status().unwrap();
        assert!(copied.success());
    }
    home
}

/// A host on a new home, to which a backup and its key were brought.
async fn moved(host: &TestHost, folder: &TempDir, file: &Path, name: &str) -> TestHost {
    let home = home_with_key_of(host, folder, name);
    let (code, said) = run(&home, &["restore", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("windlass token create NAME --scope admin"), "{said}");
    let (code, said) = run(&home, &["doctor", "--full"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(run(&home, &["token", "create", "owner", "--scope", "admin"]).0, 0);
    TestHost::start_on(&home).await
}

async fn kinds(host: &TestHost, job: &str) -> Vec<String> {
    let (_, journal) = host.get(&format!("/api/jobs/{job}/journal")).await;
    let entries = journal["entries"].as_array().unwrap().iter();
    entries.map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

async fn see_step(host: &TestHost, job: &str, step: &str) {
    let is_there = |it: &Value| it["current_step"] == step;
    host.until(&format!("/api/jobs/{job}"), is_there).await;
}

/// Says of each job that stopped before a command that it did not happen.
async fn resolve(host: &TestHost) {
    let (_, jobs) = host.get("/api/jobs?limit=1000").await;
    for job in jobs["jobs"].as_array().unwrap() {
        let id = job["job_id"].as_str().unwrap();
        if job["status"] != "completed" {
            assert_eq!(job["status"], "uncertain", "{job:#}");
            let (path, body) =
                (format!("/api/jobs/{id}/retry"), json!({ "resolve": "did_not_happen" }));
            let again = host.submit(Method::POST, &path, Some(body)).await;
            host.wait_for(&again, "completed").await;
        }
    }
}

/// Makes servers, one after another.
async fn works(host: Arc<TestHost>, client: usize) {
    for turn in 0..15 {
        host.create_server(&format!("web-{client}-{turn}")).await;
    }
}

#[tokio::test]
async fn backups_taken_while_jobs_run_are_whole_and_their_jobs_come_to_an_end() {
    let host = Arc::new(TestHost::start().await);
    let folder = tempfile::tempdir().unwrap();
    let working: JoinSet<()> = (0..3).map(|client| works(Arc::clone(&host), client)).collect();
    let mut files = Vec::new();
    for number in 0..4 {
        let are_some = |it: &Value| it["servers"].as_object().unwrap().len() > 5 * number;
        host.until("/api/servers", are_some).await;
        let host = Arc::clone(&host);
        let file = folder.path().join(format!("{number}.db"));
        let text = file.to_str().unwrap().to_owned();
        let copying = tokio::task::spawn_blocking(move || run(&host.home(), &["backup", &text]));
        assert_eq!(copying.await.unwrap().0, 0);
        files.push(file);
    }
    working.join_all().await;
    let is_idle = |it: &Value| it["jobs"] == json!({ "queued": 0, "running": 0 });
    host.until("/health", is_idle).await;
    for (number, file) in files.iter().enumerate() {
        let restored = moved(&host, &folder, file, &format!("home-{number}")).await;
        restored.until("/health", is_idle).await;
        resolve(&restored).await;
        let (_, servers) = restored.get("/api/servers").await;
        let all = servers["servers"].as_object().unwrap();
        assert!(all.len() > 5 * number, "{servers:#}");
        assert!(all.values().all(|it| it["status"] == "running"), "{servers:#}");
    }
}

#[tokio::test]
async fn a_server_that_was_bought_after_the_backup_is_not_bought_again() {
    let (cloud, mut host) = FakeHetzner::with_host(fake_hetzner::Options::default()).await;
    cloud.inject(Fault::on("POST /ssh_keys", Harm::Silence).times(1));
    let job = host.create_server("web-1").await;
    see_step(&host, &job, "Prepare SSH key").await;
    let folder = tempfile::tempdir().unwrap();
    let file = taken(&host, &folder, "early.db");
    host.crash();
    host.restart().await;
    see_step(&host, &job, "Check SSH").await;
    assert_eq!((cloud.count("POST /servers"), cloud.servers_ever()), (1, 1));
    host.crash();

    let said = put_back(&host.home(), &file);
    assert!(said.contains("1 unfinished jobs go on carefully") && said.contains(&job), "{said}");
    host.restart().await;
    see_step(&host, &job, "Check SSH").await;
    assert_eq!((cloud.count("POST /servers"), cloud.servers_ever()), (1, 1), "bought again");
    assert!(kinds(&host, &job).await.contains(&"restored".to_owned()));
    let (_, server) = host.get("/api/servers/web-1").await;
    assert_eq!(server["provider_id"], cloud.servers()[0].id.to_string(), "{server}");
}

/// A host that was put back to before a job which then completed, and that job.
async fn put_back_before_a_setup() -> (TestHost, String) {
    let mut host = TestHost::start().await;
    let made = host.create_server("web-1").await;
    host.wait_for(&made, "completed").await;
    assert!(host.terminate().await.success());
    host.restart_with(&["--die-at", "1"]).await;
    let body = json!({ "ssl_email": "a@example.com", "zone_name": "example.com" });
    let path = "/api/servers/web-1/setup";
    // The host dies as soon as a worker has the job: the answer may come or not.
    let _answer = host.request(Method::POST, path).json(&body).send().await;
    host.died();
    let folder = tempfile::tempdir().unwrap();
    let file = taken(&host, &folder, "early.db");
    host.restart().await;
    let (_, jobs) = host.get("/api/jobs?type=setup_server").await;
    let job = jobs["jobs"][0]["job_id"].as_str().unwrap().to_owned();
    host.wait_for(&job, "completed").await;
    assert!(host.terminate().await.success());

    put_back(&host.home(), &file);
    host.restart().await;
    (host, job)
}

#[tokio::test]
async fn a_command_that_may_have_run_after_the_backup_is_not_run_again_unasked() {
    let (host, job) = put_back_before_a_setup().await;
    let stopped = host.wait_for(&job, "uncertain").await;
    let said = stopped["error"].as_str().unwrap();
    assert!(said.contains("put back from a backup") && said.contains("did_not_happen"), "{said}");
    let (_, journal) = host.get(&format!("/api/jobs/{job}/journal")).await;
    let entries = journal["entries"].as_array().unwrap();
    let ended = |it: &&Value| it["kind"] == "outcome" && it["class"] == "exec";
    assert_eq!(entries.iter().filter(ended).count(), 0, "{entries:#?}");

    let path = format!("/api/jobs/{job}/retry");
    let body = json!({ "resolve": "did_not_happen" });
    let again = host.submit(Method::POST, &path, Some(body)).await;
    host.wait_for(&again, "completed").await;
}

#[tokio::test]
async fn a_person_is_asked_again_after_each_command_that_did_run() {
    let (host, mut job) = put_back_before_a_setup().await;
    for body in [json!({ "resolve": "happened" }), json!({})] {
        host.wait_for(&job, "uncertain").await;
        job = host.submit(Method::POST, &format!("/api/jobs/{job}/retry"), Some(body)).await;
    }
    host.wait_for(&job, "uncertain").await;
    let (_, journal) = host.get(&format!("/api/jobs/{job}/journal")).await;
    let entries = journal["entries"].as_array().unwrap();
    let begun = |it: &&Value| it["kind"] == "intent" && it["class"] == "exec";
    let ended = |it: &&Value| it["kind"] == "outcome" && it["class"] == "exec";
    let count = |is: &dyn Fn(&&Value) -> bool| entries.iter().filter(|it| is(it)).count();
    assert_eq!((count(&begun), count(&ended)), (2, 1), "{entries:#?}");
}

#[tokio::test]
async fn what_happened_is_said_at_the_command_line_too() {
    // When one command did run, nobody knows of the next one again.
    for (resolve, code, status) in
        [("happened", 1, "uncertain"), ("did_not_happen", 0, "completed")]
    {
        let (host, job) = put_back_before_a_setup().await;
        host.wait_for(&job, "uncertain").await;
        let watched = run(&host.home(), &["job", "watch", &job]);
        let told = format!("windlass job retry {job} --resolve {resolve}");
        assert!(watched.0 == 1 && watched.1.contains(&told), "{watched:?}");
        let retried = run(&host.home(), &["job", "retry", &job, "--resolve", resolve]);
        assert_eq!(retried.0, code, "{resolve}: {}", retried.1);
        let (_, jobs) = host.get("/api/jobs?type=setup_server&limit=1").await;
        let (_, next) =
            host.get(&format!("/api/jobs/{}", jobs["jobs"][0]["job_id"].as_str().unwrap())).await;
        assert_eq!((&next["status"], &next["retry_of"]), (&json!(status), &json!(job)), "{next:#}");
    }
}

#[tokio::test]
async fn added_plugins_travel_in_a_backup() {
    let host = TestHost::start().await;
    let one = host.add_echo(echo::version(1)).await;
    assert_eq!(one, digest(&echo::version(1)));
    let folder = tempfile::tempdir().unwrap();
    let file = taken(&host, &folder, "backup.db");
    let restored = moved(&host, &folder, &file, "home").await;
    assert_eq!(ran(&restored.echo("web").await), ("7.7.1", one.as_str()));
}

#[tokio::test]
async fn what_cannot_be_restored_is_refused_and_the_home_stays_as_it_is() {
    let mut host = TestHost::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = taken(&host, &folder, "backup.db");
    let text = file.to_str().unwrap();
    let refused = |home: &Path, arguments: &[&str], words: &str| {
        let (code, said) = run(home, arguments);
        assert_eq!(code, 4, "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    };
    refused(&host.home(), &["backup", text], "choose another name");
    refused(&host.home(), &["restore", "--replace", text], "is used by a host");
    assert!(host.terminate().await.success());
    let database = host.home().join("windlass.db");
    let before = std::fs::read(&database).unwrap();
    refused(&host.home(), &["restore", text], "with --replace it is moved aside");
    refused(&host.home(), &["restore", "--replace", "/no/such/file"], "there is no such file");

    let stranger = folder.path().join("stranger");
    std::fs::create_dir(&stranger).unwrap();
    refused(&stranger, &["restore", text], "cannot be opened with the key at hand");
    assert!(!stranger.join("windlass.db").exists());

    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4 * 4096..6 * 4096].fill(0x5a);
    let damaged = folder.path().join("damaged.db");
    std::fs::write(&damaged, bytes).unwrap();
    let damaged = damaged.to_str().unwrap();
    refused(&host.home(), &["restore", "--replace", damaged], "no backup that can be restored");
    assert!(std::fs::read(&database).unwrap() == before, "the home is as it was");
}

#[tokio::test]
async fn a_damaged_home_is_as_it_was_after_its_backup_is_put_back() {
    let mut host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    let folder = tempfile::tempdir().unwrap();
    let file = taken(&host, &folder, "backup.db");
    host.crash();
    std::fs::write(host.home().join("windlass.db-wal"), "").unwrap();
    assert_eq!(run(&host.home(), &["doctor"]).0, 4);
    let said = put_back(&host.home(), &file);
    assert!(said.contains("What was there before is in "), "{said}");
    assert_eq!(run(&host.home(), &["doctor"]).0, 0);
    host.restart().await;
    assert_eq!(host.get("/api/servers/web-1").await.1["status"], "running");
    let answer = host.post("/api/servers/web-1/exec", json!({ "command": "id -u" })).await;
    assert_eq!((answer.0, &answer.1["stdout"]), (200, &json!("0\n")));
}
