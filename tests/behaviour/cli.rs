//! The program at its door: a home has one host, and what cannot be is said in a sentence.

mod help;
mod screens;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tests::fake_hetzner::{self, FakeHetzner, Fault, Harm};
use tests::host_process::{Options, TestHost, program};

/// Runs the program to its end.
fn run(home: &Path, arguments: &[&str]) -> Output {
    program().arg("--home").arg(home).args(arguments).output().expect("the program can be run")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_newcomer_sees_a_server_being_created_without_any_setup() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().join("home");
    let created = run(&home, &["server", "create", "web-1"]);
    let said = stdout(&created);
    assert_eq!(created.status.code(), Some(0), "{said}{}", stderr(&created));
    for part in ["Create server", "100 %", "windlass server exec web-1"] {
        assert!(said.contains(part), "{said}");
    }
    let used = run(&home, &["server", "exec", "web-1", "--", "id", "-u"]);
    assert_eq!((used.status.code(), stdout(&used).trim()), (Some(0), "0"), "{}", stderr(&used));
    let deleted = run(&home, &["server", "delete", "web-1"]);
    assert_eq!(deleted.status.code(), Some(0), "{}", stderr(&deleted));
}

#[tokio::test]
async fn commands_talk_to_the_host_of_the_home() {
    let host = TestHost::start().await;
    let created = run(&host.home(), &["--json", "server", "create", "web-1"]);
    let job: Value = serde_json::from_slice(&created.stdout).expect("JSON for programs");
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(host.get("/api/servers/web-1").await.0, 200);
    let listed = run(&host.home(), &["server", "list"]);
    assert!(stdout(&listed).contains("web-1"), "{}", stderr(&listed));
}

#[tokio::test]
async fn a_second_host_on_a_home_is_told_of_the_first() {
    let host = TestHost::start().await;
    let second = run(&host.home(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(4));
    let said = stderr(&second);
    assert!(said.contains(&host.pid().to_string()), "{said}");
    assert!(said.contains(host.url().trim_start_matches("http://")), "{said}");
}

#[tokio::test]
async fn a_port_in_use_is_said_and_nothing_else_happens() {
    let host = TestHost::start().await;
    let address = host.url().trim_start_matches("http://").to_owned();
    let home = tempfile::tempdir().unwrap();
    let home = home.path().join("home");
    let second = run(&home, &["serve", "--listen", &address]);
    assert_eq!(second.status.code(), Some(4));
    assert!(stderr(&second).contains("in use"), "{}", stderr(&second));
    assert!(!home.exists());
}

#[test]
fn a_home_that_is_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    std::fs::write(&home, "").unwrap();
    let refused = run(&home, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(stderr(&refused).contains("is not a directory"), "{}", stderr(&refused));
}

#[test]
fn a_home_that_cannot_be_written_is_refused() {
    // Nobody, not even root, can make a directory there.
    let refused = run(Path::new("/proc/windlass"), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.status.code(), Some(4));
    let said = stderr(&refused);
    assert!(said.starts_with("error: The home `/proc/windlass`"), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "{said}");
}

#[test]
fn a_home_on_a_read_only_or_full_disk_is_refused() {
    for (options, sentence) in [("ro", "read-only file system"), ("size=64k", "is full")] {
        let home = tempfile::tempdir().unwrap();
        // A mount that only this process sees.
        let script = "mount -t tmpfs -o $2 none $1 || exit 99; \
                      exec $0 serve --home $1 --listen 127.0.0.1:0";
        let mut command = std::process::Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script]);
        let command = command.arg(program().get_program()).arg(home.path()).arg(options);
        let refused = command.output().unwrap();
        if refused.status.code() == Some(99) || stderr(&refused).starts_with("unshare:") {
            return tests::lab::skip("a read-only or full disk", "this machine allows no mounts");
        }
        assert_eq!(refused.status.code(), Some(4));
        assert!(stderr(&refused).contains(sentence), "{}", stderr(&refused));
    }
}

#[test]
fn a_host_that_is_not_there_is_exit_code_3() {
    let home = tempfile::tempdir().unwrap();
    let mut command = program();
    command.env("WINDLASS_TOKEN", "x").args(["--url", "http://127.0.0.1:9", "server", "list"]);
    let failed = command.arg("--home").arg(home.path()).output().unwrap();
    assert_eq!(failed.status.code(), Some(3), "{}", stderr(&failed));
}

#[test]
fn a_wrong_command_line_is_exit_code_2_and_a_refusal_4() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(run(home.path(), &["server", "creat", "a"]).status.code(), Some(2));
    assert_eq!(run(home.path(), &["job", "show", "x"]).status.code(), Some(2));
    let refused = run(home.path(), &["server", "create", "A.b"]);
    assert_eq!(refused.status.code(), Some(4), "{}", stderr(&refused));
    assert_eq!(run(home.path(), &["--help"]).status.code(), Some(0));
}

