-- Servers, and those that were. `record` is the whole record as JSON.

CREATE TABLE servers (
    name   TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE deleted_servers (
    number     INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    record     TEXT    NOT NULL,
    deleted_at INTEGER NOT NULL
) STRICT;

CREATE INDEX deleted_servers_by_name ON deleted_servers (name);
