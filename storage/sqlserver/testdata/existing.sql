-- The database of the other application, in the edition that existing_test.go fills in. Names that
-- the contract does not define differ from those in schema/.
CREATE TABLE dbo.Atoms (
    AtomId bigint IDENTITY(1,1) NOT NULL CONSTRAINT PK_Atoms PRIMARY KEY,
    ContentHash binary(32) NOT NULL,
    Modality nvarchar(64) NOT NULL,
    Subtype nvarchar(128) NULL,
    SourceUri nvarchar(1024) NULL,
    SourceType nvarchar(128) NULL,
    CanonicalText nvarchar(max) NULL,
    PayloadLocator $(locator) NULL,
    Metadata nvarchar(max) NULL,
    CreatedAt datetime2 NOT NULL DEFAULT (SYSUTCDATETIME()),
    UpdatedAt datetime2 NULL,
    IsActive bit NOT NULL DEFAULT (1),
    ReferenceCount bigint NOT NULL DEFAULT (0),
    SpatialKey $(geometry) NULL,
    ComponentStream varbinary(max) NULL$(atom)
);
GO
CREATE UNIQUE INDEX UX_Atoms_ContentHash ON dbo.Atoms (ContentHash);
GO
CREATE TABLE dbo.Models (
    ModelId int IDENTITY(1,1) NOT NULL PRIMARY KEY,
    ModelName nvarchar(200) NOT NULL,
    ModelType nvarchar(100) NOT NULL,
    Architecture nvarchar(100) NULL,
    Config nvarchar(max) NULL,
    ParameterCount bigint NULL,
    IngestionDate datetime2 NOT NULL DEFAULT (SYSUTCDATETIME()),
    LastUsed datetime2 NULL,
    UsageCount bigint NOT NULL DEFAULT (0),
    AverageInferenceMs float NULL
);
GO
CREATE INDEX IX_Models_Name ON dbo.Models (ModelName);
GO
CREATE INDEX IX_Models_Type ON dbo.Models (ModelType);
GO
CREATE TABLE dbo.ModelMetadata (
    MetadataId int IDENTITY(1,1) NOT NULL PRIMARY KEY,
    ModelId int NOT NULL UNIQUE,
    SupportedTasks nvarchar(max) NULL,
    SupportedModalities nvarchar(max) NULL,
    PerformanceMetrics nvarchar(max) NULL,
    MaxInputLength int NULL,
    MaxOutputLength int NULL,
    EmbeddingDimension int NULL,
    TrainingDataset nvarchar(500) NULL,
    TrainingDate date NULL,
    License nvarchar(100) NULL,
    SourceUrl nvarchar(500) NULL,
    FOREIGN KEY (ModelId) REFERENCES dbo.Models (ModelId) ON DELETE CASCADE
);
GO
CREATE TABLE dbo.ModelLayers (
    LayerId bigint IDENTITY(1,1) NOT NULL PRIMARY KEY,
    ModelId int NOT NULL,
    LayerIdx int NOT NULL,
    LayerName nvarchar(100) NULL,
    LayerType nvarchar(50) NULL,
    TensorShape nvarchar(200) NULL,
    TensorDtype nvarchar(20) NULL DEFAULT (N'float32'),
    QuantizationType nvarchar(20) NULL,
    QuantizationScale float NULL,
    QuantizationZeroPoint float NULL,
    Parameters nvarchar(max) NULL,
    ParameterCount bigint NULL,
    ZMin float NULL,
    ZMax float NULL,
    MMin float NULL,
    MMax float NULL,
    MortonCode bigint NULL,
    PreviewPointCount int NULL,
    CacheHitRate float NULL DEFAULT (0),
    AvgComputeTimeMs float NULL,
    WeightsGeometry $(geometry) NULL,
    LayerAtomId bigint NULL,
    CONSTRAINT FK_Layers_Models FOREIGN KEY (ModelId) REFERENCES dbo.Models (ModelId) ON DELETE CASCADE,
    CONSTRAINT FK_Layers_Atoms FOREIGN KEY (LayerAtomId) REFERENCES dbo.Atoms (AtomId) ON DELETE SET NULL
);
GO
CREATE INDEX IX_ModelLayers_Model ON dbo.ModelLayers (ModelId, LayerIdx);
GO
CREATE INDEX IX_ModelLayers_Atom ON dbo.ModelLayers (LayerAtomId);
GO
CREATE INDEX IX_ModelLayers_Type ON dbo.ModelLayers (LayerType);
GO
CREATE TABLE dbo.LayerTensorSegments (
    LayerTensorSegmentId bigint IDENTITY(1,1) NOT NULL PRIMARY KEY,
    LayerId bigint NOT NULL,
    SegmentOrdinal int NOT NULL,
    PointOffset bigint NOT NULL,
    PointCount int NOT NULL,
    QuantizationType nvarchar(20) NOT NULL,
    QuantizationScale float NULL,
    QuantizationZeroPoint float NULL,
    ZMin float NULL,
    ZMax float NULL,
    MMin float NULL,
    MMax float NULL,
    MortonCode bigint NULL,
    GeometryFootprint $(geometry) NULL,
    $(segment),
    CreatedAt datetime2 NOT NULL DEFAULT (SYSUTCDATETIME()),
    CONSTRAINT FK_Segments_Layers FOREIGN KEY (LayerId) REFERENCES dbo.ModelLayers (LayerId) ON DELETE CASCADE
);
GO
CREATE UNIQUE INDEX UX_LayerTensorSegments_LayerId_SegmentOrdinal ON dbo.LayerTensorSegments (LayerId, SegmentOrdinal);
GO
CREATE TABLE dbo.IngestionJobs (
    IngestionJobId bigint IDENTITY(1,1) NOT NULL PRIMARY KEY,
    PipelineName nvarchar(256) NOT NULL,
    StartedAt datetime2 NULL,
    CompletedAt datetime2 NULL,
    Status nvarchar(64) NULL,
    SourceUri nvarchar(1024) NULL,
    Metadata nvarchar(max) NULL
);
GO
CREATE TABLE dbo.IngestionJobAtoms (
    IngestionJobAtomId bigint IDENTITY(1,1) NOT NULL PRIMARY KEY,
    IngestionJobId bigint NOT NULL,
    AtomId bigint NOT NULL,
    WasDuplicate bit NOT NULL DEFAULT (0),
    Notes nvarchar(1024) NULL,
    CONSTRAINT FK_JobAtoms_Jobs
        FOREIGN KEY (IngestionJobId) REFERENCES dbo.IngestionJobs (IngestionJobId) ON DELETE CASCADE,
    FOREIGN KEY (AtomId) REFERENCES dbo.Atoms (AtomId)
);
