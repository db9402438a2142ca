-- A columnstore beside the rows of LayerTensorSegments, for questions over all of them. It holds no
-- payload: beside rows a columnstore takes neither a FILESTREAM column nor a varbinary(max). While it is made, the
-- table is read and not written (lock S). Azure SQL Database has it from service objective S3 on, editions
-- of SQL Server 2016 other than Enterprise from Service Pack 1 on.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.LayerTensorSegments') AND type = 6)
    CREATE NONCLUSTERED COLUMNSTORE INDEX NCCI_LayerTensorSegments ON dbo.LayerTensorSegments
        (LayerTensorSegmentId, LayerId, SegmentOrdinal, PointOffset, PointCount, QuantizationType, ByteOffset, ByteSize, AtomId, CreatedAt);
GO
