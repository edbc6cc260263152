//! One verb within a transaction: what it may write, how its failure leaves the others alone, and
//! who is answered after the commit.

use std::panic::AssertUnwindSafe;

use rusqlite::Connection;
use tracing::{error, warn};

use crate::storage::Change;
use crate::storage::sqlite::fault::{Cause, Fault};

/// Answers a caller, given how the commit went.
pub(super) type Answer = Box<dyn FnOnce(Result<(), &Cause>) + Send>;

/// A transaction in which a verb writes.
pub(super) struct Writing<'c> {
    /// The connection, inside the transaction.
    pub(super) connection: &'c Connection,
    /// What is told to everybody after the commit.
    pub(super) changes: Vec<Change>,
}

/// Given the transaction, or why there is none.
pub(super) type Verb = Box<dyn FnOnce(Result<&mut Writing<'_>, &Cause>) -> Done + Send>;

/// A verb that ran and waits for the commit.
pub(super) struct Done {
    /// Whether what it wrote stays.
    pub(super) kept: bool,
    /// SQLite's reason, if it was one.
    pub(super) cause: Option<Cause>,
    /// Tells its caller.
    pub(super) answer: Answer,
}

impl Writing<'_> {
    /// Notes what is told to everybody after the commit.
    pub(super) fn changed(&mut self, change: Change) {
        // That there is something to claim is told once for all of them.
        let is_told = match &change {
            Change::Claimable => self.changes.contains(&change),
            Change::Job(_) | Change::CancelRequested(_) => self.changes.last() == Some(&change),
        };
        if !is_told {
            self.changes.push(change);
        }
    }
}

/// Counts a commit that is to reach the disk. Answers how many there were.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("UPDATE counters SET n = n + 1 WHERE name = 'commits' RETURNING n")?
        .query_row([], |row| row.get(0))
}

/// Runs a verb so that its failure leaves the others of the transaction alone.
pub(super) fn run_verb(writing: &mut Writing<'_>, verb: Verb) -> Done {
    let mark = writing.changes.len();
    if let Err(error) = cached(writing.connection, "SAVEPOINT verb") {
        return verb(Err(&error.into()));
    }
    let verb = AssertUnwindSafe(|| verb(Ok(&mut *writing)));
    let done = std::panic::catch_unwind(verb).unwrap_or_else(|_panic| {
        error!("a verb of the store panicked; its caller is refused");
        Done { kept: false, cause: None, answer: Box::new(|_| ()) }
    });
    if done.kept && cached(writing.connection, "RELEASE verb").is_ok() {
        return done;
    }
    writing.changes.truncate(mark);
    undo(writing.connection);
    done
}

/// The same for one whose answer is needed at once.
pub(super) fn savepoint(
    writing: &mut Writing<'_>,
    verb: impl FnOnce(&mut Writing<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mark = writing.changes.len();
    cached(writing.connection, "SAVEPOINT verb")?;
    let result = verb(writing);
    if result.is_ok() {
        cached(writing.connection, "RELEASE verb")?;
    } else {
        writing.changes.truncate(mark);
        undo(writing.connection);
    }
    result
}

/// SQLite may have given up the whole transaction by itself: then there is no savepoint any more.
fn undo(connection: &Connection) {
    if !connection.is_autocommit() {
        let undone = connection.execute_batch("ROLLBACK TO verb; RELEASE verb");
        if let Err(error) = undone {
            warn!(reason = %error, "a savepoint could not be undone");
            connection.execute_batch("ROLLBACK").ok();
        }
    }
}

/// Why the transaction is gone, if it is.
pub(super) fn lost(connection: &Connection, cause: Option<Cause>) -> Option<Cause> {
    connection
        .is_autocommit()
        .then(|| cause.unwrap_or_else(|| Cause::other("the transaction was given up")))
}

/// Runs a statement that is run again and again.
pub(super) fn cached(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}
