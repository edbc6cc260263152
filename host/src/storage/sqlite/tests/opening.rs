//! What is no sound database of ours is refused at the start, untouched.

use rusqlite::Connection;

use super::*;

fn refusal(path: &Path) -> String {
    match Sqlite::open(path, &Options::default()) {
        Ok(_) => "none".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_untouched() {
    let bench = Bench::new();
    bench.store.close().await;
    let path = bench.path();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = refusal(&path);
    assert!(refused.contains("newer windlass (schema 99, this one knows "), "{refused}");
}

#[test]
fn plugins_that_an_earlier_program_recorded_stay_as_they_are() {
    let connection = Connection::open_in_memory().unwrap();
    schema::MIGRATIONS[..9].iter().for_each(|it| connection.execute_batch(it).unwrap());
    let insert = "INSERT INTO plugin_versions VALUES
        ('sha256:1', 'echo', '1.0.0', 'upload', 7, 1, 'admin', '{}', NULL, 1),
        ('sha256:2', 'echo', '2.0.0', 'directory', 8, 2, 'directory', '{}', '{}', 0)";
    connection.execute_batch(insert).unwrap();
    schema::migrate(&connection, 9).unwrap();
    let columns = "digest || version || source || size || added_at || added_by || wanted ||
        coalesce(accepted, '-') || is_kept || coalesce(origin, '-')";
    let mut select = connection.prepare(&format!("SELECT {columns} FROM plugin_versions")).unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    let rows: Vec<String> = rows.map(Result::unwrap).collect();
    let expected = ["sha256:11.0.0upload71admin{}-1-", "sha256:22.0.0directory82directory{}{}0-"];
    assert_eq!(rows, expected);
}

#[test]
fn what_is_no_database_of_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, "not a database, but longer than a header is".repeat(100)).unwrap();
    let refused = refusal(&garbage);
    assert!(refused.contains("is damaged: file is not a database"), "{refused}");
    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    let refused = refusal(&other);
    assert!(refused.contains("it is a database of another program"), "{refused}");
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let bench = Bench::new();
    for index in 0..200 {
        bench.submit(index, None).await;
    }
    bench.store.close().await;
    let path = bench.path();
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let refused = refusal(&path);
    assert!(refused.contains("is damaged"), "{refused}");
}

#[test]
fn a_place_where_nothing_can_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = refusal(&folder.path().join("no/such/folder/jobs.db"));
    assert!(refused.contains("cannot be written"), "{refused}");
    let refused = refusal(Path::new("/proc/version"));
    assert!(refused.contains("cannot be written") || refused.contains("damaged"), "{refused}");
}

#[tokio::test]
async fn a_file_that_may_only_be_read_is_refused() {
    let bench = Bench::new();
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(bench.path(), flags).unwrap();
    let refused = schema::prepare(&connection, &bench.path(), "jobs.db").unwrap_err();
    assert!(refused.to_string().starts_with("jobs.db cannot be written"), "{refused}");
}
