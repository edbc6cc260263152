//! Waits that nobody waits any more.

use async_trait::async_trait;
use rusqlite::params;

use crate::model::names::JobId;
use crate::storage::StorageError;
use crate::storage::sqlite::Sqlite;
use crate::storage::waits::WaitStore;

#[async_trait]
impl WaitStore for Sqlite {
    async fn end_wait(&self, job: &JobId, wait: &str) -> Result<(), StorageError> {
        let (job, wait, doing) = (job.clone(), wait.to_owned(), "noted the end of a wait");
        self.writer
            .durable(doing, move |writing| {
                writing
                    .connection
                    .prepare_cached(
                        "INSERT INTO ended_waits (job, wait)
                         SELECT number, ?2 FROM jobs WHERE id = ?1 ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![job.as_str(), wait])?;
                Ok(())
            })
            .await
    }

    async fn has_ended_wait(&self, job: &JobId, wait: &str) -> Result<bool, StorageError> {
        let (job, wait, doing) = (job.clone(), wait.to_owned(), "looked for the end of a wait");
        self.read(doing, move |reader| {
            let mut select = reader.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM ended_waits
                 WHERE job = (SELECT number FROM jobs WHERE id = ?1) AND wait = ?2)",
            )?;
            Ok(select.query_row(params![job.as_str(), wait], |row| row.get(0))?)
        })
        .await
    }
}
