//! Providers, callers' tokens, sealed secrets, and who did what.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::model::job::Lease;
use crate::storage::sqlite::fault::{Fault, parse, time, to_json};
use crate::storage::sqlite::{Sqlite, journal};
use crate::storage::{
    AuditRecord, ConfigStore, Place, ProviderConfig, Sealed, StorageError, Token,
};

#[async_trait]
impl ConfigStore for Sqlite {
    async fn put_provider(&self, provider: ProviderConfig) -> Result<(), StorageError> {
        let doing = "wrote a provider";
        self.writer.durable(doing, move |writing| put_provider(writing.connection, &provider)).await
    }

    async fn providers(&self) -> Result<Vec<ProviderConfig>, StorageError> {
        self.read_short("listed providers", providers).await
    }

    async fn put_token(&self, token: Token) -> Result<(), StorageError> {
        let doing = "wrote a token";
        self.writer.durable(doing, move |writing| put_token(writing.connection, &token)).await
    }

    async fn token(&self, hash: &str) -> Result<Option<Token>, StorageError> {
        let hash = hash.to_owned();
        self.read_short("looked for a token", move |reader| token(reader, &hash)).await
    }

    async fn tokens(&self) -> Result<Vec<Token>, StorageError> {
        self.read("listed tokens", tokens).await
    }

    async fn delete_token(&self, name: &str) -> Result<bool, StorageError> {
        let (name, doing) = (name.to_owned(), "removed a token");
        self.writer.durable(doing, move |writing| delete_token(writing.connection, &name)).await
    }

    async fn ensure_secret(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, StorageError> {
        let (name, sealed, doing) = (name.to_owned(), sealed.to_vec(), "wrote a secret");
        self.writer
            .durable(doing, move |writing| ensure_secret(writing.connection, &name, &sealed))
            .await
    }

    async fn add_secret(
        &self,
        lease: &Lease,
        name: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, StorageError> {
        let (lease, name, sealed) = (lease.clone(), name.to_owned(), sealed.to_vec());
        self.writer
            .ordered("wrote a secret", move |writing| {
                journal::hold(writing.connection, &lease)?;
                ensure_secret(writing.connection, &name, &sealed)
            })
            .await
    }

    async fn put_secret(&self, name: &str, sealed: &[u8]) -> Result<(), StorageError> {
        let (name, sealed, doing) = (name.to_owned(), sealed.to_vec(), "wrote a secret");
        self.writer
            .durable(doing, move |writing| put_secret(writing.connection, &name, &sealed))
            .await
    }

    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let name = name.to_owned();
        self.read_short("read a secret", move |reader| secret(reader, &name)).await
    }

    async fn secrets(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let prefix = prefix.to_owned();
        self.read_short("read secrets", move |reader| secrets(reader, &prefix)).await
    }

    async fn sealed(&self) -> Result<Vec<Sealed>, StorageError> {
        self.read("read what is sealed", sealed).await
    }

    async fn reseal(&self, values: Vec<Sealed>) -> Result<(), StorageError> {
        let doing = "sealed its secrets anew";
        self.writer.durable(doing, move |writing| reseal(writing.connection, &values)).await
    }

    async fn delete_secrets(&self, prefix: &str) -> Result<(), StorageError> {
        let (prefix, doing) = (prefix.to_owned(), "removed secrets");
        self.writer.durable(doing, move |writing| delete_secrets(writing.connection, &prefix)).await
    }

    async fn audit(&self, record: AuditRecord) -> Result<(), StorageError> {
        let doing = "wrote to the audit log";
        self.writer.durable(doing, move |writing| audit(writing.connection, &record)).await
    }
}

/// Writes how a provider is reached. One that becomes the default is the only one.
pub(super) fn put_provider(
    connection: &Connection,
    provider: &ProviderConfig,
) -> Result<(), Fault> {
    if provider.default {
        connection
            .prepare_cached("UPDATE providers SET is_default = 0 WHERE is_default = 1")?
            .execute([])?;
    }
    connection
        .prepare_cached(
            "INSERT INTO providers (kind, token, endpoint, is_default) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind) DO UPDATE SET token = excluded.token,
                 endpoint = excluded.endpoint, is_default = excluded.is_default",
        )?
        .execute(params![
            provider.kind.as_str(),
            provider.token,
            provider.endpoint,
            provider.default
        ])?;
    Ok(())
}

/// The configured providers.
pub(super) fn providers(connection: &Connection) -> Result<Vec<ProviderConfig>, Fault> {
    let mut select = connection
        .prepare_cached("SELECT kind, token, endpoint, is_default FROM providers ORDER BY kind")?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let kind: String = row.get(0)?;
        found.push(ProviderConfig {
            kind: parse(&kind)?,
            token: row.get(1)?,
            endpoint: row.get(2)?,
            default: row.get(3)?,
        });
    }
    Ok(found)
}

