-- The address of a payload that is in its segment's row as well, during a migration. The row itself has
-- no address then: to change one column, SQLite writes a row with its payload anew.
CREATE TABLE TensorSegmentCopies (
    SegmentId        INTEGER PRIMARY KEY REFERENCES LayerTensorSegments (LayerTensorSegmentId) ON DELETE CASCADE,
    BlobUri          TEXT NOT NULL,
    BlobContainer    TEXT,
    BlobName         TEXT,
    BlobETag         TEXT,
    BlobSizeBytes    INTEGER NOT NULL,
    BlobLastModified TEXT
);
CREATE TABLE FileSegmentCopies (
    SegmentId        INTEGER PRIMARY KEY REFERENCES FileSegments (FileSegmentId) ON DELETE CASCADE,
    BlobUri          TEXT NOT NULL,
    BlobContainer    TEXT,
    BlobName         TEXT,
    BlobETag         TEXT,
    BlobSizeBytes    INTEGER NOT NULL,
    BlobLastModified TEXT
);

INSERT INTO TensorSegmentCopies
SELECT LayerTensorSegmentId, BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified
FROM LayerTensorSegments WHERE BlobUri IS NOT NULL AND length(RawPayload) > 0;
INSERT INTO FileSegmentCopies
SELECT FileSegmentId, BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified
FROM FileSegments WHERE BlobUri IS NOT NULL AND length(RawPayload) > 0;
UPDATE LayerTensorSegments SET BlobUri = NULL, BlobContainer = NULL, BlobName = NULL, BlobETag = NULL,
    BlobSizeBytes = 0, BlobLastModified = NULL
WHERE BlobUri IS NOT NULL AND length(RawPayload) > 0;
UPDATE FileSegments SET BlobUri = NULL, BlobContainer = NULL, BlobName = NULL, BlobETag = NULL,
    BlobSizeBytes = 0, BlobLastModified = NULL
WHERE BlobUri IS NOT NULL AND length(RawPayload) > 0;

-- A payload that is replaced or cleared is no longer that of the copy.
CREATE TRIGGER TR_LayerTensorSegments_RawPayload AFTER UPDATE OF RawPayload ON LayerTensorSegments
BEGIN
    DELETE FROM TensorSegmentCopies WHERE SegmentId = NEW.LayerTensorSegmentId;
END;
CREATE TRIGGER TR_FileSegments_RawPayload AFTER UPDATE OF RawPayload ON FileSegments
BEGIN
    DELETE FROM FileSegmentCopies WHERE SegmentId = NEW.FileSegmentId;
END;
