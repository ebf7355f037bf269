-- Points of a series and attempt, up to some thousands in a row. The code beside this file fills it
-- from the table `points`, which the next migration drops.
CREATE TABLE point_blocks (
  series       INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
  attempt      INTEGER NOT NULL,
  first_offset INTEGER NOT NULL,      -- smallest spool offset of its points; blocks do not overlap
  last_offset  INTEGER NOT NULL,
  first_step   INTEGER NOT NULL,
  last_step    INTEGER NOT NULL,
  points       INTEGER NOT NULL CHECK (points > 0),
  summary      BLOB    NOT NULL,      -- record.BlockSummary
  data         BLOB    NOT NULL       -- record.PointBlock
) STRICT;
-- All but the points themselves, so that finding a curve, and drawing most of it, reads nothing else.
CREATE INDEX point_blocks_by_place ON point_blocks
  (series, attempt, first_offset, last_offset, first_step, last_step, points, summary);
