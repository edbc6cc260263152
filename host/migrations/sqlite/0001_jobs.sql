-- Jobs, what each waits for, and their journals. Times are microseconds since 1970, UTC.

CREATE TABLE jobs (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT    NOT NULL UNIQUE,
    operation        TEXT    NOT NULL,
    params           TEXT    NOT NULL,
    server           TEXT,
    retry_of         TEXT,
    root             TEXT    NOT NULL,
    depends_on       TEXT    NOT NULL,
    status           TEXT    NOT NULL
        CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled', 'uncertain')),
    -- Nothing older on the same server is unfinished, and all that it depends on is completed.
    -- Kept by the transactions that change that, so that a claim is one look-up.
    ready            INTEGER NOT NULL,
    attempt          INTEGER NOT NULL DEFAULT 0,
    fence            INTEGER NOT NULL DEFAULT 0,
    worker           TEXT,
    lease_until      INTEGER,
    plugin_name      TEXT,
    plugin_version   TEXT,
    plugin_digest    TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    view             TEXT,
    result           TEXT,
    failure          TEXT,
    created_at       INTEGER NOT NULL,
    started_at       INTEGER,
    completed_at     INTEGER
) STRICT;

-- Each index ends with the row's number, as every index of SQLite does: pages come in its order.
CREATE INDEX jobs_claimable ON jobs (number) WHERE status = 'queued' AND ready = 1;
CREATE INDEX jobs_by_status ON jobs (status);
CREATE INDEX jobs_by_operation ON jobs (operation, status);
CREATE INDEX jobs_by_server ON jobs (server, status) WHERE server IS NOT NULL;

CREATE TABLE dependencies (
    job   INTEGER NOT NULL,
    needs INTEGER NOT NULL,
    PRIMARY KEY (job, needs),
    FOREIGN KEY (job) REFERENCES jobs (number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX dependencies_by_needs ON dependencies (needs);

CREATE TABLE journal (
    job   INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    kind  TEXT    NOT NULL,
    -- Of log lines: 0 debug, 1 info, 2 warn, 3 error.
    level INTEGER,
    body  TEXT    NOT NULL,
    PRIMARY KEY (job, seq),
    FOREIGN KEY (job) REFERENCES jobs (number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    key     TEXT    NOT NULL PRIMARY KEY,
    request TEXT    NOT NULL,
    job     TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_age ON idempotency (at);

-- One row that a health check writes to, so that "ok" means: a commit reached the disk.
CREATE TABLE pulse (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    beats INTEGER NOT NULL
) STRICT;

INSERT INTO pulse (id, beats) VALUES (1, 0);
