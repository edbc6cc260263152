//! What a plan is made from, as one value that a transaction can compare.

use async_trait::async_trait;
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::model::names::ServerName;
use crate::storage::planned::{Basis, PlanStore, Planned};
use crate::storage::sqlite::fault::Fault;
use crate::storage::sqlite::verb::Writing;
use crate::storage::sqlite::{Sqlite, journal};
use crate::storage::{NewJob, StorageError};

/// Everything but jobs, in pairs. Of a secret it is that there is one.
const RECORDS: [&str; 7] = [
    "SELECT name, record FROM servers ORDER BY name",
    "SELECT server || '/' || name, record FROM apps ORDER BY server, name",
    "SELECT name, '' FROM secrets ORDER BY name",
    "SELECT kind, is_default || coalesce(endpoint, '') FROM providers ORDER BY kind",
    "SELECT digest, coalesce(accepted, '') FROM plugin_versions ORDER BY digest",
    "SELECT name, digest FROM canaries ORDER BY name",
    "SELECT 'activations', CAST(coalesce(max(number), 0) AS TEXT) FROM activations",
];

#[async_trait]
impl PlanStore for Sqlite {
    async fn basis(&self, server: &ServerName) -> Result<Basis, StorageError> {
        let server = server.clone();
        self.read("read what a plan is made from", move |reader| basis(reader, &server)).await
    }
}

/// Whether nothing has changed that the plan was made from.
pub(super) fn holds(connection: &Connection, planned: &Planned) -> Result<bool, Fault> {
    Ok(basis(connection, &planned.server)? == planned.basis)
}

/// Lets a job run the version that ran in its plan.
pub(super) fn pin(
    writing: &mut Writing<'_>,
    planned: &Planned,
    number: i64,
    job: &NewJob,
) -> Result<(), Fault> {
    let Some(pin) = planned.pin(&job.operation) else { return Ok(()) };
    journal::pin(writing, (number, &job.id), pin, job.now)
}

fn basis(connection: &Connection, server: &ServerName) -> Result<Basis, Fault> {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        // The length first: no two lists of texts are the same bytes.
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(text);
    };
    for statement in RECORDS {
        add(statement);
        let mut select = connection.prepare_cached(statement)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            add(&row.get::<_, String>(0)?);
            add(&row.get::<_, String>(1)?);
        }
    }
    for job in unfinished(connection, server)? {
        add(&job);
    }
    Ok(Basis(hash.finalize().into()))
}

/// The ids of the jobs that something new on this server would come after.
fn unfinished(connection: &Connection, server: &ServerName) -> Result<Vec<String>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT id FROM jobs WHERE server = ?1 AND status IN ('queued', 'running')",
    )?;
    let mut rows = select.query([server.as_str()])?;
    let mut found: Vec<String> = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(row.get(0)?);
    }
    found.sort_unstable();
    Ok(found)
}
