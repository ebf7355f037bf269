-- Checkpoints that cannot be used.

-- '' = nothing is known to be wrong with it.
ALTER TABLE checkpoints ADD COLUMN damage TEXT NOT NULL DEFAULT '';
-- The chunk that is missing or damaged; NULL = none is, but the trainer could not read the file.
ALTER TABLE checkpoints ADD COLUMN damaged_chunk BLOB;
