-- What ingest adds to existing tables. NULL in a row of another program means unknown. A nullable
-- column is added without touching the rows. For a column of fixed length this holds only while no
-- row could exceed a page (8060 bytes); otherwise each row is rewritten. So these columns come
-- first in each table, and the long texts after them.
--
-- An Exact column stores, byte for byte, what the column of that name cannot: text that is too long
-- for it, is not UTF-8, or contains a NUL. It is NULL if the other column stores the whole text.
--
-- No index has a filter: with one, INSERT and UPDATE would start to fail in sessions with
-- QUOTED_IDENTIFIER OFF, such as those of sqlcmd.

IF COL_LENGTH(N'dbo.Atoms', N'ByteSize') IS NULL
    ALTER TABLE dbo.Atoms ADD ByteSize bigint NULL;
GO
IF COL_LENGTH(N'dbo.Atoms', N'BlobSizeBytes') IS NULL
    ALTER TABLE dbo.Atoms ADD BlobSizeBytes bigint NULL;
GO
IF COL_LENGTH(N'dbo.Atoms', N'BlobLastModified') IS NULL
    ALTER TABLE dbo.Atoms ADD BlobLastModified datetime2 NULL;
GO
IF COL_LENGTH(N'dbo.Atoms', N'SourceUriExact') IS NULL
    ALTER TABLE dbo.Atoms ADD SourceUriExact varbinary(max) NULL;
GO
IF COL_LENGTH(N'dbo.Atoms', N'PayloadLocatorExact') IS NULL
    ALTER TABLE dbo.Atoms ADD PayloadLocatorExact varbinary(max) NULL;
GO
IF COL_LENGTH(N'dbo.Atoms', N'BlobUri') IS NULL
    ALTER TABLE dbo.Atoms ADD BlobUri nvarchar(2048) NULL;
GO
IF COL_LENGTH(N'dbo.Atoms', N'BlobContainer') IS NULL
    ALTER TABLE dbo.Atoms ADD BlobContainer nvarchar(256) NULL;
GO
IF COL_LENGTH(N'dbo.Atoms', N'BlobName') IS NULL
    ALTER TABLE dbo.Atoms ADD BlobName nvarchar(1024) NULL;
GO
IF COL_LENGTH(N'dbo.Atoms', N'BlobETag') IS NULL
    ALTER TABLE dbo.Atoms ADD BlobETag nvarchar(128) NULL;
GO

IF COL_LENGTH(N'dbo.Models', N'IngestionJobId') IS NULL
    ALTER TABLE dbo.Models ADD IngestionJobId bigint NULL;
GO
IF COL_LENGTH(N'dbo.Models', N'ModelNameExact') IS NULL
    ALTER TABLE dbo.Models ADD ModelNameExact varbinary(max) NULL;
GO
IF COL_LENGTH(N'dbo.Models', N'ModelTypeExact') IS NULL
    ALTER TABLE dbo.Models ADD ModelTypeExact varbinary(max) NULL;
GO
IF COL_LENGTH(N'dbo.Models', N'ArchitectureExact') IS NULL
    ALTER TABLE dbo.Models ADD ArchitectureExact varbinary(max) NULL;
GO
IF COL_LENGTH(N'dbo.Models', N'ConfigExact') IS NULL
    ALTER TABLE dbo.Models ADD ConfigExact varbinary(max) NULL;
GO
IF COL_LENGTH(N'dbo.Models', N'State') IS NULL
    ALTER TABLE dbo.Models ADD State nvarchar(20) NULL;
GO

IF COL_LENGTH(N'dbo.ModelMetadata', N'LicenseExact') IS NULL
    ALTER TABLE dbo.ModelMetadata ADD LicenseExact varbinary(max) NULL;
GO
IF COL_LENGTH(N'dbo.ModelMetadata', N'SourceUrlExact') IS NULL
    ALTER TABLE dbo.ModelMetadata ADD SourceUrlExact varbinary(max) NULL;
GO

IF COL_LENGTH(N'dbo.ModelLayers', N'ModelFileId') IS NULL
    ALTER TABLE dbo.ModelLayers ADD ModelFileId bigint NULL;
