-- The first schema. docs/formats/store.md explains it and states its invariants.
--
-- Conventions: `job` columns hold jobs.number; *_us are Unix microseconds; enums hold the numbers of
-- their protobuf enums; 0 and '' mean "not set" as in protobuf, NULL is used only where said.

CREATE TABLE jobs (
  number       INTEGER PRIMARY KEY,   -- order of submission
  id           TEXT    NOT NULL UNIQUE,
  name         TEXT    NOT NULL,
  experiment   TEXT    NOT NULL,
  state        INTEGER NOT NULL,      -- v1.JobState
  attempt      INTEGER NOT NULL,      -- current one, and the fencing number
  restarts     INTEGER NOT NULL,
  reason       TEXT    NOT NULL,
  submitted_us INTEGER NOT NULL,
  started_us   INTEGER NOT NULL,
  finished_us  INTEGER NOT NULL,
  submitted_by TEXT    NOT NULL
) STRICT;
CREATE INDEX jobs_by_name ON jobs (name, number);
CREATE INDEX jobs_by_experiment ON jobs (experiment, number, submitted_us);
CREATE INDEX jobs_by_state ON jobs (state, number);

-- Apart from jobs, so that a change of state does not rewrite a spec of up to a megabyte.
CREATE TABLE job_specs (
  job  INTEGER PRIMARY KEY REFERENCES jobs (number) ON DELETE CASCADE,
  spec BLOB NOT NULL                  -- v1.JobSpec
) STRICT;

CREATE TABLE job_progress (
  job      INTEGER PRIMARY KEY REFERENCES jobs (number) ON DELETE CASCADE,
  progress BLOB NOT NULL              -- v1.Progress
) STRICT;

CREATE TABLE job_hyperparameters (
  job  INTEGER PRIMARY KEY REFERENCES jobs (number) ON DELETE CASCADE,
  yaml TEXT NOT NULL
) STRICT;

