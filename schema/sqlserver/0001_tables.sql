-- The tables of the Hartonomous database that ingest writes. A table that exists is left as it is,
-- in any of its editions.
--
-- A GO line ends a batch. Variables, a dollar sign and a name in brackets, are replaced for the
-- server: see variables in server.go.

IF OBJECT_ID(N'dbo.Atoms', N'U') IS NULL
BEGIN
CREATE TABLE dbo.Atoms (
    AtomId          bigint IDENTITY(1,1) NOT NULL,
    ContentHash     binary(32) NOT NULL,
    Modality        nvarchar(64) NOT NULL,
    Subtype         nvarchar(128) NULL,
    SourceUri       nvarchar(1024) NULL,
    SourceType      nvarchar(128) NULL,
    CanonicalText   nvarchar(max) NULL,
    PayloadLocator  nvarchar(1024) NULL,
    Metadata        $(json) NULL,
    CreatedAt       datetime2 NOT NULL CONSTRAINT DF_Atoms_CreatedAt DEFAULT (SYSUTCDATETIME()),
    UpdatedAt       datetime2 NULL,
    IsActive        bit NOT NULL CONSTRAINT DF_Atoms_IsActive DEFAULT (1),
    ReferenceCount  bigint NOT NULL CONSTRAINT DF_Atoms_ReferenceCount DEFAULT (0),
    SpatialKey      $(geometry) NULL,
    ComponentStream varbinary(max) NULL,
    CONSTRAINT PK_Atoms PRIMARY KEY CLUSTERED (AtomId)
);
CREATE UNIQUE INDEX UX_Atoms_ContentHash ON dbo.Atoms (ContentHash);
END
GO

IF OBJECT_ID(N'dbo.Models', N'U') IS NULL
BEGIN
CREATE TABLE dbo.Models (
    ModelId            int IDENTITY(1,1) NOT NULL,
    ModelName          nvarchar(200) NOT NULL,
    ModelType          nvarchar(100) NOT NULL,
    Architecture       nvarchar(100) NULL,
    Config             $(json) NULL,
    ParameterCount     bigint NULL,
    IngestionDate      datetime2 NOT NULL CONSTRAINT DF_Models_IngestionDate DEFAULT (SYSUTCDATETIME()),
    LastUsed           datetime2 NULL,
    UsageCount         bigint NOT NULL CONSTRAINT DF_Models_UsageCount DEFAULT (0),
    AverageInferenceMs float NULL,
    CONSTRAINT PK_Models PRIMARY KEY CLUSTERED (ModelId)
);
CREATE INDEX IX_Models_ModelName ON dbo.Models (ModelName);
CREATE INDEX IX_Models_ModelType ON dbo.Models (ModelType);
END
GO

IF OBJECT_ID(N'dbo.ModelMetadata', N'U') IS NULL
CREATE TABLE dbo.ModelMetadata (
    MetadataId          int IDENTITY(1,1) NOT NULL,
    ModelId             int NOT NULL,
    SupportedTasks      $(json) NULL,
    SupportedModalities $(json) NULL,
    PerformanceMetrics  $(json) NULL,
    MaxInputLength      int NULL,
    MaxOutputLength     int NULL,
    EmbeddingDimension  int NULL,
    TrainingDataset     nvarchar(500) NULL,
    TrainingDate        date NULL,
    License             nvarchar(100) NULL,
    SourceUrl           nvarchar(500) NULL,
    CONSTRAINT PK_ModelMetadata PRIMARY KEY CLUSTERED (MetadataId),
    CONSTRAINT UX_ModelMetadata_ModelId UNIQUE (ModelId),
    CONSTRAINT FK_ModelMetadata_Models_ModelId FOREIGN KEY (ModelId) REFERENCES dbo.Models (ModelId) ON DELETE CASCADE
);
GO

IF OBJECT_ID(N'dbo.ModelLayers', N'U') IS NULL
BEGIN
CREATE TABLE dbo.ModelLayers (
    LayerId               bigint IDENTITY(1,1) NOT NULL,
    ModelId               int NOT NULL,
    LayerIdx              int NOT NULL,
    LayerName             nvarchar(100) NULL,
    LayerType             nvarchar(50) NULL,
    TensorShape           nvarchar(200) NULL,
    TensorDtype           nvarchar(20) NULL CONSTRAINT DF_ModelLayers_TensorDtype DEFAULT (N'float32'),
    QuantizationType      nvarchar(20) NULL,
    QuantizationScale     float NULL,
    QuantizationZeroPoint float NULL,
    Parameters            $(json) NULL,
    ParameterCount        bigint NULL,
    ZMin                  float NULL,
    ZMax                  float NULL,
    MMin                  float NULL,
    MMax                  float NULL,
    MortonCode            bigint NULL,
    PreviewPointCount     int NULL,
    CacheHitRate          float NULL CONSTRAINT DF_ModelLayers_CacheHitRate DEFAULT (0),
    AvgComputeTimeMs      float NULL,
    WeightsGeometry       $(geometry) NULL,
    LayerAtomId           bigint NULL,
    CONSTRAINT PK_ModelLayers PRIMARY KEY CLUSTERED (LayerId),
    CONSTRAINT FK_ModelLayers_Models_ModelId FOREIGN KEY (ModelId) REFERENCES dbo.Models (ModelId) ON DELETE CASCADE,
    CONSTRAINT FK_ModelLayers_Atoms_LayerAtomId
        FOREIGN KEY (LayerAtomId) REFERENCES dbo.Atoms (AtomId) ON DELETE SET NULL
);
CREATE INDEX IX_ModelLayers_ModelId_LayerIdx ON dbo.ModelLayers (ModelId, LayerIdx);
CREATE INDEX IX_ModelLayers_LayerAtomId ON dbo.ModelLayers (LayerAtomId);
CREATE INDEX IX_ModelLayers_LayerType ON dbo.ModelLayers (LayerType);
END
GO

