-- How the payload at a segment's address is encoded: the codec, NULL for the bytes themselves, and
-- the SHA-256 of the encoded payload. BlobSizeBytes is its size as it is stored. RawPayload is
-- never encoded. The columns come after RawPayload, so do not read them in a row with a payload:
-- SQLite would read all of it. Such a row has no address.
ALTER TABLE LayerTensorSegments ADD COLUMN Codec TEXT;
ALTER TABLE LayerTensorSegments ADD COLUMN StoredHash BLOB;
ALTER TABLE FileSegments ADD COLUMN Codec TEXT;
ALTER TABLE FileSegments ADD COLUMN StoredHash BLOB;
ALTER TABLE TensorSegmentCopies ADD COLUMN Codec TEXT;
ALTER TABLE TensorSegmentCopies ADD COLUMN StoredHash BLOB;
ALTER TABLE FileSegmentCopies ADD COLUMN Codec TEXT;
ALTER TABLE FileSegmentCopies ADD COLUMN StoredHash BLOB;

-- The sum of ByteSize - BlobSizeBytes of the file's segments with a codec.
ALTER TABLE ModelFiles ADD COLUMN BytesSaved INTEGER NOT NULL DEFAULT 0;

-- The triggers of step 3, with the new columns.
DROP TRIGGER TR_LayerTensorSegments_Emptied;
DROP TRIGGER TR_LayerTensorSegments_Both;
DROP TRIGGER TR_FileSegments_Emptied;
DROP TRIGGER TR_FileSegments_Both;
CREATE TRIGGER TR_LayerTensorSegments_Emptied AFTER UPDATE OF RawPayload ON LayerTensorSegments
WHEN length(NEW.RawPayload) = 0
BEGIN
    UPDATE LayerTensorSegments
    SET (BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, Codec, StoredHash) =
        (SELECT BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, Codec, StoredHash
        FROM TensorSegmentCopies WHERE SegmentId = NEW.LayerTensorSegmentId)
    WHERE LayerTensorSegmentId = NEW.LayerTensorSegmentId AND BlobUri IS NULL
        AND EXISTS (SELECT 1 FROM TensorSegmentCopies WHERE SegmentId = NEW.LayerTensorSegmentId);
    DELETE FROM TensorSegmentCopies WHERE SegmentId = NEW.LayerTensorSegmentId;
END;
CREATE TRIGGER TR_LayerTensorSegments_Both AFTER UPDATE OF RawPayload, BlobUri ON LayerTensorSegments
WHEN NEW.BlobUri IS NOT NULL AND length(NEW.RawPayload) > 0
BEGIN
    INSERT OR REPLACE INTO TensorSegmentCopies (SegmentId, BlobUri, BlobContainer, BlobName, BlobETag,
        BlobSizeBytes, BlobLastModified, Codec, StoredHash)
    VALUES (NEW.LayerTensorSegmentId, NEW.BlobUri, NEW.BlobContainer, NEW.BlobName, NEW.BlobETag,
        NEW.BlobSizeBytes, NEW.BlobLastModified, NEW.Codec, NEW.StoredHash);
    UPDATE LayerTensorSegments SET BlobUri = NULL, BlobContainer = NULL, BlobName = NULL, BlobETag = NULL,
        BlobSizeBytes = 0, BlobLastModified = NULL, Codec = NULL, StoredHash = NULL
    WHERE LayerTensorSegmentId = NEW.LayerTensorSegmentId;
END;
CREATE TRIGGER TR_FileSegments_Emptied AFTER UPDATE OF RawPayload ON FileSegments
WHEN length(NEW.RawPayload) = 0
BEGIN
    UPDATE FileSegments
    SET (BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, Codec, StoredHash) =
        (SELECT BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, Codec, StoredHash
        FROM FileSegmentCopies WHERE SegmentId = NEW.FileSegmentId)
    WHERE FileSegmentId = NEW.FileSegmentId AND BlobUri IS NULL
        AND EXISTS (SELECT 1 FROM FileSegmentCopies WHERE SegmentId = NEW.FileSegmentId);
    DELETE FROM FileSegmentCopies WHERE SegmentId = NEW.FileSegmentId;
END;
CREATE TRIGGER TR_FileSegments_Both AFTER UPDATE OF RawPayload, BlobUri ON FileSegments
WHEN NEW.BlobUri IS NOT NULL AND length(NEW.RawPayload) > 0
BEGIN
    INSERT OR REPLACE INTO FileSegmentCopies (SegmentId, BlobUri, BlobContainer, BlobName, BlobETag,
        BlobSizeBytes, BlobLastModified, Codec, StoredHash)
    VALUES (NEW.FileSegmentId, NEW.BlobUri, NEW.BlobContainer, NEW.BlobName, NEW.BlobETag,
        NEW.BlobSizeBytes, NEW.BlobLastModified, NEW.Codec, NEW.StoredHash);
    UPDATE FileSegments SET BlobUri = NULL, BlobContainer = NULL, BlobName = NULL, BlobETag = NULL,
        BlobSizeBytes = 0, BlobLastModified = NULL, Codec = NULL, StoredHash = NULL
    WHERE FileSegmentId = NEW.FileSegmentId;
END;

-- A program of an earlier version that is at work copies addresses without these columns. Its next
-- write fails, because it has no lease any more.
UPDATE IngestionJobs SET LeaseToken = LeaseToken + 1, LeaseExpiresMs = NULL WHERE LeaseExpiresMs IS NOT NULL;
