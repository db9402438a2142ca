-- Indexes for lookups by name, by digest and by offset in a file. Each is identified by its
-- columns, and made in a transaction of its own.

-- The duration of a lease in ms: one that expires later was set before the clock was set back.
IF COL_LENGTH(N'dbo.IngestionJobs', N'LeaseMs') IS NULL
    ALTER TABLE dbo.IngestionJobs ADD LeaseMs bigint NULL;
GO

IF NOT EXISTS (SELECT 1 FROM sys.index_columns
    WHERE object_id = OBJECT_ID(N'dbo.ModelNames') AND key_ordinal = 1
        AND COL_NAME(object_id, column_id) = N'NameHash')
    CREATE INDEX IX_ModelNames_NameHash ON dbo.ModelNames (NameHash);
GO
IF NOT EXISTS (SELECT 1 FROM sys.index_columns
    WHERE object_id = OBJECT_ID(N'dbo.ModelFiles') AND key_ordinal = 1
        AND COL_NAME(object_id, column_id) = N'ContentHash')
    CREATE INDEX IX_ModelFiles_ContentHash ON dbo.ModelFiles (ContentHash);
GO
IF NOT EXISTS (SELECT 1 FROM sys.index_columns AS a
    INNER JOIN sys.index_columns AS b
        ON b.object_id = a.object_id AND b.index_id = a.index_id AND b.key_ordinal = 2
    WHERE a.object_id = OBJECT_ID(N'dbo.FileSegments') AND a.key_ordinal = 1
        AND COL_NAME(a.object_id, a.column_id) = N'ModelFileId'
        AND COL_NAME(b.object_id, b.column_id) = N'ByteOffset')
    CREATE INDEX IX_FileSegments_ModelFileId_ByteOffset ON dbo.FileSegments (ModelFileId, ByteOffset);
GO

-- With this index, gc reads only ingest's atoms, and not another application's texts and images. It
-- does not include reference counts, or each batch would have to write it.
IF NOT EXISTS (SELECT 1 FROM sys.index_columns AS a
    INNER JOIN sys.index_columns AS b
        ON b.object_id = a.object_id AND b.index_id = a.index_id AND b.key_ordinal = 2
    WHERE a.object_id = OBJECT_ID(N'dbo.Atoms') AND a.key_ordinal = 1
        AND COL_NAME(a.object_id, a.column_id) = N'SourceType'
        AND COL_NAME(b.object_id, b.column_id) = N'AtomId')
    CREATE INDEX IX_Atoms_SourceType_AtomId ON dbo.Atoms (SourceType, AtomId) INCLUDE (Modality, ByteSize);
GO

-- Completing a model adds up the sizes of its segments, and a repeated batch compares their atoms:
-- the unique indexes include both, so no rows are read. An index of another name stays as it is.
IF EXISTS (SELECT 1 FROM sys.indexes
        WHERE object_id = OBJECT_ID(N'dbo.LayerTensorSegments')
            AND name = N'UX_LayerTensorSegments_LayerId_SegmentOrdinal')
    AND NOT EXISTS (SELECT 1 FROM sys.indexes AS i
        INNER JOIN sys.index_columns AS c ON c.object_id = i.object_id AND c.index_id = i.index_id
        WHERE i.object_id = OBJECT_ID(N'dbo.LayerTensorSegments')
            AND i.name = N'UX_LayerTensorSegments_LayerId_SegmentOrdinal'
            AND c.key_ordinal = 0 AND COL_NAME(c.object_id, c.column_id) = N'ByteSize')
BEGIN
    DROP INDEX UX_LayerTensorSegments_LayerId_SegmentOrdinal ON dbo.LayerTensorSegments;
    CREATE UNIQUE INDEX UX_LayerTensorSegments_LayerId_SegmentOrdinal
        ON dbo.LayerTensorSegments (LayerId, SegmentOrdinal) INCLUDE (ByteOffset, ByteSize, AtomId);
END
GO
IF EXISTS (SELECT 1 FROM sys.indexes
        WHERE object_id = OBJECT_ID(N'dbo.FileSegments')
            AND name = N'UX_FileSegments_ModelFileId_SegmentOrdinal')
    AND NOT EXISTS (SELECT 1 FROM sys.indexes AS i
        INNER JOIN sys.index_columns AS c ON c.object_id = i.object_id AND c.index_id = i.index_id
        WHERE i.object_id = OBJECT_ID(N'dbo.FileSegments')
            AND i.name = N'UX_FileSegments_ModelFileId_SegmentOrdinal'
            AND c.key_ordinal = 0 AND COL_NAME(c.object_id, c.column_id) = N'ByteSize')
BEGIN
    DROP INDEX UX_FileSegments_ModelFileId_SegmentOrdinal ON dbo.FileSegments;
    CREATE UNIQUE INDEX UX_FileSegments_ModelFileId_SegmentOrdinal
        ON dbo.FileSegments (ModelFileId, SegmentOrdinal) INCLUDE (ByteOffset, ByteSize, AtomId);
END
GO
