//! Versions of plugins, their activations and trials.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::model::job::JobStatus;
use crate::model::names::{Digest, Origin};
use crate::model::plugin::{Activation, Canary, NewActivation, PluginVersion, Tally};
use crate::storage::StorageError;
use crate::storage::plugins::{CollectRules, PluginChange, PluginStore};
use crate::storage::sqlite::Sqlite;
use crate::storage::sqlite::fault::{Fault, column, from_json, number, parse, time, to_json};

/// How many of the newest jobs of a version say how it does.
const TALLIED: usize = 1_000;

#[async_trait]
impl PluginStore for Sqlite {
    async fn change_plugins(&self, change: PluginChange) -> Result<(), StorageError> {
        let doing = "wrote about plugins";
        self.writer.durable(doing, move |writing| write(writing.connection, &change)).await
    }

    async fn plugin_versions(&self) -> Result<Vec<PluginVersion>, StorageError> {
        self.read("listed plugins", versions).await
    }

    async fn plugin_version(&self, digest: &Digest) -> Result<Option<PluginVersion>, StorageError> {
        let digest = digest.clone();
        self.read_short("looked for a plugin", move |reader| version(reader, &digest)).await
    }

    async fn active_plugins(&self) -> Result<Vec<Activation>, StorageError> {
        self.read("listed the active plugins", active).await
    }

    async fn activations(&self, name: &str, limit: usize) -> Result<Vec<Activation>, StorageError> {
        let (name, doing) = (name.to_owned(), "read a plugin's history");
        self.read(doing, move |reader| activations(reader, &name, limit)).await
    }

    async fn canaries(&self) -> Result<Vec<Canary>, StorageError> {
        self.read("listed canaries", canaries).await
    }

    async fn tally(&self, digest: &Digest, since: Timestamp) -> Result<Tally, StorageError> {
        let (digest, doing) = (digest.clone(), "counted a plugin's jobs");
        self.read(doing, move |reader| tally(reader, &digest, since)).await
    }

    async fn collect_plugins(&self, rules: CollectRules) -> Result<Vec<Digest>, StorageError> {
        let doing = "looked for plugins that nobody needs";
        self.writer.durable(doing, move |writing| collect(writing.connection, &rules)).await
    }
}

fn write(connection: &Connection, change: &PluginChange) -> Result<(), Fault> {
    for version in &change.versions {
        put_version(connection, version)?;
    }
    for digest in &change.kept {
        connection
            .prepare_cached("UPDATE plugin_versions SET is_kept = 1 WHERE digest = ?1")?
            .execute([digest.as_str()])?;
    }
    for (digest, accepted) in &change.accepted {
        connection
            .prepare_cached("UPDATE plugin_versions SET accepted = ?2 WHERE digest = ?1")?
            .execute(params![digest.as_str(), to_json(accepted)?])?;
    }
    for activation in &change.activations {
        activate(connection, activation)?;
        end_canary(connection, &activation.name)?;
    }
    if let Some(name) = &change.end_canary {
        end_canary(connection, name)?;
    }
    if let Some(canary) = &change.canary {
        put_canary(connection, canary)?;
    }
    for digest in &change.forget {
        connection
            .prepare_cached("DELETE FROM plugin_versions WHERE digest = ?1")?
            .execute([digest.as_str()])?;
    }
    Ok(())
}

fn put_version(connection: &Connection, version: &PluginVersion) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO plugin_versions
                 (digest, name, version, source, size, added_at, added_by, wanted, accepted, is_kept,
                  origin)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (digest) DO UPDATE SET
                 source = excluded.source, added_at = excluded.added_at,
                 added_by = excluded.added_by, wanted = excluded.wanted,
                 accepted = excluded.accepted, is_kept = excluded.is_kept,
                 origin = excluded.origin",
        )?
        .execute(params![
            version.digest.as_str(),
            version.name,
            version.version,
            version.source.as_str(),
            column(version.size),
            version.added_at.as_microsecond(),
            version.added_by,
            to_json(&version.wanted)?,
            version.accepted.as_ref().map(to_json).transpose()?,
            version.is_kept,
            version.origin.as_ref().map(Origin::as_str),
        ])?;
    Ok(())
}

fn activate(connection: &Connection, activation: &NewActivation) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO activations (name, digest, previous, cause, at, caller, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            activation.name,
            activation.digest.as_ref().map(Digest::as_str),
            activation.previous.as_ref().map(Digest::as_str),
            activation.cause.as_str(),
            activation.at.as_microsecond(),
            activation.by,
            activation.reason,
        ])?;
    Ok(())
}

fn put_canary(connection: &Connection, canary: &Canary) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO canaries (name, digest, percent, since) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO UPDATE SET digest = excluded.digest,
                 percent = excluded.percent, since = excluded.since",
        )?
        .execute(params![
            canary.name,
            canary.digest.as_str(),
            canary.percent,
            canary.since.as_microsecond()
        ])?;
    Ok(())
}

fn end_canary(connection: &Connection, name: &str) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM canaries WHERE name = ?1")?.execute([name])?;
    Ok(())
}

fn versions(connection: &Connection) -> Result<Vec<PluginVersion>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT digest, name, version, source, size, added_at, added_by, wanted, accepted, is_kept,
                origin
         FROM plugin_versions ORDER BY name, added_at, digest",
    )?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(decode_version(row)?);
    }
    Ok(found)
}

fn version(connection: &Connection, digest: &Digest) -> Result<Option<PluginVersion>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT digest, name, version, source, size, added_at, added_by, wanted, accepted, is_kept,
                origin
         FROM plugin_versions WHERE digest = ?1",
    )?;
    let mut rows = select.query([digest.as_str()])?;
    rows.next()?.map(decode_version).transpose()
}