#[tokio::test]
async fn a_lost_token_is_replaced_while_no_host_runs() {
    let mut host = TestHost::start().await;
    assert!(host.terminate().await.success());
    std::fs::remove_file(host.home().join("token")).unwrap();
    let made = run(&host.home(), &["token", "create", "second", "--scope", "admin"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    host.restart().await;
    assert_eq!(host.get("/api/tokens").await.0, 200);
}

#[tokio::test]
async fn the_home_and_what_is_in_it_are_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let host = TestHost::start().await;
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(host.home()), 0o700);
    for name in ["token", "lock"] {
        assert_eq!(mode(host.home().join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_host_that_is_told_to_end_ends_well_and_its_streams_end() {
    let mut host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    let events = host.events(&job, 0).await;
    assert_eq!(host.terminate().await.code(), Some(0), "{}", host.log());
    events.all().await;
    host.restart().await;
    host.wait_for(&job, "completed").await;
}

#[test]
fn the_description_can_be_had_without_a_host() {
    let home = tempfile::tempdir().unwrap();
    let printed = run(home.path(), &["openapi"]);
    let document: Value = serde_json::from_slice(&printed.stdout).expect("it is JSON");
    assert_eq!(&document, windlass::http::document());
}

#[test]
fn a_home_can_be_made_before_anything_else() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    for _ in 0..2 {
        let made = run(&home, &["init"]);
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
        assert!(stdout(&made).contains(&home.display().to_string()), "{}", stdout(&made));
        assert!(home.join("token").exists() && home.join("key").exists());
    }
}

#[tokio::test]
async fn a_server_that_is_protected_is_deleted_by_nobody_until_it_is_not() {
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    let said = run(&host.home(), &["server", "protect", "web-1", "on"]);
    assert!(stdout(&said).contains("Agents cannot destroy it"), "{}", stderr(&said));
    let refused = run(&host.home(), &["server", "delete", "web-1", "--force"]);
    assert_eq!(refused.status.code(), Some(4), "{}", stdout(&refused));
    assert!(stderr(&refused).contains("try: windlass server protect web-1 off"));
    let said = run(&host.home(), &["--json", "server", "protect", "web-1", "off"]);
    let server: Value = serde_json::from_slice(&said.stdout).expect("JSON for programs");
    assert_eq!(server["deletion_protection"], "off");
    let deleted = run(&host.home(), &["server", "delete", "web-1"]);
    assert_eq!(deleted.status.code(), Some(0), "{}", stderr(&deleted));
}

#[test]
fn shells_get_completions_without_a_host() {
    let home = tempfile::tempdir().unwrap();
    for (shell, sign) in
        [("bash", "complete -F"), ("zsh", "#compdef windlass"), ("fish", "complete -c windlass")]
    {
        let printed = run(&home.path().join("none"), &["completion", shell]);
        assert_eq!(printed.status.code(), Some(0), "{}", stderr(&printed));
        assert!(stdout(&printed).contains(sign), "{shell}: {}", stdout(&printed));
    }
    assert!(!home.path().join("none").exists());
}

#[tokio::test]
async fn exec_is_short_for_server_exec() {
    let host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    let said = run(&host.home(), &["exec", "web-1", "--", "echo", "hello"]);
    assert_eq!((said.status.code(), stdout(&said).trim()), (Some(0), "hello"), "{}", stderr(&said));
    let failed = run(&host.home(), &["exec", "web-1", "--", "exit 3"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains("exit code 3"), "{}", stderr(&failed));
}

#[tokio::test]
async fn a_job_that_failed_is_shown_with_why_and_what_to_do() {
    let (cloud, host) = FakeHetzner::with_host(fake_hetzner::Options::default()).await;
    cloud.inject(Fault::on("GET /actions", Harm::refuse(403, "forbidden")).times(1));
    let order = json!({
        "name": "web-1", "server_type": "cx23", "region": "nbg1", "keep_on_failure": true,
    });
    let job = host.submit(reqwest::Method::POST, "/api/servers", Some(order)).await;
    host.wait_for(&job, "failed").await;
    let shown = stdout(&run(&host.home(), &["job", "show", &job]));
    for part in [
        "Status       failed, ",
        "Error        ",
        "does not allow this",
        "Left         servers.create: done",
        &format!("windlass job logs {job}"),
        &format!("windlass job retry {job}"),
    ] {
        assert!(shown.contains(part), "{part} is not in: {shown}");
    }
}

#[tokio::test]
async fn watching_a_job_survives_a_restart_of_the_host() {
    let environment = vec![("WINDLASS_SANDBOX_PACE".to_owned(), "realistic".to_owned())];
    let mut host = TestHost::start_with(Options { environment }).await;
    let job = host.create_server("web-1").await;
    let mut watching = program();
    watching.arg("--home").arg(host.home()).args(["job", "watch", &job]);
    let mut watching = watching.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(watching.stdout.take().unwrap());
    // What it says first says that it has found the host.
    let (mut said, first) = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        said.read_line(&mut line).map(|_| (said, line))
    })
    .await
    .unwrap()
    .unwrap();
    host.crash();
    // It may be away for long: whoever watches is told that he waits for it.
    let (mut said, waited) = tokio::task::spawn_blocking(move || {
        let mut waited = String::new();
        while !waited.contains("the host does not answer") {
            assert!(said.read_line(&mut waited).unwrap() > 0, "it gave up: {waited}");
        }
        (said, waited)
    })
    .await
    .unwrap();
    host.restart().await;
    let rest = tokio::task::spawn_blocking(move || {
        let mut rest = waited;
        said.read_to_string(&mut rest).map(|_| rest)
    });
    let rest = rest.await.unwrap().unwrap();
    assert_eq!(watching.wait().unwrap().code(), Some(0), "{first}{rest}");
    assert!(rest.contains("attempt 2") && rest.contains("100 %"), "{first}{rest}");
}
