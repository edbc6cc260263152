//! The newest entries of all journals, in the order in which they were written.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use crate::model::journal::{Entry, Feed, News};
use crate::storage::StorageError;
use crate::storage::feed::FeedStore;
use crate::storage::sqlite::Sqlite;
use crate::storage::sqlite::fault::{Fault, column, from_json, number, parse, time};

/// How many entries are kept.
const KEPT: i64 = 100_000;

#[async_trait]
impl FeedStore for Sqlite {
    async fn feed(&self, after: u64, limit: usize) -> Result<Feed, StorageError> {
        self.read("read what happened", move |reader| feed(reader, after, limit)).await
    }

    async fn end_of_feed(&self) -> Result<u64, StorageError> {
        self.read("looked for the newest event", |reader| Ok(edge(reader)?.1)).await
    }
}

/// Adds an entry, and lets the oldest one go.
pub(super) fn add(connection: &Connection, job: i64, seq: i64) -> Result<(), Fault> {
    connection
        .prepare_cached("INSERT INTO feed (job, seq) VALUES (?1, ?2)")?
        .execute([job, seq])?;
    let gone = connection.last_insert_rowid() - KEPT;
    if gone > 0 {
        connection.prepare_cached("DELETE FROM feed WHERE number <= ?1")?.execute([gone])?;
    }
    Ok(())
}

/// The entries after this one. Those of jobs that were removed are gone with them.
pub(super) fn feed(connection: &Connection, after: u64, limit: usize) -> Result<Feed, Fault> {
    let (oldest, newest) = edge(connection)?;
    let is_whole = after <= newest && after.saturating_add(1) >= oldest;
    let after = if after > newest { oldest.saturating_sub(1) } else { after };
    let mut select = connection.prepare_cached(
        "SELECT feed.number, jobs.id, journal.seq, journal.at, journal.body
         FROM feed CROSS JOIN journal ON journal.job = feed.job AND journal.seq = feed.seq
             CROSS JOIN jobs ON jobs.number = feed.job
         WHERE feed.number > ?1 ORDER BY feed.number LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = select.query(params![column(after), limit])?;
    let mut news = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, body): (String, String) = (row.get(1)?, row.get(4)?);
        let (seq, at) = (number(row.get(2)?)?, time(row.get(3)?)?);
        let entry = Entry { seq, at, event: from_json(&body)? };
        news.push(News { number: number(row.get(0)?)?, job: parse(&id)?, entry });
    }
    Ok(Feed { news, is_whole })
}

/// The numbers of the oldest and the newest entry.
fn edge(connection: &Connection) -> Result<(u64, u64), Fault> {
    let edges = ["SELECT min(number) FROM feed", "SELECT max(number) FROM feed"];
    let mut found = [0, 0];
    for (statement, found) in edges.into_iter().zip(&mut found) {
        let edge: Option<i64> = connection
            .prepare_cached(statement)?
            .query_row([], |row| row.get(0))
            .optional()?
            .flatten();
        *found = number(edge.unwrap_or(0))?;
    }
    let [oldest, newest] = found;
    Ok((oldest, newest))
}
