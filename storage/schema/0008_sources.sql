-- The working trees that jobs were submitted from; jobs without one have no row. The diff comes last:
-- what reads only the rest does not touch its pages.
CREATE TABLE job_sources (
  job    INTEGER PRIMARY KEY REFERENCES jobs (number) ON DELETE CASCADE,
  source BLOB NOT NULL,               -- v1.SourceCode without its diff
  diff   BLOB NOT NULL
) STRICT;
