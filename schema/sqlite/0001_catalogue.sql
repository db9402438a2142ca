-- The tables of the Hartonomous database in the embedded catalogue, with the columns that ingest
-- adds. Times are text in UTC, JSON is text, and text is stored byte for byte: a name from a
-- hostile file need not be UTF-8.

-- Identifies this database among all others.
CREATE TABLE CatalogIdentity (
    CatalogIdentityId INTEGER PRIMARY KEY CHECK (CatalogIdentityId = 1),
    Identity          TEXT NOT NULL
);
INSERT INTO CatalogIdentity (CatalogIdentityId, Identity) VALUES (1, lower(hex(randomblob(16))));

-- AUTOINCREMENT on jobs and models: users see and note their numbers, so a number must not be
-- reused.
CREATE TABLE IngestionJobs (
    IngestionJobId INTEGER PRIMARY KEY AUTOINCREMENT,
    PipelineName   TEXT NOT NULL,
    StartedAt      TEXT,
    CompletedAt    TEXT,
    Status         TEXT,
    SourceUri      TEXT,
    Metadata       TEXT,
    LeaseHolder    TEXT,
    LeaseToken     INTEGER NOT NULL DEFAULT 0,
    LeaseExpiresMs INTEGER,          -- Unix time in ms; NULL if there is no lease
    LeaseAlone     INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX UX_IngestionJobs_Open ON IngestionJobs (PipelineName, SourceUri) WHERE Status = 'open';
CREATE INDEX IX_IngestionJobs_Leased ON IngestionJobs (LeaseExpiresMs) WHERE LeaseExpiresMs IS NOT NULL;

CREATE TABLE Atoms (
    AtomId           INTEGER PRIMARY KEY,
    ContentHash      BLOB NOT NULL CHECK (length(ContentHash) = 32),
    Modality         TEXT NOT NULL,
    Subtype          TEXT,
    SourceUri        TEXT,
    SourceType       TEXT,
    CanonicalText    TEXT,
    PayloadLocator   TEXT,
    Metadata         TEXT,
    CreatedAt        TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UpdatedAt        TEXT,
    IsActive         INTEGER NOT NULL DEFAULT 1,
    ReferenceCount   INTEGER NOT NULL DEFAULT 0,
    SpatialKey       BLOB,
    ComponentStream  BLOB,
    RowGuid          BLOB,
    Payload          BLOB,
    BlobUri          TEXT,
    BlobContainer    TEXT,
    BlobName         TEXT,
    BlobSizeBytes    INTEGER,
    BlobETag         TEXT,
    BlobLastModified TEXT,
    ByteSize         INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX UX_Atoms_ContentHash ON Atoms (ContentHash);

CREATE TABLE Models (
    ModelId            INTEGER PRIMARY KEY AUTOINCREMENT,
    ModelName          TEXT NOT NULL,
    ModelType          TEXT NOT NULL,
    Architecture       TEXT,
    Config             TEXT,
    ParameterCount     INTEGER,
    IngestionDate      TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    LastUsed           TEXT,
    UsageCount         INTEGER NOT NULL DEFAULT 0,
    AverageInferenceMs REAL,
    State              TEXT,          -- NULL means complete: other programs set no state
    SourceKey          BLOB,
    ContentKey         BLOB,
    IngestionJobId     INTEGER REFERENCES IngestionJobs (IngestionJobId)
);
CREATE INDEX IX_Models_ModelName ON Models (ModelName);
CREATE INDEX IX_Models_ModelType ON Models (ModelType);
CREATE UNIQUE INDEX UX_Models_SourceKey ON Models (SourceKey) WHERE State = 'open';
CREATE UNIQUE INDEX UX_Models_ContentKey ON Models (ContentKey) WHERE State = 'complete' AND ContentKey IS NOT NULL;

-- A model whose weights were already stored, and the model that it was merged into. Complete gives
-- the same answer again after a lost one.
CREATE TABLE ModelMerges (
    ModelId     INTEGER PRIMARY KEY,
    IntoModelId INTEGER NOT NULL REFERENCES Models (ModelId) ON DELETE CASCADE
);
CREATE INDEX IX_ModelMerges_Into ON ModelMerges (IntoModelId);

CREATE TABLE ModelMetadata (
    MetadataId          INTEGER PRIMARY KEY,
    ModelId             INTEGER NOT NULL UNIQUE REFERENCES Models (ModelId) ON DELETE CASCADE,
    SupportedTasks      TEXT,
    SupportedModalities TEXT,
    PerformanceMetrics  TEXT,
    MaxInputLength      INTEGER,
    MaxOutputLength     INTEGER,
    EmbeddingDimension  INTEGER,
    TrainingDataset     TEXT,
    TrainingDate        TEXT,
    License             TEXT,
    SourceUrl           TEXT
);

CREATE TABLE ModelFiles (
    ModelFileId   INTEGER PRIMARY KEY AUTOINCREMENT,
    ModelId       INTEGER NOT NULL REFERENCES Models (ModelId) ON DELETE CASCADE,
    FileIdx       INTEGER NOT NULL,
    Role          TEXT NOT NULL,
    Format        TEXT NOT NULL,
    FileName      TEXT NOT NULL,
    SourcePath    TEXT NOT NULL,
    ByteSize      INTEGER NOT NULL,
    ModifiedNs    INTEGER NOT NULL,
    ClaimedHash   BLOB,
    ContentHash   BLOB,
    FileAtomId    INTEGER REFERENCES Atoms (AtomId),
    SegmentBytes  INTEGER NOT NULL,
    TensorCount   INTEGER NOT NULL,
    RecordedBytes INTEGER NOT NULL DEFAULT 0,
    SegmentCount  INTEGER NOT NULL DEFAULT 0,
    BytesStored   INTEGER NOT NULL DEFAULT 0,
    BytesShared   INTEGER NOT NULL DEFAULT 0,
    HashState     BLOB
);
CREATE UNIQUE INDEX UX_ModelFiles_ModelId_FileIdx ON ModelFiles (ModelId, FileIdx);
CREATE INDEX IX_ModelFiles_FileAtomId ON ModelFiles (FileAtomId);

-- Where complete files were read from. Several paths may have the same content.
CREATE TABLE FilePaths (
    FilePathId  INTEGER PRIMARY KEY,
    ModelFileId INTEGER NOT NULL REFERENCES ModelFiles (ModelFileId) ON DELETE CASCADE,
    SourcePath  TEXT NOT NULL,
    ByteSize    INTEGER NOT NULL,
    ModifiedNs  INTEGER NOT NULL
);
CREATE UNIQUE INDEX UX_FilePaths_SourcePath ON FilePaths (SourcePath);
CREATE INDEX IX_FilePaths_ModelFileId ON FilePaths (ModelFileId);

CREATE TABLE ModelNames (
    ModelNameId INTEGER PRIMARY KEY,
    ModelId     INTEGER NOT NULL REFERENCES Models (ModelId) ON DELETE CASCADE,
    Name        TEXT NOT NULL,
    SourceUri   TEXT NOT NULL
);
CREATE UNIQUE INDEX UX_ModelNames_ModelId_Name ON ModelNames (ModelId, Name);

CREATE TABLE ModelNameFiles (
    ModelNameId INTEGER NOT NULL REFERENCES ModelNames (ModelNameId) ON DELETE CASCADE,
    ModelFileId INTEGER NOT NULL REFERENCES ModelFiles (ModelFileId) ON DELETE CASCADE,
    PRIMARY KEY (ModelNameId, ModelFileId)
) WITHOUT ROWID;
CREATE INDEX IX_ModelNameFiles_ModelFileId ON ModelNameFiles (ModelFileId);

CREATE TABLE ModelLayers (
    LayerId               INTEGER PRIMARY KEY,
    ModelId               INTEGER NOT NULL REFERENCES Models (ModelId) ON DELETE CASCADE,
    LayerIdx              INTEGER NOT NULL,
    LayerName             TEXT,
    LayerType             TEXT,
    TensorShape           TEXT,
    TensorDtype           TEXT DEFAULT 'float32',
    QuantizationType      TEXT,
    QuantizationScale     REAL,
    QuantizationZeroPoint REAL,
    Parameters            TEXT,
    ParameterCount        INTEGER,
    ZMin                  REAL,
    ZMax                  REAL,
    MMin                  REAL,
    MMax                  REAL,
    MortonCode            INTEGER,
    PreviewPointCount     INTEGER,
    CacheHitRate          REAL DEFAULT 0,
    AvgComputeTimeMs      REAL,
    WeightsGeometry       BLOB,
    LayerAtomId           INTEGER REFERENCES Atoms (AtomId) ON DELETE SET NULL,
    ModelFileId           INTEGER REFERENCES ModelFiles (ModelFileId) ON DELETE CASCADE,
    ByteOffset            INTEGER,
    ByteSize              INTEGER
);
CREATE INDEX IX_ModelLayers_ModelId_LayerIdx ON ModelLayers (ModelId, LayerIdx);
CREATE INDEX IX_ModelLayers_LayerAtomId ON ModelLayers (LayerAtomId) WHERE LayerAtomId IS NOT NULL;
CREATE INDEX IX_ModelLayers_LayerType ON ModelLayers (LayerType);
CREATE INDEX IX_ModelLayers_ModelFileId_ByteOffset ON ModelLayers (ModelFileId, ByteOffset);

-- RawPayload is the last column: SQLite reads a row only up to the columns it needs, and a large
-- payload is on pages of its own.
CREATE TABLE LayerTensorSegments (
    LayerTensorSegmentId  INTEGER PRIMARY KEY,
    LayerId               INTEGER NOT NULL REFERENCES ModelLayers (LayerId) ON DELETE CASCADE,
    SegmentOrdinal        INTEGER NOT NULL,
    PointOffset           INTEGER NOT NULL,
    PointCount            INTEGER NOT NULL,
    QuantizationType      TEXT NOT NULL,
    QuantizationScale     REAL,
    QuantizationZeroPoint REAL,
    ZMin                  REAL,
    ZMax                  REAL,
    MMin                  REAL,
    MMax                  REAL,
    MortonCode            INTEGER,
    GeometryFootprint     BLOB,
    PayloadRowGuid        BLOB,
    CreatedAt             TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    ByteOffset            INTEGER NOT NULL,
    ByteSize              INTEGER NOT NULL,
    AtomId                INTEGER NOT NULL REFERENCES Atoms (AtomId),
    BlobUri               TEXT,
    BlobContainer         TEXT,
    BlobName              TEXT,
    BlobETag              TEXT,
    BlobSizeBytes         INTEGER NOT NULL DEFAULT 0,
    BlobLastModified      TEXT,
    RawPayload            BLOB NOT NULL DEFAULT x''
);
CREATE UNIQUE INDEX UX_LayerTensorSegments_LayerId_SegmentOrdinal ON LayerTensorSegments (LayerId, SegmentOrdinal);
CREATE INDEX IX_LayerTensorSegments_AtomId ON LayerTensorSegments (AtomId);

-- The bytes of a file outside all tensors.
CREATE TABLE FileSegments (
    FileSegmentId    INTEGER PRIMARY KEY,
    ModelFileId      INTEGER NOT NULL REFERENCES ModelFiles (ModelFileId) ON DELETE CASCADE,
    SegmentOrdinal   INTEGER NOT NULL,
    ByteOffset       INTEGER NOT NULL,
    ByteSize         INTEGER NOT NULL,
    AtomId           INTEGER NOT NULL REFERENCES Atoms (AtomId),
    CreatedAt        TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    BlobUri          TEXT,
    BlobContainer    TEXT,
    BlobName         TEXT,
    BlobETag         TEXT,
    BlobSizeBytes    INTEGER NOT NULL DEFAULT 0,
    BlobLastModified TEXT,
    RawPayload       BLOB NOT NULL DEFAULT x''
);
CREATE UNIQUE INDEX UX_FileSegments_ModelFileId_SegmentOrdinal ON FileSegments (ModelFileId, SegmentOrdinal);
CREATE INDEX IX_FileSegments_AtomId ON FileSegments (AtomId);

CREATE TABLE IngestionJobAtoms (
    IngestionJobAtomId INTEGER PRIMARY KEY,
    IngestionJobId     INTEGER NOT NULL REFERENCES IngestionJobs (IngestionJobId) ON DELETE CASCADE,
    AtomId             INTEGER NOT NULL REFERENCES Atoms (AtomId),
    WasDuplicate       INTEGER NOT NULL DEFAULT 0,
    Notes              TEXT
);
CREATE UNIQUE INDEX UX_IngestionJobAtoms_Job_Atom ON IngestionJobAtoms (IngestionJobId, AtomId);
CREATE INDEX IX_IngestionJobAtoms_AtomId ON IngestionJobAtoms (AtomId);
