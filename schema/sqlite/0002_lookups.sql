-- What lookups by name, by digest and by place in a file need to read no more than they find.
CREATE INDEX IX_ModelNames_Name ON ModelNames (Name);
CREATE INDEX IX_ModelFiles_ContentHash ON ModelFiles (ContentHash) WHERE ContentHash IS NOT NULL;
CREATE INDEX IX_FileSegments_ModelFileId_ByteOffset ON FileSegments (ModelFileId, ByteOffset);

-- For how many milliseconds a lease was given: one that is further ahead comes from a clock that has been set back since.
ALTER TABLE IngestionJobs ADD COLUMN LeaseMs INTEGER;