fn active(connection: &Connection) -> Result<Vec<Activation>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT number, name, digest, previous, cause, at, caller, reason FROM activations
         WHERE number IN (
             SELECT max(number) FROM activations WHERE cause <> 'canary' GROUP BY name)
         ORDER BY name",
    )?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(decode_activation(row)?);
    }
    Ok(found)
}

fn activations(
    connection: &Connection,
    name: &str,
    limit: usize,
) -> Result<Vec<Activation>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT number, name, digest, previous, cause, at, caller, reason FROM activations
         WHERE name = ?1 ORDER BY number DESC LIMIT ?2",
    )?;
    let mut rows = select.query(params![name, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(decode_activation(row)?);
    }
    Ok(found)
}

fn canaries(connection: &Connection) -> Result<Vec<Canary>, Fault> {
    let mut select = connection
        .prepare_cached("SELECT name, digest, percent, since FROM canaries ORDER BY name")?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let digest: String = row.get(1)?;
        found.push(Canary {
            name: row.get(0)?,
            digest: parse(&digest)?,
            percent: row.get(2)?,
            since: time(row.get(3)?)?,
        });
    }
    Ok(found)
}

/// Only the newest jobs that ended are looked at: a version may have had a million of them.
pub(super) fn tally(
    connection: &Connection,
    digest: &Digest,
    since: Timestamp,
) -> Result<Tally, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT number, coalesce(started_at, 0) >= ?3 FROM jobs
         WHERE plugin_digest = ?1 AND status = ?2 ORDER BY number DESC LIMIT ?4",
    )?;
    let (since, limit) = (since.as_microsecond(), i64::try_from(TALLIED).unwrap_or(i64::MAX));
    let mut ended: Vec<(i64, bool, JobStatus)> = Vec::new();
    for status in [JobStatus::Completed, JobStatus::Failed, JobStatus::Uncertain] {
        let mut rows = select.query(params![digest.as_str(), status.as_str(), since, limit])?;
        while let Some(row) = rows.next()? {
            ended.push((row.get(0)?, row.get(1)?, status));
        }
    }
    ended.sort_unstable_by_key(|(place, ..)| std::cmp::Reverse(*place));
    ended.truncate(TALLIED);
    let mut tally = Tally::default();
    for (.., status) in ended.iter().filter(|(_, began_since, _)| *began_since) {
        match status {
            JobStatus::Completed => tally.completed += 1,
            _ => tally.failed += 1,
        }
    }
    Ok(tally)
}

/// What jobs began with stays, as long as they are not known to need it no more; so does what can
/// be gone back to, what is tried or waits for an answer, and what was brought for later.
pub(super) fn collect(connection: &Connection, rules: &CollectRules) -> Result<Vec<Digest>, Fault> {
    let mut update = connection.prepare_cached(
        "UPDATE plugin_versions SET is_kept = 0
         WHERE is_kept = 1 AND accepted IS NOT NULL
           AND digest NOT IN (SELECT value FROM json_each(?1))
           AND digest NOT IN (SELECT digest FROM canaries)
           AND NOT EXISTS (
               SELECT 1 FROM jobs WHERE plugin_digest = plugin_versions.digest
                 AND status IN ('queued', 'running', 'failed', 'cancelled', 'uncertain'))
           AND digest NOT IN (SELECT json_extract(record, '$.plugin.digest') FROM apps)
           AND digest NOT IN (
               SELECT digest FROM (
                   SELECT digest, row_number() OVER (PARTITION BY name ORDER BY number DESC) AS place
                   FROM activations)
               WHERE place <= ?2 AND digest IS NOT NULL)
           AND (added_at < ?3 OR source = 'built-in'
                OR digest IN (SELECT digest FROM activations WHERE digest IS NOT NULL))
         RETURNING digest",
    )?;
    let in_use: Vec<&str> = rules.in_use.iter().map(Digest::as_str).collect();
    let fresh = rules.fresh_since.as_microsecond();
    let mut rows = update.query(params![to_json(&in_use)?, rules.recent, fresh])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let digest: String = row.get(0)?;
        found.push(parse(&digest)?);
    }
    Ok(found)
}

fn decode_version(row: &Row<'_>) -> Result<PluginVersion, Fault> {
    let text = |index: usize| -> Result<String, Fault> { Ok(row.get(index)?) };
    let accepted: Option<String> = row.get(8)?;
    let origin: Option<String> = row.get(10)?;
    Ok(PluginVersion {
        digest: parse(&text(0)?)?,
        name: text(1)?,
        version: text(2)?,
        source: parse(&text(3)?)?,
        size: number(row.get(4)?)?,
        added_at: time(row.get(5)?)?,
        added_by: text(6)?,
        wanted: from_json(&text(7)?)?,
        accepted: accepted.map(|accepted| from_json(&accepted)).transpose()?,
        is_kept: row.get(9)?,
        origin: origin.map(|origin| parse(&origin)).transpose()?,
    })
}

fn decode_activation(row: &Row<'_>) -> Result<Activation, Fault> {
    let digest = |index: usize| -> Result<Option<Digest>, Fault> {
        row.get::<_, Option<String>>(index)?.map(|digest| parse(&digest)).transpose()
    };
    let cause: String = row.get(4)?;
    Ok(Activation {
        number: number(row.get(0)?)?,
        entry: NewActivation {
            name: row.get(1)?,
            digest: digest(2)?,
            previous: digest(3)?,
            cause: parse(&cause)?,
            at: time(row.get(5)?)?,
            by: row.get(6)?,
            reason: row.get(7)?,
        },
    })
}
