//! What a host finds at its start when its files were damaged: it says so in one sentence that
//! names a way out, and touches nothing.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use tests::host_process::{TestHost, program};

/// How long a host may take to find out.
const DEADLINE: Duration = Duration::from_secs(180);

/// Starts a host that refuses to start, and answers its one complaint.
async fn refusal(host: &TestHost) -> String {
    let mut command = tokio::process::Command::from(program());
    command.args(["serve", "--listen", "127.0.0.1:0", "--home"]).arg(host.home());
    let ended = tokio::time::timeout(DEADLINE, command.kill_on_drop(true).output()).await;
    let ended = ended.expect("the host does not start").expect("the program can be started");
    let (said, log) = (String::from_utf8_lossy(&ended.stdout), ended.stderr);
    let log = String::from_utf8_lossy(&log);
    assert_eq!((ended.status.code(), &*said), (Some(4), ""), "{log}");
    let complaints: Vec<&str> = log.lines().filter(|line| line.starts_with("error: ")).collect();
    let [complaint] = complaints.as_slice() else { panic!("not one complaint: {log}") };
    (*complaint).to_owned()
}

/// A host that was killed with jobs in its database, whose newest commits are in the log alone.
async fn killed() -> TestHost {
    let mut host = TestHost::start().await;
    for name in ["web-1", "web-2"] {
        let job = host.create_server(name).await;
        host.wait_for(&job, "completed").await;
    }
    host.crash();
    host
}

/// The same, ended in peace: all is in the database's file.
async fn ended() -> TestHost {
    let mut host = killed().await;
    host.restart().await;
    assert!(host.terminate().await.success());
    host
}

fn file(host: &TestHost, name: &str) -> PathBuf {
    host.home().join(name)
}

fn flip(path: &Path, place: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 0x41], place).unwrap();
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

fn assert_tells(complaint: &str, what: &str) {
    for word in [what, "windlass.db", "windlass doctor", "windlass restore FILE"] {
        assert!(complaint.contains(word), "`{word}` is missing: {complaint}");
    }
}

#[tokio::test]
async fn a_log_that_was_cut_off_is_noticed_and_what_is_left_can_be_gone_on_with() {
    let mut host = killed().await;
    let log = file(&host, "windlass.db-wal");
    let whole = std::fs::read(&log).unwrap();
    // The last write may be one that nobody was promised, such as that receipts are gone.
    let nearly = whole.len() - 4 * 4096;
    for kept in [nearly, whole.len() / 2, 0] {
        std::fs::write(&log, &whole[..kept]).unwrap();
        assert_tells(&refusal(&host).await, "lacks the last ");
    }
    std::fs::write(&log, &whole[..nearly]).unwrap();
    std::fs::remove_file(file(&host, "windlass.db-mark")).unwrap();
    host.restart().await;
    assert_eq!(host.get("/api/servers/web-1").await.0, 200);
}

#[tokio::test]
async fn a_log_that_is_gone_is_noticed() {
    let host = killed().await;
    std::fs::remove_file(file(&host, "windlass.db-wal")).unwrap();
    assert_tells(&refusal(&host).await, "lacks the last ");
}

#[tokio::test]
async fn a_byte_that_changed_in_the_log_is_noticed() {
    let host = killed().await;
    let log = file(&host, "windlass.db-wal");
    let half = length(&log) / 2;
    flip(&log, half);
    assert_tells(&refusal(&host).await, "lacks the last ");
}

#[tokio::test]
async fn a_byte_that_changed_in_any_tables_first_page_is_noticed() {
    let host = ended().await;
    let path = file(&host, "windlass.db");
    let database = Connection::open(&path).unwrap();
    let mut select = database
        .prepare("SELECT rootpage FROM sqlite_schema WHERE rootpage > 0 AND name NOT LIKE 'sq%'")
        .unwrap();
    let pages: Vec<u32> =
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    drop(select);
    drop(database);
    assert!(pages.len() > 15, "{pages:?}");
    for page in pages {
        let place = u64::from(page - 1) * 4096;
        flip(&path, place);
        assert_tells(&refusal(&host).await, "is damaged");
        flip(&path, place);
    }
}

#[tokio::test]
async fn a_large_file_is_looked_at_where_nothing_goes_on_without_it() {
    let host = ended().await;
    let path = file(&host, "windlass.db");
    let database = Connection::open(&path).unwrap();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                INSERT INTO audit (at, caller, action, target, detail)
                SELECT i, 'test', 'fill', 'nothing', hex(zeroblob(500)) FROM n";
    database.execute_batch(fill).unwrap();
    let page: u32 = database
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'servers'", [], |row| {
            row.get(0)
        })
        .unwrap();
    drop(database);
    assert!(length(&path) > 17 << 20, "it is not large");
    flip(&path, u64::from(page - 1) * 4096);
    assert_tells(&refusal(&host).await, "is damaged");
}

#[tokio::test]
async fn a_database_that_is_gone_or_empty_is_not_made_anew_beside_its_key() {
    let mut host = ended().await;
    let path = file(&host, "windlass.db");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    assert_tells(&refusal(&host).await, "is empty");
    std::fs::remove_file(&path).unwrap();
    assert_tells(&refusal(&host).await, "is missing");
    for trace in ["windlass.db-mark", "token"] {
        std::fs::remove_file(file(&host, trace)).unwrap();
        assert_tells(&refusal(&host).await, "is missing");
    }
    assert!(!path.exists(), "a refused start makes nothing");
    std::fs::write(&path, whole).unwrap();
    host.restart_with(&[]).await;
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let host = ended().await;
    let path = file(&host, "windlass.db");
    std::fs::write(&path, json!({ "a": "text file".repeat(2000) }).to_string()).unwrap();
    assert_tells(&refusal(&host).await, "file is not a database");
}

#[tokio::test]
async fn an_older_copy_in_the_place_of_the_database_is_noticed() {
    let mut host = ended().await;
    let path = file(&host, "windlass.db");
    let older = std::fs::read(&path).unwrap();
    host.restart().await;
    let job = host.create_server("web-3").await;
    host.wait_for(&job, "completed").await;
    assert!(host.terminate().await.success());
    std::fs::write(&path, older).unwrap();
    assert_tells(&refusal(&host).await, "an older copy took the file's place");
}
