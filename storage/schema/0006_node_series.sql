-- Who writes a series: 0 = rank 0 (its points follow the lineage), 1 = the nodes of the attempts
-- (what they measured stays, whatever resumed from where).
ALTER TABLE series ADD COLUMN source INTEGER NOT NULL DEFAULT 0 CHECK (source IN (0, 1));