-- Idempotency keys of the last day.
CREATE TABLE submissions (
  key     TEXT    PRIMARY KEY,
  job     INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  time_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX submissions_by_time ON submissions (time_us);
CREATE INDEX submissions_by_job ON submissions (job);

CREATE TABLE transitions (
  job        INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  ordinal    INTEGER NOT NULL,        -- 1.. within the job
  time_us    INTEGER NOT NULL,
  from_state INTEGER NOT NULL,
  to_state   INTEGER NOT NULL,
  attempt    INTEGER NOT NULL,
  reason     TEXT    NOT NULL,
  PRIMARY KEY (job, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
  number       INTEGER PRIMARY KEY,   -- order of commit
  id           TEXT    NOT NULL UNIQUE,
  job          INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  attempt      INTEGER NOT NULL,
  rank         INTEGER NOT NULL,
  kind         INTEGER NOT NULL,      -- v1.CheckpointKind
  name         TEXT    NOT NULL,      -- the path the user sees
  file         TEXT    NOT NULL,      -- its name in the rank's stage folder
  spool_offset INTEGER NOT NULL,      -- of the rank, when the state was captured
  size         INTEGER NOT NULL,
  sha256       BLOB    NOT NULL CHECK (length(sha256) = 32),
  time_us      INTEGER NOT NULL,
  stored_bytes INTEGER NOT NULL,      -- of chunks that no manifest had before
  written      BLOB    NOT NULL,      -- v1.CheckpointWritten
  removed      INTEGER NOT NULL CHECK (removed IN (0, 1)),  -- its callback has removed the file
  dropped_us   INTEGER                -- NULL while its manifest is kept
) STRICT;
CREATE UNIQUE INDEX checkpoints_by_file ON checkpoints (job, attempt, rank, file, spool_offset, sha256);
CREATE INDEX checkpoints_by_capture ON checkpoints (job, attempt, spool_offset);
CREATE INDEX checkpoints_by_name ON checkpoints (job, name);

-- The chunks of a checkpoint in file order. A chunk's bytes lie in blobs/, under its hash.
CREATE TABLE manifest_chunks (
  checkpoint  INTEGER NOT NULL REFERENCES checkpoints (number) ON DELETE CASCADE,
  file_offset INTEGER NOT NULL,       -- where it begins in the file
  sha256      BLOB    NOT NULL CHECK (length(sha256) = 32),
  size        INTEGER NOT NULL CHECK (size > 0),
  PRIMARY KEY (checkpoint, file_offset)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_chunks_by_hash ON manifest_chunks (sha256);

-- CheckpointRemoved events, kept because an upload may be committed after its removal was reported.
CREATE TABLE checkpoint_removals (
  job          INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  name         TEXT    NOT NULL,
  attempt      INTEGER NOT NULL,      -- of the newest removal of that name
  spool_offset INTEGER NOT NULL,
  PRIMARY KEY (job, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
  job             INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  number          INTEGER NOT NULL,
  started_us      INTEGER NOT NULL,
  finished_us     INTEGER NOT NULL,
  outcome         TEXT    NOT NULL,
  reason          TEXT    NOT NULL,
  resumed_from    INTEGER REFERENCES checkpoints (number),  -- NULL = from the beginning
  resumed_at_step INTEGER NOT NULL,
  PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_checkpoint ON attempts (resumed_from);

-- Placement, as the server's jobs module knows it.
CREATE TABLE ranks (
  job     INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  rank    INTEGER NOT NULL,
  status  BLOB    NOT NULL,           -- v1.RankStatus
  PRIMARY KEY (job, attempt, rank),
  FOREIGN KEY (job, attempt) REFERENCES attempts (job, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What the ranks themselves reported.
CREATE TABLE rank_reports (
  job         INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  attempt     INTEGER NOT NULL,
  rank        INTEGER NOT NULL,
  ready       BLOB,                   -- v1.RankReady; NULL = not reported
  finished    BLOB,                   -- v1.Finished; NULL = not reported
  finished_us INTEGER NOT NULL,
  PRIMARY KEY (job, attempt, rank)
) STRICT, WITHOUT ROWID;

-- How much of each stream of bytes on a node is in the store.
CREATE TABLE streams (
  job       INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  attempt   INTEGER NOT NULL,
  rank      INTEGER NOT NULL,
  kind      INTEGER NOT NULL,         -- v1.StreamKind
  committed INTEGER NOT NULL,         -- every byte before it is applied
  PRIMARY KEY (job, attempt, rank, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE series (
  id  INTEGER PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  key TEXT    NOT NULL,
  UNIQUE (job, key)
) STRICT;

-- (attempt, spool_offset, ordinal) is the place of the value in what rank 0 wrote.
CREATE TABLE points (
  series       INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
  step         INTEGER NOT NULL,
  attempt      INTEGER NOT NULL,
  spool_offset INTEGER NOT NULL,
  ordinal      INTEGER NOT NULL,
  epoch        INTEGER NOT NULL,
  time_us      INTEGER NOT NULL,
  value        REAL,                  -- NULL = NaN
  PRIMARY KEY (series, step, attempt, spool_offset, ordinal)
) STRICT, WITHOUT ROWID;

-- Console output in the order of arrival.
CREATE TABLE text_chunks (
  id      INTEGER PRIMARY KEY,
  job     INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  attempt INTEGER NOT NULL,
  rank    INTEGER NOT NULL,
  kind    INTEGER NOT NULL,
  offset  INTEGER NOT NULL,
  time_us INTEGER NOT NULL,
  text    BLOB    NOT NULL
) STRICT;
CREATE INDEX text_chunks_by_arrival ON text_chunks (job, id, attempt, rank);
CREATE UNIQUE INDEX text_chunks_by_stream ON text_chunks (job, attempt, rank, kind, offset);

CREATE TABLE nodes (
  id           TEXT    PRIMARY KEY,
  name         TEXT    NOT NULL,
  address      TEXT    NOT NULL,
  version      TEXT    NOT NULL,
  boot_id      TEXT    NOT NULL,
  last_seen_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
