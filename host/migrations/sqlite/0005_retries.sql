-- Chains of retries: each job is tried again by one other at most. And jobs by when they ended, for
-- the removal of old ones.

CREATE UNIQUE INDEX jobs_retried ON jobs (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX jobs_by_root ON jobs (root) WHERE retry_of IS NOT NULL;
CREATE INDEX jobs_by_end ON jobs (status, completed_at) WHERE completed_at IS NOT NULL;
