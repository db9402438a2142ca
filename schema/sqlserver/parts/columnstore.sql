-- A columnstore index on LayerTensorSegments for analytical queries. It excludes the payload: a
-- nonclustered columnstore takes neither FILESTREAM nor varbinary(max) columns. Creating it blocks
-- writers, not readers (lock S). It needs service objective S3 in Azure SQL Database, and Service
-- Pack 1 in editions of SQL Server 2016 other than Enterprise.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.LayerTensorSegments') AND type = 6)
    CREATE NONCLUSTERED COLUMNSTORE INDEX NCCI_LayerTensorSegments ON dbo.LayerTensorSegments
        (LayerTensorSegmentId, LayerId, SegmentOrdinal, PointOffset, PointCount, QuantizationType,
        ByteOffset, ByteSize, AtomId, CreatedAt);
GO
