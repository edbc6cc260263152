-- Plugins from a registry, and where in it they are. A check cannot be widened, so the table is made
-- anew; nothing refers to it.

CREATE TABLE plugin_versions_with_origin (
    digest   TEXT    NOT NULL PRIMARY KEY,
    name     TEXT    NOT NULL,
    version  TEXT    NOT NULL,
    source   TEXT    NOT NULL CHECK (source IN ('built-in', 'upload', 'directory', 'registry')),
    -- oci://…@sha256:…, as whoever sent it said.
    origin   TEXT    CHECK (origin IS NULL OR source = 'registry'),
    size     INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    added_by TEXT    NOT NULL,
    -- What it asks for, and what of that was accepted; NULL: nobody has answered yet.
    wanted   TEXT    NOT NULL,
    accepted TEXT,
    -- Whether its bytes are in the home. A row without them is there for the history.
    is_kept  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO plugin_versions_with_origin
    (digest, name, version, source, size, added_at, added_by, wanted, accepted, is_kept)
SELECT digest, name, version, source, size, added_at, added_by, wanted, accepted, is_kept
FROM plugin_versions;

DROP TABLE plugin_versions;

ALTER TABLE plugin_versions_with_origin RENAME TO plugin_versions;

CREATE INDEX plugin_versions_by_name ON plugin_versions (name);
