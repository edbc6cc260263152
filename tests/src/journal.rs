//! Changes to a stopped host's database that no host makes: what a crash or a bad plugin would have
//! left.

use std::path::Path;

use rusqlite::{Connection, params};
use windlass::model::names::JobId;

/// Makes a finished job be one whose host died just before the end was written.
pub fn reopen(database: &Path, id: &JobId) {
    let db = Connection::open(database).unwrap();
    let changed = db.execute(
        "UPDATE jobs SET status = 'running', result = NULL, completed_at = NULL WHERE id = ?1",
        params![id.as_str()],
    );
    assert_eq!(changed.unwrap(), 1);
    db.execute(
        "DELETE FROM journal WHERE kind = 'finished'
         AND job = (SELECT number FROM jobs WHERE id = ?1)",
        params![id.as_str()],
    )
    .unwrap();
}

/// Makes a finished job be one whose host died after so many entries of its journal were on disk.
pub fn cut_off(database: &Path, id: &JobId, entries: u64) {
    reopen(database, id);
    let db = Connection::open(database).unwrap();
    db.execute(
        "DELETE FROM journal WHERE seq > ?2 AND job = (SELECT number FROM jobs WHERE id = ?1)",
        params![id.as_str(), i64::try_from(entries).unwrap()],
    )
    .unwrap();
}

/// Puts the record of a server there that no job made.
pub fn put_server(database: &Path, record: &serde_json::Value) {
    let db = Connection::open(database).unwrap();
    let put = db.execute(
        "INSERT INTO servers (name, record) VALUES (?1, ?2)",
        params![record["name"].as_str().unwrap(), record.to_string()],
    );
    assert_eq!(put.unwrap(), 1);
}

/// Makes the journal say that an effect's request was another one.
pub fn change_request(database: &Path, id: &JobId, ordinal: u32) {
    let db = Connection::open(database).unwrap();
    let changed = db.execute(
        "UPDATE journal SET body = json_set(body, '$.digest', 'another')
         WHERE kind = 'outcome' AND json_extract(body, '$.ordinal') = ?2
         AND job = (SELECT number FROM jobs WHERE id = ?1)",
        params![id.as_str(), ordinal],
    );
    assert_eq!(changed.unwrap(), 1);
}

/// Makes the journal end with the intent of the first call of this function, as if the host had
/// died just then.
pub fn forget_outcome(database: &Path, id: &JobId, function: &str) {
    let db = Connection::open(database).unwrap();
    let changed = db.execute(
        "WITH it AS (SELECT number FROM jobs WHERE id = ?1)
         DELETE FROM journal WHERE job = (SELECT number FROM it) AND seq > (
             SELECT min(seq) FROM journal
             WHERE job = (SELECT number FROM it) AND kind = 'intent'
             AND json_extract(body, '$.function') = ?2)",
        params![id.as_str(), function],
    );
    assert!(changed.unwrap() > 0);
}

/// Makes a job's parameters be other ones.
pub fn change_params(database: &Path, id: &JobId, params: &serde_json::Value) {
    let db = Connection::open(database).unwrap();
    let changed = db.execute(
        "UPDATE jobs SET params = ?2 WHERE id = ?1",
        params![id.as_str(), params.to_string()],
    );
    assert_eq!(changed.unwrap(), 1);
}

/// The id of the job that was submitted last.
pub fn newest_job(database: &Path) -> String {
    let db = Connection::open(database).unwrap();
    let newest = "SELECT id FROM jobs ORDER BY number DESC LIMIT 1";
    db.query_row(newest, [], |row| row.get(0)).unwrap()
}

/// How many intents and outcomes of a job a host that died has left on disk.
pub fn effects_on_disk(database: &Path, id: &str) -> u64 {
    let db = Connection::open(database).unwrap();
    let count: i64 = db
        .query_row(
            "SELECT count(*) FROM journal WHERE kind IN ('intent', 'outcome')
             AND job = (SELECT number FROM jobs WHERE id = ?1)",
            params![id],
            |row| row.get(0),
        )
        .unwrap();
    count.unsigned_abs()
}

/// Makes a completed job be one that failed, and that ran a version which nobody has any more.
pub fn fail_with_another_plugin(database: &Path, id: &str) {
    let db = Connection::open(database).unwrap();
    let digest = format!("sha256:{}", "ab".repeat(32));
    let failure = r#"{"code":"no_luck","message":"it did not work out","retry_safe":true}"#;
    let changed = db.execute(
        "UPDATE jobs SET status = 'failed', failure = ?3, plugin_digest = ?2 WHERE id = ?1",
        params![id, digest, failure],
    );
    assert_eq!(changed.unwrap(), 1);
}
