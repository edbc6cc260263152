-- Versions of plugins, which was active when, and which is being tried. Times are microseconds
-- since 1970, UTC.

CREATE TABLE plugin_versions (
    digest   TEXT    NOT NULL PRIMARY KEY,
    name     TEXT    NOT NULL,
    version  TEXT    NOT NULL,
    source   TEXT    NOT NULL CHECK (source IN ('built-in', 'upload', 'directory')),
    size     INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    added_by TEXT    NOT NULL,
    -- What it asks for, and what of that was accepted; NULL: nobody has answered yet.
    wanted   TEXT    NOT NULL,
    accepted TEXT,
    -- Whether its bytes are in the home. A row without them is there for the history.
    is_kept  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX plugin_versions_by_name ON plugin_versions (name);

CREATE TABLE activations (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    name     TEXT    NOT NULL,
    -- NULL: it was taken out of use.
    digest   TEXT,
    previous TEXT,
    cause    TEXT    NOT NULL
        CHECK (cause IN ('built-in', 'return', 'operator', 'directory', 'rollback', 'canary',
                         'removal')),
    at       INTEGER NOT NULL,
    caller   TEXT    NOT NULL,
    reason   TEXT    NOT NULL
) STRICT;

CREATE INDEX activations_by_name ON activations (name);

CREATE TABLE canaries (
    name    TEXT    NOT NULL PRIMARY KEY,
    digest  TEXT    NOT NULL,
    percent INTEGER NOT NULL,
    since   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_by_plugin ON jobs (plugin_digest, status) WHERE plugin_digest IS NOT NULL;
