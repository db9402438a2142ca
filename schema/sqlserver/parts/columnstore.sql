-- A columnstore beside the rows of LayerTensorSegments, for questions over all of them. It holds no
-- payload: a columnstore takes no FILESTREAM column, and a varbinary(max) would be copied into it.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.LayerTensorSegments') AND type = 6)
    CREATE NONCLUSTERED COLUMNSTORE INDEX NCCI_LayerTensorSegments ON dbo.LayerTensorSegments
        (LayerTensorSegmentId, LayerId, SegmentOrdinal, PointOffset, PointCount, QuantizationType, ByteOffset, ByteSize, AtomId, CreatedAt);
GO