IF OBJECT_ID(N'dbo.LayerTensorSegments', N'U') IS NULL
BEGIN
CREATE TABLE dbo.LayerTensorSegments (
    LayerTensorSegmentId  bigint IDENTITY(1,1) NOT NULL,
    LayerId               bigint NOT NULL,
    SegmentOrdinal        int NOT NULL,
    PointOffset           bigint NOT NULL,
    PointCount            int NOT NULL,
    QuantizationType      nvarchar(20) NOT NULL,
    QuantizationScale     float NULL,
    QuantizationZeroPoint float NULL,
    ZMin                  float NULL,
    ZMax                  float NULL,
    MMin                  float NULL,
    MMax                  float NULL,
    MortonCode            bigint NULL,
    GeometryFootprint     $(geometry) NULL,
    RawPayload            $(payload) NOT NULL CONSTRAINT DF_LayerTensorSegments_RawPayload DEFAULT (0x),
    PayloadRowGuid        uniqueidentifier ROWGUIDCOL NOT NULL
        CONSTRAINT DF_LayerTensorSegments_PayloadRowGuid DEFAULT (NEWSEQUENTIALID()),
    CreatedAt             datetime2 NOT NULL CONSTRAINT DF_LayerTensorSegments_CreatedAt DEFAULT (SYSUTCDATETIME()),
    CONSTRAINT PK_LayerTensorSegments PRIMARY KEY CLUSTERED (LayerTensorSegmentId),
    CONSTRAINT UX_LayerTensorSegments_PayloadRowGuid UNIQUE (PayloadRowGuid),
    CONSTRAINT FK_LayerTensorSegments_ModelLayers_LayerId
        FOREIGN KEY (LayerId) REFERENCES dbo.ModelLayers (LayerId) ON DELETE CASCADE
)$(filestream_on);
CREATE UNIQUE INDEX UX_LayerTensorSegments_LayerId_SegmentOrdinal ON dbo.LayerTensorSegments (LayerId, SegmentOrdinal);
END
GO

IF OBJECT_ID(N'dbo.IngestionJobs', N'U') IS NULL
CREATE TABLE dbo.IngestionJobs (
    IngestionJobId bigint IDENTITY(1,1) NOT NULL,
    PipelineName   nvarchar(256) NOT NULL,
    StartedAt      datetime2 NULL,
    CompletedAt    datetime2 NULL,
    Status         nvarchar(64) NULL,
    SourceUri      nvarchar(1024) NULL,
    Metadata       $(json) NULL,
    CONSTRAINT PK_IngestionJobs PRIMARY KEY CLUSTERED (IngestionJobId)
);
GO

IF OBJECT_ID(N'dbo.IngestionJobAtoms', N'U') IS NULL
BEGIN
CREATE TABLE dbo.IngestionJobAtoms (
    IngestionJobAtomId bigint IDENTITY(1,1) NOT NULL,
    IngestionJobId     bigint NOT NULL,
    AtomId             bigint NOT NULL,
    WasDuplicate       bit NOT NULL CONSTRAINT DF_IngestionJobAtoms_WasDuplicate DEFAULT (0),
    Notes              nvarchar(1024) NULL,
    CONSTRAINT PK_IngestionJobAtoms PRIMARY KEY CLUSTERED (IngestionJobAtomId),
    CONSTRAINT FK_IngestionJobAtoms_IngestionJobs_IngestionJobId
        FOREIGN KEY (IngestionJobId) REFERENCES dbo.IngestionJobs (IngestionJobId) ON DELETE CASCADE,
    CONSTRAINT FK_IngestionJobAtoms_Atoms_AtomId FOREIGN KEY (AtomId) REFERENCES dbo.Atoms (AtomId)
);
CREATE INDEX IX_IngestionJobAtoms_IngestionJobId_AtomId ON dbo.IngestionJobAtoms (IngestionJobId, AtomId);
CREATE INDEX IX_IngestionJobAtoms_AtomId ON dbo.IngestionJobAtoms (AtomId);
END
GO
