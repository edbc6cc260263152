-- The newest entries of all journals in the order in which they were written, so that who listens to
-- all jobs goes on where he was. What is older than the newest hundred thousand goes.

CREATE TABLE feed (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job    INTEGER NOT NULL,
    seq    INTEGER NOT NULL
) STRICT;
