-- What restarts go by, and which nodes are drained.

-- '' = failed attempts are tried again as long as restarts remain.
ALTER TABLE jobs ADD COLUMN retries_cancelled TEXT NOT NULL DEFAULT '';

-- Nodes on which a job is not placed.
CREATE TABLE job_excluded_nodes (
  job    INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  node   TEXT    NOT NULL,            -- nodes.id
  name   TEXT    NOT NULL,            -- of the node, then
  reason TEXT    NOT NULL,
  PRIMARY KEY (job, node)
) STRICT, WITHOUT ROWID;

ALTER TABLE attempts ADD COLUMN cause INTEGER NOT NULL DEFAULT 0;          -- v1.EndCause
ALTER TABLE attempts ADD COLUMN culprit INTEGER;                           -- a rank; NULL = none
ALTER TABLE attempts ADD COLUMN ended_at_step INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN blamed_node TEXT NOT NULL DEFAULT '';      -- nodes.id; '' = none

-- 0 = not drained.
ALTER TABLE nodes ADD COLUMN drained_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN drain_reason TEXT NOT NULL DEFAULT '';
