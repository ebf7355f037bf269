-- What MLflow's clients log and read: docs/mlflow.md.

-- 0 = submitted to lctl; 1 = a run that a script logs from outside: no engine schedules it.
ALTER TABLE jobs ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;
-- 0 = active. MLflow's deleted runs stay stored and leave lists and searches.
ALTER TABLE jobs ADD COLUMN deleted_us INTEGER NOT NULL DEFAULT 0;

-- jobs.experiment holds the name.
CREATE TABLE experiments (
  id         INTEGER PRIMARY KEY,
  name       TEXT    NOT NULL UNIQUE,
  created_us INTEGER NOT NULL,
  updated_us INTEGER NOT NULL,
  deleted_us INTEGER NOT NULL,        -- 0 = active
  tags       TEXT    NOT NULL         -- a JSON object of texts
) STRICT;
-- Where runs go whose script names no experiment.
INSERT INTO experiments VALUES (0, 'Default', 0, 0, 0, '{}');
INSERT INTO experiments (name, created_us, updated_us, deleted_us, tags)
  SELECT experiment, min(submitted_us), min(submitted_us), 0, '{}' FROM jobs
  WHERE experiment NOT IN ('', 'Default') GROUP BY experiment ORDER BY min(number);

-- Files by their path: "<experiment>/<run>/artifacts/model/MLmodel". Folders have no rows.
CREATE TABLE artifacts (
  number  INTEGER PRIMARY KEY AUTOINCREMENT,  -- a file that is stored anew gets another
  path    TEXT    NOT NULL UNIQUE,
  size    INTEGER NOT NULL,
  time_us INTEGER NOT NULL
) STRICT;

-- The chunks of an artifact in file order. A chunk's bytes lie in blobs/, under its hash.
CREATE TABLE artifact_chunks (
  artifact    INTEGER NOT NULL REFERENCES artifacts (number) ON DELETE CASCADE,
  file_offset INTEGER NOT NULL,
  sha256      BLOB    NOT NULL CHECK (length(sha256) = 32),
  size        INTEGER NOT NULL CHECK (size > 0),
  PRIMARY KEY (artifact, file_offset)
) STRICT, WITHOUT ROWID;
CREATE INDEX artifact_chunks_by_hash ON artifact_chunks (sha256);

-- Every chunk that somebody needs, once for each use.
CREATE VIEW used_chunks (sha256, size) AS
  SELECT sha256, size FROM manifest_chunks UNION ALL SELECT sha256, size FROM artifact_chunks;

-- Datasets that a run says it has used.
CREATE TABLE run_datasets (
  job         INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  name        TEXT    NOT NULL,
  digest      TEXT    NOT NULL,
  source_type TEXT    NOT NULL,
  source      TEXT    NOT NULL,
  schema      TEXT    NOT NULL,
  profile     TEXT    NOT NULL,
  tags        TEXT    NOT NULL,       -- a JSON object of texts
  PRIMARY KEY (job, name, digest)
) STRICT, WITHOUT ROWID;

-- Models that a run has made or used.
CREATE TABLE run_models (
  job    INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  model  TEXT    NOT NULL,            -- logged_models.id
  output INTEGER NOT NULL CHECK (output IN (0, 1)),  -- 1 = made by the run, 0 = used
  step   INTEGER NOT NULL,
  PRIMARY KEY (job, model, output)
) STRICT, WITHOUT ROWID;

CREATE TABLE logged_models (
  number     INTEGER PRIMARY KEY,     -- order of creation
  id         TEXT    NOT NULL UNIQUE, -- "m-…"
  experiment INTEGER NOT NULL REFERENCES experiments (id),
  name       TEXT    NOT NULL,
  source_run TEXT    NOT NULL,        -- '' = none
  model_type TEXT    NOT NULL,
  status     INTEGER NOT NULL,        -- 1 = pending, 2 = ready, 3 = failed
  created_us INTEGER NOT NULL,
  updated_us INTEGER NOT NULL,
  deleted_us INTEGER NOT NULL,        -- 0 = active
  params     TEXT    NOT NULL,        -- JSON objects of texts
  tags       TEXT    NOT NULL
) STRICT;

CREATE TABLE registered_models (
  number      INTEGER PRIMARY KEY,
  name        TEXT    NOT NULL UNIQUE,
  description TEXT    NOT NULL,
  created_us  INTEGER NOT NULL,
  updated_us  INTEGER NOT NULL,
  tags        TEXT    NOT NULL,       -- JSON objects: texts
  aliases     TEXT    NOT NULL        -- and, by alias, numbers of versions
) STRICT;

CREATE TABLE model_versions (
  model       INTEGER NOT NULL REFERENCES registered_models (number) ON DELETE CASCADE,
  version     INTEGER NOT NULL,       -- 1, 2, …; never given twice
  source      TEXT    NOT NULL,
  run         TEXT    NOT NULL,       -- '' = none
  logged      TEXT    NOT NULL,       -- logged_models.id; '' = none
  stage       TEXT    NOT NULL,
  description TEXT    NOT NULL,
  created_us  INTEGER NOT NULL,
  updated_us  INTEGER NOT NULL,
  deleted_us  INTEGER NOT NULL,       -- its number stays taken
  tags        TEXT    NOT NULL,       -- a JSON object of texts
  PRIMARY KEY (model, version)
) STRICT, WITHOUT ROWID;
