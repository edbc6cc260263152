-- A server's jobs of one operation: those of another one, of which there may be a million, are not
-- looked at.

CREATE INDEX jobs_by_server_operation ON jobs (server, operation, status) WHERE server IS NOT NULL;
