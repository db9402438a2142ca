-- Indexes for lookups by name, by digest and by offset in a file.
CREATE INDEX IX_ModelNames_Name ON ModelNames (Name);
CREATE INDEX IX_ModelFiles_ContentHash ON ModelFiles (ContentHash) WHERE ContentHash IS NOT NULL;
CREATE INDEX IX_FileSegments_ModelFileId_ByteOffset ON FileSegments (ModelFileId, ByteOffset);

-- The duration of a lease in ms: one that expires later was set before the clock was set back.
ALTER TABLE IngestionJobs ADD COLUMN LeaseMs INTEGER;
