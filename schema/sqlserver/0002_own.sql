-- ingest's own tables. Names and paths are found byte for byte by their SHA-256: an index cannot
-- hold them whole, and a collation would treat some as equal.

-- Identifies this database among all others.
IF OBJECT_ID(N'dbo.CatalogIdentity', N'U') IS NULL
BEGIN
CREATE TABLE dbo.CatalogIdentity (
    CatalogIdentityId int NOT NULL,
    [Identity]        nvarchar(36) NOT NULL,
    CONSTRAINT PK_CatalogIdentity PRIMARY KEY CLUSTERED (CatalogIdentityId),
    CONSTRAINT CK_CatalogIdentity_One CHECK (CatalogIdentityId = 1)
);
INSERT INTO dbo.CatalogIdentity (CatalogIdentityId, [Identity])
    VALUES (1, LOWER(REPLACE(CONVERT(nvarchar(36), NEWID()), N'-', N'')));
END
GO

-- The open jobs: one for each pipeline and source. KeyHash is their SHA-256.
IF OBJECT_ID(N'dbo.IngestionJobKeys', N'U') IS NULL
BEGIN
CREATE TABLE dbo.IngestionJobKeys (
    KeyHash        binary(32) NOT NULL,
    IngestionJobId bigint NOT NULL,
    CONSTRAINT PK_IngestionJobKeys PRIMARY KEY CLUSTERED (KeyHash),
    CONSTRAINT FK_IngestionJobKeys_IngestionJobs_IngestionJobId
        FOREIGN KEY (IngestionJobId) REFERENCES dbo.IngestionJobs (IngestionJobId) ON DELETE CASCADE
);
CREATE INDEX IX_IngestionJobKeys_IngestionJobId ON dbo.IngestionJobKeys (IngestionJobId);
END
GO

-- Unique keys of models: the source of an open one (State 'open'), the weights of a complete one
-- (State 'complete'). A key in Models would need a filtered index.
IF OBJECT_ID(N'dbo.ModelKeys', N'U') IS NULL
BEGIN
CREATE TABLE dbo.ModelKeys (
    State   nvarchar(20) NOT NULL,
    KeyHash binary(32) NOT NULL,
    ModelId int NOT NULL,
    CONSTRAINT PK_ModelKeys PRIMARY KEY CLUSTERED (State, KeyHash),
    CONSTRAINT FK_ModelKeys_Models_ModelId FOREIGN KEY (ModelId) REFERENCES dbo.Models (ModelId) ON DELETE CASCADE
);
CREATE INDEX IX_ModelKeys_ModelId ON dbo.ModelKeys (ModelId);
END
GO

-- A model whose weights were already stored, and the model that it was merged into. Complete gives
-- the same answer again after a lost one.
IF OBJECT_ID(N'dbo.ModelMerges', N'U') IS NULL
BEGIN
CREATE TABLE dbo.ModelMerges (
    ModelId     int NOT NULL,
    IntoModelId int NOT NULL,
    CONSTRAINT PK_ModelMerges PRIMARY KEY CLUSTERED (ModelId),
    CONSTRAINT FK_ModelMerges_Models_IntoModelId
        FOREIGN KEY (IntoModelId) REFERENCES dbo.Models (ModelId) ON DELETE CASCADE
);
CREATE INDEX IX_ModelMerges_IntoModelId ON dbo.ModelMerges (IntoModelId);
END
GO

