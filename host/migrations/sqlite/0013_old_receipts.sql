-- Receipts of commands that nobody will ask for again and that may still lie on their servers: written
-- with the end of their job, and removed when they are.

CREATE TABLE old_receipts (
    job    TEXT    NOT NULL,
    effect INTEGER NOT NULL,
    server TEXT    NOT NULL,
    PRIMARY KEY (job, effect)
) STRICT, WITHOUT ROWID;

CREATE INDEX old_receipts_by_server ON old_receipts (server);
