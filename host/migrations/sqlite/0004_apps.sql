-- Apps on servers. `record` is the whole record as JSON; `job` is the newest job of the app; `before`
-- is the record as it was before that job, while it may still turn out that the job never began.

CREATE TABLE apps (
    server TEXT NOT NULL,
    name   TEXT NOT NULL,
    job    TEXT NOT NULL,
    record TEXT NOT NULL,
    before TEXT,
    PRIMARY KEY (server, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX apps_by_job ON apps (job);