GO
IF COL_LENGTH(N'dbo.ModelLayers', N'ByteOffset') IS NULL
    ALTER TABLE dbo.ModelLayers ADD ByteOffset bigint NULL;
GO
IF COL_LENGTH(N'dbo.ModelLayers', N'ByteSize') IS NULL
    ALTER TABLE dbo.ModelLayers ADD ByteSize bigint NULL;
GO
IF COL_LENGTH(N'dbo.ModelLayers', N'LayerNameExact') IS NULL
    ALTER TABLE dbo.ModelLayers ADD LayerNameExact varbinary(max) NULL;
GO
IF COL_LENGTH(N'dbo.ModelLayers', N'TensorShapeExact') IS NULL
    ALTER TABLE dbo.ModelLayers ADD TensorShapeExact varbinary(max) NULL;
GO

-- The cloud edition of LayerTensorSegments has neither PayloadRowGuid nor RawPayload. Adding them
-- rewrites each row.
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'PayloadRowGuid') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD PayloadRowGuid uniqueidentifier ROWGUIDCOL NOT NULL
        CONSTRAINT DF_LayerTensorSegments_PayloadRowGuid DEFAULT (NEWSEQUENTIALID())
        CONSTRAINT UX_LayerTensorSegments_PayloadRowGuid UNIQUE;
GO
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'ByteOffset') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD ByteOffset bigint NULL;
GO
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'ByteSize') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD ByteSize bigint NULL;
GO
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'AtomId') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD AtomId bigint NULL;
GO
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'BlobSizeBytes') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD BlobSizeBytes bigint NOT NULL
        CONSTRAINT DF_LayerTensorSegments_BlobSizeBytes DEFAULT (0);
GO
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'BlobLastModified') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD BlobLastModified datetime2 NULL;
GO
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'RawPayload') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD RawPayload varbinary(max) NOT NULL
        CONSTRAINT DF_LayerTensorSegments_RawPayload DEFAULT (0x);
GO
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'BlobUri') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD BlobUri nvarchar(2048) NULL;
GO
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'BlobContainer') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD BlobContainer nvarchar(256) NULL;
GO
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'BlobName') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD BlobName nvarchar(1024) NULL;
GO
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'BlobETag') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD BlobETag nvarchar(128) NULL;
GO
IF COL_LENGTH(N'dbo.LayerTensorSegments', N'AddressExact') IS NULL
    ALTER TABLE dbo.LayerTensorSegments ADD AddressExact varbinary(max) NULL;
GO

IF COL_LENGTH(N'dbo.IngestionJobs', N'LeaseToken') IS NULL
    ALTER TABLE dbo.IngestionJobs ADD LeaseToken bigint NULL;
GO
IF COL_LENGTH(N'dbo.IngestionJobs', N'LeaseExpires') IS NULL
    ALTER TABLE dbo.IngestionJobs ADD LeaseExpires datetime2(3) NULL;
GO
IF COL_LENGTH(N'dbo.IngestionJobs', N'LeaseAlone') IS NULL
    ALTER TABLE dbo.IngestionJobs ADD LeaseAlone bit NULL;
GO
IF COL_LENGTH(N'dbo.IngestionJobs', N'SourceUriExact') IS NULL
    ALTER TABLE dbo.IngestionJobs ADD SourceUriExact varbinary(max) NULL;
GO
IF COL_LENGTH(N'dbo.IngestionJobs', N'MetadataExact') IS NULL
    ALTER TABLE dbo.IngestionJobs ADD MetadataExact varbinary(max) NULL;
GO
IF COL_LENGTH(N'dbo.IngestionJobs', N'LeaseHolder') IS NULL
    ALTER TABLE dbo.IngestionJobs ADD LeaseHolder nvarchar(max) NULL;
GO

-- Keys and indexes are identified by their columns: existing ones may have other names.
-- ModelLayers.ModelFileId has no foreign key: a layer is deleted with its model, and so is the
-- file. See ModelNameFiles.
IF NOT EXISTS (SELECT 1 FROM sys.index_columns
    WHERE object_id = OBJECT_ID(N'dbo.Models') AND key_ordinal = 1
        AND COL_NAME(object_id, column_id) = N'IngestionJobId')
    CREATE INDEX IX_Models_IngestionJobId ON dbo.Models (IngestionJobId);