/// Writes a token; one of the same name is replaced.
pub(super) fn put_token(connection: &Connection, token: &Token) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO tokens (name, hash, scope, created_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, scope = excluded.scope,
                 created_at = excluded.created_at",
        )?
        .execute(params![token.name, token.hash, token.scope, token.created_at.as_microsecond()])?;
    Ok(())
}

/// The token with this hash, or none.
pub(super) fn token(connection: &Connection, hash: &str) -> Result<Option<Token>, Fault> {
    let mut select = connection
        .prepare_cached("SELECT name, hash, scope, created_at FROM tokens WHERE hash = ?1")?;
    let mut rows = select.query([hash])?;
    rows.next()?.map(decode_token).transpose()
}

/// All tokens, by name.
pub(super) fn tokens(connection: &Connection) -> Result<Vec<Token>, Fault> {
    let mut select = connection
        .prepare_cached("SELECT name, hash, scope, created_at FROM tokens ORDER BY name")?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(decode_token(row)?);
    }
    Ok(found)
}

/// Removes a token. Answers whether there was one.
pub(super) fn delete_token(connection: &Connection, name: &str) -> Result<bool, Fault> {
    let removed =
        connection.prepare_cached("DELETE FROM tokens WHERE name = ?1")?.execute([name])?;
    Ok(removed > 0)
}

/// Writes a secret unless there is one, and answers the one that is there then.
pub(super) fn ensure_secret(
    connection: &Connection,
    name: &str,
    sealed: &[u8],
) -> Result<Vec<u8>, Fault> {
    connection
        .prepare_cached(
            "INSERT INTO secrets (name, sealed) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        )?
        .execute(params![name, sealed])?;
    let kept = connection
        .prepare_cached("SELECT sealed FROM secrets WHERE name = ?1")?
        .query_row([name], |row| row.get(0))?;
    Ok(kept)
}

/// Writes a secret; one of the same name is replaced.
pub(super) fn put_secret(connection: &Connection, name: &str, sealed: &[u8]) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO secrets (name, sealed) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed",
        )?
        .execute(params![name, sealed])?;
    Ok(())
}

/// A secret, still sealed, or none.
pub(super) fn secret(connection: &Connection, name: &str) -> Result<Option<Vec<u8>>, Fault> {
    let found = connection
        .prepare_cached("SELECT sealed FROM secrets WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(found)
}

/// The secrets whose names begin so, by name.
pub(super) fn secrets(
    connection: &Connection,
    prefix: &str,
) -> Result<Vec<(String, Vec<u8>)>, Fault> {
    // No name goes on with the last character that there is.
    let mut select = connection.prepare_cached(
        "SELECT name, sealed FROM secrets WHERE name >= ?1 AND name < ?1 || char(1114111)
         ORDER BY name",
    )?;
    let rows = select.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Everything that is sealed.
pub(super) fn sealed(connection: &Connection) -> Result<Vec<Sealed>, Fault> {
    let secrets = secrets(connection, "")?.into_iter();
    let mut found: Vec<Sealed> =
        secrets.map(|(name, bytes)| Sealed { place: Place::Secret(name), bytes }).collect();
    for provider in providers(connection)? {
        let place = Place::ProviderToken(provider.kind);
        found.extend(provider.token.map(|bytes| Sealed { place, bytes }));
    }
    Ok(found)
}

/// Replaces sealed values. What they were is overwritten, so that the key that it was sealed with
/// opens nothing any more.
pub(super) fn reseal(connection: &Connection, values: &[Sealed]) -> Result<(), Fault> {
    connection.query_row("PRAGMA secure_delete = ON", [], |_| Ok(()))?;
    for Sealed { place, bytes } in values {
        let changed = match place {
            Place::Secret(name) => connection
                .prepare_cached("UPDATE secrets SET sealed = ?2 WHERE name = ?1")?
                .execute(params![name, bytes])?,
            Place::ProviderToken(kind) => connection
                .prepare_cached("UPDATE providers SET token = ?2 WHERE kind = ?1")?
                .execute(params![kind.as_str(), bytes])?,
        };
        if changed != 1 {
            return Err(Fault::Stored(format!("`{}` is gone", place.name())));
        }
    }
    Ok(())
}

/// Removes the secrets whose names begin so.
pub(super) fn delete_secrets(connection: &Connection, prefix: &str) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM secrets WHERE name >= ?1 AND name < ?1 || char(1114111)")?
        .execute([prefix])?;
    Ok(())
}

/// Notes who did what.
pub(super) fn audit(connection: &Connection, record: &AuditRecord) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO audit (at, caller, action, target, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            record.at.as_microsecond(),
            record.by,
            record.action,
            record.target,
            to_json(&record.detail)?
        ])?;
    Ok(())
}

fn decode_token(row: &Row<'_>) -> Result<Token, Fault> {
    Ok(Token {
        name: row.get(0)?,
        hash: row.get(1)?,
        scope: row.get(2)?,
        created_at: time(row.get(3)?)?,
    })
}
