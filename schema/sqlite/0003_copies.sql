-- The address of a payload that is in its segment's row as well, during a migration. The row itself has
-- no address then: SQLite would write the whole row again, with its payload, to set it.
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

-- These keep it so when another program writes: an emptied row gets the address of its copy, and an
-- address beside a payload moves to the copies. A copy stays when the payload changes: verify finds the
-- damage, and the copy may be all that is left.
CREATE TRIGGER TR_LayerTensorSegments_Emptied AFTER UPDATE OF RawPayload ON LayerTensorSegments
WHEN length(NEW.RawPayload) = 0
BEGIN
    UPDATE LayerTensorSegments SET (BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified) =
        (SELECT BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified
        FROM TensorSegmentCopies WHERE SegmentId = NEW.LayerTensorSegmentId)
    WHERE LayerTensorSegmentId = NEW.LayerTensorSegmentId AND BlobUri IS NULL
        AND EXISTS (SELECT 1 FROM TensorSegmentCopies WHERE SegmentId = NEW.LayerTensorSegmentId);
    DELETE FROM TensorSegmentCopies WHERE SegmentId = NEW.LayerTensorSegmentId;
END;
CREATE TRIGGER TR_LayerTensorSegments_Both AFTER UPDATE OF RawPayload, BlobUri ON LayerTensorSegments
WHEN NEW.BlobUri IS NOT NULL AND length(NEW.RawPayload) > 0
BEGIN
    INSERT OR REPLACE INTO TensorSegmentCopies
    VALUES (NEW.LayerTensorSegmentId, NEW.BlobUri, NEW.BlobContainer, NEW.BlobName, NEW.BlobETag,
        NEW.BlobSizeBytes, NEW.BlobLastModified);
    UPDATE LayerTensorSegments SET BlobUri = NULL, BlobContainer = NULL, BlobName = NULL, BlobETag = NULL,
        BlobSizeBytes = 0, BlobLastModified = NULL
    WHERE LayerTensorSegmentId = NEW.LayerTensorSegmentId;
END;
CREATE TRIGGER TR_FileSegments_Emptied AFTER UPDATE OF RawPayload ON FileSegments
WHEN length(NEW.RawPayload) = 0
BEGIN
    UPDATE FileSegments SET (BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified) =
        (SELECT BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified
        FROM FileSegmentCopies WHERE SegmentId = NEW.FileSegmentId)
    WHERE FileSegmentId = NEW.FileSegmentId AND BlobUri IS NULL
        AND EXISTS (SELECT 1 FROM FileSegmentCopies WHERE SegmentId = NEW.FileSegmentId);
    DELETE FROM FileSegmentCopies WHERE SegmentId = NEW.FileSegmentId;
END;
CREATE TRIGGER TR_FileSegments_Both AFTER UPDATE OF RawPayload, BlobUri ON FileSegments
WHEN NEW.BlobUri IS NOT NULL AND length(NEW.RawPayload) > 0
BEGIN
    INSERT OR REPLACE INTO FileSegmentCopies
    VALUES (NEW.FileSegmentId, NEW.BlobUri, NEW.BlobContainer, NEW.BlobName, NEW.BlobETag,
        NEW.BlobSizeBytes, NEW.BlobLastModified);
    UPDATE FileSegments SET BlobUri = NULL, BlobContainer = NULL, BlobName = NULL, BlobETag = NULL,
        BlobSizeBytes = 0, BlobLastModified = NULL
    WHERE FileSegmentId = NEW.FileSegmentId;
END;