GO
IF NOT EXISTS (SELECT 1 FROM sys.index_columns AS a
    INNER JOIN sys.index_columns AS b
        ON b.object_id = a.object_id AND b.index_id = a.index_id AND b.key_ordinal = 2
    WHERE a.object_id = OBJECT_ID(N'dbo.ModelLayers') AND a.key_ordinal = 1
        AND COL_NAME(a.object_id, a.column_id) = N'ModelFileId'
        AND COL_NAME(b.object_id, b.column_id) = N'ByteOffset')
    CREATE INDEX IX_ModelLayers_ModelFileId_ByteOffset ON dbo.ModelLayers (ModelFileId, ByteOffset);
GO
IF NOT EXISTS (SELECT 1 FROM sys.index_columns
    WHERE object_id = OBJECT_ID(N'dbo.LayerTensorSegments') AND key_ordinal = 1
        AND COL_NAME(object_id, column_id) = N'AtomId')
    CREATE INDEX IX_LayerTensorSegments_AtomId ON dbo.LayerTensorSegments (AtomId);
GO
IF NOT EXISTS (SELECT 1 FROM sys.index_columns
    WHERE object_id = OBJECT_ID(N'dbo.IngestionJobs') AND key_ordinal = 1
        AND COL_NAME(object_id, column_id) = N'LeaseExpires')
    CREATE INDEX IX_IngestionJobs_LeaseExpires ON dbo.IngestionJobs (LeaseExpires);
GO
IF NOT EXISTS (SELECT 1 FROM sys.index_columns AS a
    INNER JOIN sys.index_columns AS b
        ON b.object_id = a.object_id AND b.index_id = a.index_id AND b.key_ordinal = 2
    WHERE a.object_id = OBJECT_ID(N'dbo.IngestionJobAtoms') AND a.key_ordinal = 1
        AND COL_NAME(a.object_id, a.column_id) = N'IngestionJobId'
        AND COL_NAME(b.object_id, b.column_id) = N'AtomId')
    CREATE INDEX IX_IngestionJobAtoms_IngestionJobId_AtomId ON dbo.IngestionJobAtoms (IngestionJobId, AtomId);
GO
IF NOT EXISTS (SELECT 1 FROM sys.index_columns
    WHERE object_id = OBJECT_ID(N'dbo.IngestionJobAtoms') AND key_ordinal = 1
        AND COL_NAME(object_id, column_id) = N'AtomId')
    CREATE INDEX IX_IngestionJobAtoms_AtomId ON dbo.IngestionJobAtoms (AtomId);
GO

-- The keys come after the indexes, so that checking each existing row is a seek.
IF NOT EXISTS (SELECT 1 FROM sys.foreign_key_columns
    WHERE parent_object_id = OBJECT_ID(N'dbo.Models')
        AND COL_NAME(parent_object_id, parent_column_id) = N'IngestionJobId'
        AND referenced_object_id = OBJECT_ID(N'dbo.IngestionJobs'))
    ALTER TABLE dbo.Models ADD CONSTRAINT FK_Models_IngestionJobs_IngestionJobId
        FOREIGN KEY (IngestionJobId) REFERENCES dbo.IngestionJobs (IngestionJobId) ON DELETE SET NULL;
GO
IF NOT EXISTS (SELECT 1 FROM sys.foreign_key_columns
    WHERE parent_object_id = OBJECT_ID(N'dbo.LayerTensorSegments')
        AND COL_NAME(parent_object_id, parent_column_id) = N'AtomId'
        AND referenced_object_id = OBJECT_ID(N'dbo.Atoms'))
    ALTER TABLE dbo.LayerTensorSegments ADD CONSTRAINT FK_LayerTensorSegments_Atoms_AtomId
        FOREIGN KEY (AtomId) REFERENCES dbo.Atoms (AtomId);
GO
