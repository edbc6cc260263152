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
