-- How the payload at a segment's address is encoded: the codec, NULL for the bytes themselves, and
-- the SHA-256 of the encoded payload. BlobSizeBytes is its size as it is stored. RawPayload is
-- never encoded. Rows of these tables stay below 8060 bytes, so these nullable columns do not touch
-- the rows.
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'StoredHash') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD StoredHash binary(32) NULL;
GO
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'Codec') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD Codec nvarchar(20) NULL;
GO
IF COL_LENGTH(N'dbo.FileSegments', N'StoredHash') IS NULL
    ALTER TABLE dbo.FileSegments ADD StoredHash binary(32) NULL;
GO
IF COL_LENGTH(N'dbo.FileSegments', N'Codec') IS NULL
    ALTER TABLE dbo.FileSegments ADD Codec nvarchar(20) NULL;
GO

-- The sum of ByteSize - BlobSizeBytes of the file's segments with a codec. Except in Enterprise,
-- Developer and Azure, this rewrites each row, but there is only one per file.
IF COL_LENGTH(N'dbo.ModelFiles', N'BytesSaved') IS NULL
    ALTER TABLE dbo.ModelFiles ADD BytesSaved bigint NOT NULL
        CONSTRAINT DF_ModelFiles_BytesSaved DEFAULT (0);
GO

-- A program of an earlier version that is at work copies addresses without these columns. Its next
-- write fails, because it has no lease any more.
UPDATE dbo.IngestionJobs SET LeaseToken = LeaseToken + 1, LeaseExpires = NULL WHERE LeaseExpires IS NOT NULL;
GO
