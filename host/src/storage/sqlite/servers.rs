//! Records of servers.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Rows, params};

use crate::model::names::ServerName;
use crate::model::server::Server;
use crate::storage::sqlite::fault::{Fault, from_json, to_json};
use crate::storage::sqlite::{apps, config, receipts};

/// The record of a server, or none.
pub(super) fn server(connection: &Connection, name: &ServerName) -> Result<Option<Server>, Fault> {
    let record: Option<String> = connection
        .prepare_cached("SELECT record FROM servers WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    record.map(|record| decode(connection, &record)).transpose()
}

/// All records, by name.
pub(super) fn servers(connection: &Connection) -> Result<Vec<Server>, Fault> {
    let mut select = connection.prepare_cached("SELECT record FROM servers ORDER BY name")?;
    decoded(connection, select.query([])?)
}

/// This server, those that have a DNS record of this name or id, and those of apps that have one.
pub(super) fn dns_owners(
    connection: &Connection,
    value: &str,
    own: Option<&ServerName>,
) -> Result<Vec<Server>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT record FROM servers
         WHERE name = ?2 OR name IN (SELECT server FROM dns_owners WHERE value = ?1)",
    )?;
    decoded(connection, select.query(params![value, own.map(ServerName::as_str)])?)
}

fn decoded(connection: &Connection, mut rows: Rows<'_>) -> Result<Vec<Server>, Fault> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let record: String = row.get(0)?;
        found.push(decode(connection, &record)?);
    }
    Ok(found)
}

/// Writes a record; one of the same name is replaced.
pub(super) fn put(connection: &Connection, server: &Server) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO servers (name, record) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET record = excluded.record",
        )?
        .execute(params![server.name.as_str(), to_json(server)?])?;
    Ok(())
}

/// Changes the newest record in place. None when there is none.
pub(super) fn change(
    connection: &Connection,
    name: &ServerName,
    change: impl FnOnce(&mut Server),
) -> Result<Option<Server>, Fault> {
    let Some(mut found) = server(connection, name)? else { return Ok(None) };
    change(&mut found);
    put(connection, &found)?;
    Ok(Some(found))
}

/// Moves a record to the history. What belongs to the server goes with it.
pub(super) fn remove(
    connection: &Connection,
    name: &ServerName,
    now: Timestamp,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO deleted_servers (name, record, deleted_at)
             SELECT name, record, ?2 FROM servers WHERE name = ?1",
        )?
        .execute(params![name.as_str(), now.as_microsecond()])?;
    connection.prepare_cached("DELETE FROM servers WHERE name = ?1")?.execute([name.as_str()])?;
    apps::forget(connection, name)?;
    receipts::drop_of(connection, name)?;
    config::delete_secrets(connection, &format!("server/{name}/"))
}

/// Which apps a server has stands with the apps, and they may protect it.
fn decode(connection: &Connection, record: &str) -> Result<Server, Fault> {
    let mut server: Server = from_json(record)?;
    server.apps = apps::names(connection, &server.name)?;
    server.protected = server.deletion_protection.holds(&server.apps);
    Ok(server)
}
