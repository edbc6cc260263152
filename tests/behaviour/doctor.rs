//! `windlass doctor`: what it says of a home that is well, and of one that is not.

mod rows;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use tests::echo;
use tests::host_process::{TestHost, program};

/// What the doctor says of a home: its exit code, and each check by its name.
struct Said {
    code: i32,
    verdict: String,
    checks: Vec<Value>,
}

impl Said {
    /// The one check of this name: how it is, and all that is told.
    fn of(&self, name: &str) -> (&str, String) {
        let named: Vec<&Value> = self.checks.iter().filter(|it| it["name"] == name).collect();
        let [check] = named.as_slice() else { panic!("{name}: {named:?}") };
        let told = format!("{} {}", check["found"], check["advice"]);
        (check["verdict"].as_str().unwrap(), told)
    }

    fn not_ok(&self) -> Vec<&str> {
        let all = self.checks.iter().filter(|it| it["verdict"] != "ok");
        all.map(|it| it["name"].as_str().unwrap()).collect()
    }
}

fn doctor(home: &Path, arguments: &[&str]) -> Said {
    let mut command = program();
    command.arg("--home").arg(home).args(["doctor", "--json"]).args(arguments);
    let output = command.env("WINDLASS_LISTEN", "127.0.0.1:0").output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()))
    });
    Said {
        code: output.status.code().unwrap(),
        verdict: said["verdict"].as_str().unwrap().to_owned(),
        checks: said["checks"].as_array().unwrap().clone(),
    }
}

/// Every file of a home, with its content.
fn files(home: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(home).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push((name, std::fs::read(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_home_that_is_well_has_nothing_to_complain_of_while_its_host_runs_and_after() {
    let mut host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    let running = doctor(&host.home(), &[]);
    assert_eq!((running.code, running.not_ok()), (0, vec![]), "{:?}", running.checks);
    assert!(running.of("host").1.contains("answers at"), "{:?}", running.of("host"));
    assert!(host.terminate().await.success());
    let before = files(&host.home());
    let ended = doctor(&host.home(), &["--full"]);
    assert_eq!((ended.code, &*ended.verdict), (0, "ok"), "{:?}", ended.checks);
    assert!(ended.of("key").1.contains("opens all"), "{:?}", ended.of("key"));
    assert!(files(&host.home()) == before, "looking changes nothing");
}

#[tokio::test]
async fn a_killed_hosts_jobs_are_told_and_nothing_of_it_is_changed() {
    let mut host = TestHost::start().await;
    host.add_echo(echo::version(1)).await;
    let first = host.create_server("waits").await;
    host.wait_for(&first, "running").await;
    host.crash();
    let log = host.home().join("windlass.db-wal");
    let before = std::fs::read(&log).unwrap();
    let said = doctor(&host.home(), &[]);
    assert_eq!(said.code, 0, "{:?}", said.checks);
    let (verdict, told) = said.of("running jobs");
    assert_eq!(verdict, "warn", "{told}");
    assert!(told.contains(&first) && told.contains("windlass serve"), "{told}");
    assert_eq!(std::fs::read(&log).unwrap(), before);
    host.restart().await;
}

#[tokio::test]
async fn what_is_wrong_is_told_with_what_to_do() {
    let mut host = TestHost::start().await;
    assert!(host.terminate().await.success());
    let home = host.home();
    let file = |name: &str| home.join(name);
    std::fs::set_permissions(file("key"), Permissions::from_mode(0o644)).unwrap();
    let exposed = doctor(&home, &[]);
    assert_eq!((exposed.code, exposed.of("files").0), (4, "problem"), "{:?}", exposed.checks);
    assert!(exposed.of("files").1.contains("chmod 600"), "{:?}", exposed.of("files"));
    let fixed = doctor(&home, &["--fix"]);
    assert_eq!((fixed.code, fixed.of("files").0), (0, "warn"), "{:?}", fixed.checks);
    assert_eq!(doctor(&home, &[]).verdict, "ok");

    let key = std::fs::read(file("key")).unwrap();
    std::fs::write(file("key"), format!("{}\n", "ab".repeat(32))).unwrap();
    let other = doctor(&home, &[]);
    assert_eq!((other.code, other.of("key").0), (4, "problem"), "{:?}", other.checks);
    std::fs::write(file("key"), key).unwrap();

    let mut bytes = std::fs::read(file("windlass.db")).unwrap();
    bytes[3 * 4096..5 * 4096].fill(0x5a);
    std::fs::write(file("windlass.db"), &bytes).unwrap();
    let damaged = doctor(&home, &["--full"]);
    assert_eq!((damaged.code, damaged.of("database").0), (4, "problem"), "{:?}", damaged.checks);
    assert!(damaged.of("database").1.contains("windlass restore"), "{:?}", damaged.of("database"));

    std::fs::remove_file(file("windlass.db")).unwrap();
    let missing = doctor(&home, &[]);
    assert!(missing.of("database").1.contains("is missing"), "{:?}", missing.of("database"));
    assert!(!file("windlass.db").exists());
}

#[tokio::test]
async fn a_log_that_was_cut_off_or_changed_is_told_with_the_way_out() {
    let mut host = TestHost::start().await;
    let job = host.create_server("web-1").await;
    host.wait_for(&job, "completed").await;
    host.crash();
    let log = host.home().join("windlass.db-wal");
    let whole = std::fs::read(&log).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 0x41;
    // The last write may be one that nobody was promised, such as that receipts are gone.
    for damaged in [&whole[..whole.len() - 4 * 4096], &changed] {
        std::fs::write(&log, damaged).unwrap();
        let said = doctor(&host.home(), &[]);
        let (verdict, told) = said.of("database");
        assert_eq!((said.code, verdict), (4, "problem"), "{told}");
        assert!(told.contains("lacks the last ") && told.contains("windlass restore"), "{told}");
        assert!(std::fs::read(&log).unwrap() == damaged, "looking changes nothing");
    }
    std::fs::write(&log, whole).unwrap();
    assert_eq!(doctor(&host.home(), &[]).code, 0);
}

#[tokio::test]
async fn a_place_where_no_home_is_yet_is_no_problem() {
    let folder = tempfile::tempdir().unwrap();
    let said = doctor(&folder.path().join("none"), &[]);
    assert_eq!((said.code, said.of("home").0), (0, "warn"));
    assert!(!folder.path().join("none").exists());
}

#[tokio::test]
async fn people_read_a_line_for_each_and_a_sentence_for_what_to_do() {
    let mut host = TestHost::start().await;
    assert!(host.terminate().await.success());
    std::fs::set_permissions(host.home(), Permissions::from_mode(0o755)).unwrap();
    let mut command = program();
    command.arg("--home").arg(host.home()).arg("doctor");
    let output = command.env("WINDLASS_LISTEN", "127.0.0.1:0").output().unwrap();
    let (said, complaint) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.starts_with("problem  home            others can get at "), "{said}");
    assert!(said.contains("→ chmod 700 "), "{said}");
    assert!(said.contains("\nok       database        "), "{said}");
    assert_eq!(complaint, "error: There is a problem with this home.\n");
}
