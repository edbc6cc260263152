//! Receipts that are to be removed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use crate::model::job::Lease;
use crate::model::names::{Identity, ServerName};
use crate::storage::StorageError;
use crate::storage::receipts::ReceiptStore;
use crate::storage::sqlite::Sqlite;
use crate::storage::sqlite::fault::{Fault, parse};
use crate::storage::sqlite::journal::Deferred;

#[async_trait]
impl ReceiptStore for Sqlite {
    fn leave_receipts(&self, lease: &Lease, server: &ServerName, receipts: Vec<Identity>) {
        let (lease, server) = (lease.clone(), server.clone());
        self.writer.defer(Deferred::Leave { lease, server, receipts });
    }

    async fn left_receipts(&self) -> Result<BTreeMap<ServerName, Vec<Identity>>, StorageError> {
        self.read("looked for old receipts", left).await
    }

    async fn removed_receipts(&self, receipts: &[Identity]) -> Result<(), StorageError> {
        let (receipts, doing) = (receipts.to_vec(), "noted that receipts are gone");
        self.writer
            .relaxed(doing, move |writing| {
                let mut delete = writing
                    .connection
                    .prepare_cached("DELETE FROM old_receipts WHERE job = ?1 AND effect = ?2")?;
                for Identity { job, effect } in &receipts {
                    delete.execute(params![job.as_str(), effect])?;
                }
                Ok(())
            })
            .await
    }
}

/// Notes receipts that are to be removed.
pub(super) fn leave(
    connection: &Connection,
    server: &ServerName,
    receipts: &[Identity],
) -> Result<(), Fault> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO old_receipts (job, effect, server) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    for Identity { job, effect } in receipts {
        insert.execute(params![job.as_str(), effect, server.as_str()])?;
    }
    Ok(())
}

/// Those of a server that is gone went with it.
pub(super) fn drop_of(connection: &Connection, server: &ServerName) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM old_receipts WHERE server = ?1")?
        .execute([server.as_str()])?;
    Ok(())
}

fn left(connection: &Connection) -> Result<BTreeMap<ServerName, Vec<Identity>>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT server, job, effect FROM old_receipts ORDER BY server, job, effect",
    )?;
    let mut rows = select.query([])?;
    let mut left: BTreeMap<ServerName, Vec<Identity>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (server, job): (String, String) = (row.get(0)?, row.get(1)?);
        let receipt = Identity { job: parse(&job)?, effect: row.get(2)? };
        left.entry(parse(&server)?).or_default().push(receipt);
    }
    Ok(left)
}
