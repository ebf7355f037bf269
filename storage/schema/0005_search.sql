-- What `lctl list --where` and `--search` look at. The code beside this file fills it for the jobs
-- that are there already.

-- Scalars of a job's hyper-parameters and of its job file, by their path.
CREATE TABLE job_parameters (
  job    INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  source INTEGER NOT NULL,            -- 0 = hyper-parameters, as reported; 1 = the job file
  key    TEXT    NOT NULL,            -- "optimizer.init_args.lr"
  text   TEXT    NOT NULL,
  number REAL,                        -- NULL = the text is no number
  PRIMARY KEY (job, source, key)
) STRICT, WITHOUT ROWID;

-- The tags as they are now; job_specs keeps those of the submission.
CREATE TABLE job_tags (
  job   INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  key   TEXT    NOT NULL,
  value TEXT    NOT NULL,
  PRIMARY KEY (job, key)
) STRICT, WITHOUT ROWID;

-- Jobs without a note have no row.
CREATE TABLE job_notes (
  job  INTEGER PRIMARY KEY REFERENCES jobs (number) ON DELETE CASCADE,
  note TEXT NOT NULL
) STRICT;

-- rowid = jobs.number.
CREATE VIRTUAL TABLE job_texts USING fts5 (name, experiment, tags, note);
CREATE TRIGGER job_texts_of_removed_jobs AFTER DELETE ON jobs BEGIN
  DELETE FROM job_texts WHERE rowid = old.number;
END;