IF OBJECT_ID(N'dbo.ModelFiles', N'U') IS NULL
BEGIN
CREATE TABLE dbo.ModelFiles (
    ModelFileId     bigint IDENTITY(1,1) NOT NULL,
    ModelId         int NOT NULL,
    FileIdx         int NOT NULL,
    Role            nvarchar(64) NOT NULL,
    RoleExact       varbinary(max) NULL,
    Format          nvarchar(64) NOT NULL,
    FormatExact     varbinary(max) NULL,
    FileName        nvarchar(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    FileNameExact   varbinary(max) NULL,
    SourcePath      nvarchar(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    SourcePathExact varbinary(max) NULL,
    ByteSize        bigint NOT NULL,
    ModifiedNs      bigint NOT NULL,
    ClaimedHash     binary(32) NULL,
    ContentHash     binary(32) NULL,
    FileAtomId      bigint NULL,
    SegmentBytes    bigint NOT NULL,
    TensorCount     bigint NOT NULL,
    RecordedBytes   bigint NOT NULL CONSTRAINT DF_ModelFiles_RecordedBytes DEFAULT (0),
    SegmentCount    bigint NOT NULL CONSTRAINT DF_ModelFiles_SegmentCount DEFAULT (0),
    BytesStored     bigint NOT NULL CONSTRAINT DF_ModelFiles_BytesStored DEFAULT (0),
    BytesShared     bigint NOT NULL CONSTRAINT DF_ModelFiles_BytesShared DEFAULT (0),
    HashState       varbinary(max) NULL,
    CONSTRAINT PK_ModelFiles PRIMARY KEY CLUSTERED (ModelFileId),
    CONSTRAINT FK_ModelFiles_Models_ModelId FOREIGN KEY (ModelId) REFERENCES dbo.Models (ModelId) ON DELETE CASCADE,
    CONSTRAINT FK_ModelFiles_Atoms_FileAtomId FOREIGN KEY (FileAtomId) REFERENCES dbo.Atoms (AtomId)
);
CREATE UNIQUE INDEX UX_ModelFiles_ModelId_FileIdx ON dbo.ModelFiles (ModelId, FileIdx);
CREATE INDEX IX_ModelFiles_FileAtomId ON dbo.ModelFiles (FileAtomId);
END
GO

-- Where complete files were read from. Several paths may have the same content.
IF OBJECT_ID(N'dbo.FilePaths', N'U') IS NULL
BEGIN
CREATE TABLE dbo.FilePaths (
    FilePathId      bigint IDENTITY(1,1) NOT NULL,
    ModelFileId     bigint NOT NULL,
    PathHash        binary(32) NOT NULL,
    SourcePath      nvarchar(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    SourcePathExact varbinary(max) NULL,
    ByteSize        bigint NOT NULL,
    ModifiedNs      bigint NOT NULL,
    CONSTRAINT PK_FilePaths PRIMARY KEY CLUSTERED (FilePathId),
    CONSTRAINT FK_FilePaths_ModelFiles_ModelFileId
        FOREIGN KEY (ModelFileId) REFERENCES dbo.ModelFiles (ModelFileId) ON DELETE CASCADE
);
CREATE UNIQUE INDEX UX_FilePaths_PathHash ON dbo.FilePaths (PathHash);
CREATE INDEX IX_FilePaths_ModelFileId ON dbo.FilePaths (ModelFileId);
END
GO

IF OBJECT_ID(N'dbo.ModelNames', N'U') IS NULL
BEGIN
CREATE TABLE dbo.ModelNames (
    ModelNameId    bigint IDENTITY(1,1) NOT NULL,
    ModelId        int NOT NULL,
    NameHash       binary(32) NOT NULL,
    Name           nvarchar(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    NameExact      varbinary(max) NULL,
    SourceUri      nvarchar(max) NOT NULL,
    SourceUriExact varbinary(max) NULL,
    CONSTRAINT PK_ModelNames PRIMARY KEY CLUSTERED (ModelNameId),
    CONSTRAINT FK_ModelNames_Models_ModelId FOREIGN KEY (ModelId) REFERENCES dbo.Models (ModelId) ON DELETE CASCADE
);
CREATE UNIQUE INDEX UX_ModelNames_ModelId_NameHash ON dbo.ModelNames (ModelId, NameHash);
END
GO

-- The rows are deleted with the name, which is deleted with the model. A foreign key to ModelFiles
-- would be a second path from Models: cascading, it is refused (error 1785); otherwise, it may
-- prevent another program from deleting a model.
IF OBJECT_ID(N'dbo.ModelNameFiles', N'U') IS NULL
BEGIN
CREATE TABLE dbo.ModelNameFiles (
    ModelNameId bigint NOT NULL,
    ModelFileId bigint NOT NULL,
    CONSTRAINT PK_ModelNameFiles PRIMARY KEY CLUSTERED (ModelNameId, ModelFileId),
    CONSTRAINT FK_ModelNameFiles_ModelNames_ModelNameId
        FOREIGN KEY (ModelNameId) REFERENCES dbo.ModelNames (ModelNameId) ON DELETE CASCADE
);
CREATE INDEX IX_ModelNameFiles_ModelFileId ON dbo.ModelNameFiles (ModelFileId);
END
GO

-- The bytes of a file outside all tensors.
IF OBJECT_ID(N'dbo.FileSegments', N'U') IS NULL
BEGIN
CREATE TABLE dbo.FileSegments (
    FileSegmentId    bigint IDENTITY(1,1) NOT NULL,
    ModelFileId      bigint NOT NULL,
    SegmentOrdinal   int NOT NULL,
    ByteOffset       bigint NOT NULL,
    ByteSize         bigint NOT NULL,
    AtomId           bigint NOT NULL,
    CreatedAt        datetime2 NOT NULL CONSTRAINT DF_FileSegments_CreatedAt DEFAULT (SYSUTCDATETIME()),
    BlobUri          nvarchar(2048) NULL,
    BlobContainer    nvarchar(256) NULL,
    BlobName         nvarchar(1024) NULL,
    BlobETag         nvarchar(128) NULL,
    BlobSizeBytes    bigint NOT NULL CONSTRAINT DF_FileSegments_BlobSizeBytes DEFAULT (0),
    BlobLastModified datetime2 NULL,
    AddressExact     varbinary(max) NULL,
    RawPayload       $(payload) NOT NULL CONSTRAINT DF_FileSegments_RawPayload DEFAULT (0x),
    PayloadRowGuid   uniqueidentifier ROWGUIDCOL NOT NULL
        CONSTRAINT DF_FileSegments_PayloadRowGuid DEFAULT (NEWSEQUENTIALID()),
    CONSTRAINT PK_FileSegments PRIMARY KEY CLUSTERED (FileSegmentId),
    CONSTRAINT UX_FileSegments_PayloadRowGuid UNIQUE (PayloadRowGuid),
    CONSTRAINT FK_FileSegments_ModelFiles_ModelFileId
        FOREIGN KEY (ModelFileId) REFERENCES dbo.ModelFiles (ModelFileId) ON DELETE CASCADE,
    CONSTRAINT FK_FileSegments_Atoms_AtomId FOREIGN KEY (AtomId) REFERENCES dbo.Atoms (AtomId)
)$(filestream_on);
CREATE UNIQUE INDEX UX_FileSegments_ModelFileId_SegmentOrdinal ON dbo.FileSegments (ModelFileId, SegmentOrdinal);
CREATE INDEX IX_FileSegments_AtomId ON dbo.FileSegments (AtomId);
END
GO
