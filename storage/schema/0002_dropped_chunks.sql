-- Chunks whose manifest retention has dropped, until garbage collection has looked at them: they need
-- not wait as long as chunks that an upload may be relying on.
CREATE TABLE dropped_chunks (
  sha256     BLOB    PRIMARY KEY CHECK (length(sha256) = 32),
  dropped_us INTEGER NOT NULL         -- of the newest such manifest
) STRICT, WITHOUT ROWID;
