-- How many jobs there are of each status, so that nobody counts a million of them, and how many
-- commits were confirmed, so that a log that was cut off is noticed. All of it is one page.

CREATE TABLE counters (
    name TEXT    NOT NULL PRIMARY KEY,
    n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, n) VALUES
    ('commits',   (SELECT beats FROM pulse)),
    ('queued',    (SELECT count(*) FROM jobs WHERE status = 'queued')),
    ('running',   (SELECT count(*) FROM jobs WHERE status = 'running')),
    ('completed', (SELECT count(*) FROM jobs WHERE status = 'completed')),
    ('failed',    (SELECT count(*) FROM jobs WHERE status = 'failed')),
    ('cancelled', (SELECT count(*) FROM jobs WHERE status = 'cancelled')),
    ('uncertain', (SELECT count(*) FROM jobs WHERE status = 'uncertain'));

DROP TABLE pulse;

CREATE TRIGGER jobs_made AFTER INSERT ON jobs BEGIN
    UPDATE counters SET n = n + 1 WHERE name = NEW.status;
END;

CREATE TRIGGER jobs_removed AFTER DELETE ON jobs BEGIN
    UPDATE counters SET n = n - 1 WHERE name = OLD.status;
END;

CREATE TRIGGER jobs_moved AFTER UPDATE OF status ON jobs WHEN OLD.status <> NEW.status BEGIN
    UPDATE counters SET n = n - 1 WHERE name = OLD.status;
    UPDATE counters SET n = n + 1 WHERE name = NEW.status;
END;
