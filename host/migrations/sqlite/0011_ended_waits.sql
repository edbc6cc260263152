-- Waits for jobs that agents polled as tasks and cancelled: they stay cancelled, whatever becomes of
-- the host. They go with their jobs.

CREATE TABLE ended_waits (
    job  INTEGER NOT NULL,
    wait TEXT    NOT NULL,
    PRIMARY KEY (job, wait),
    FOREIGN KEY (job) REFERENCES jobs (number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
