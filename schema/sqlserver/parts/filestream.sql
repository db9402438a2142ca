-- A filegroup and a file for FILESTREAM, and payloads kept there. The instance must have
-- FILESTREAM switched on (SQL Server Configuration Manager), with access level 2.
-- ALTER DATABASE takes part in no transaction.
IF COALESCE(CONVERT(int, SERVERPROPERTY('FilestreamConfiguredLevel')), 0) < 2
BEGIN
    EXEC sp_configure N'filestream access level', 2;
    RECONFIGURE;
END
GO
IF NOT EXISTS (SELECT 1 FROM sys.filegroups WHERE type = 'FD')
    ALTER DATABASE CURRENT ADD FILEGROUP HartonomousFileStream CONTAINS FILESTREAM;
GO
-- A file name is no expression: the statement is put together first.
IF NOT EXISTS (SELECT 1 FROM sys.database_files WHERE type = 2)
BEGIN
    DECLARE @group sysname = (SELECT TOP (1) name FROM sys.filegroups WHERE type = 'FD' ORDER BY is_default DESC, data_space_id);
    DECLARE @sql nvarchar(max) = N'ALTER DATABASE CURRENT ADD FILE (NAME = HartonomousFileStream_File, FILENAME = N'''
        + REPLACE($(path), N'''', N'''''') + N''') TO FILEGROUP ' + QUOTENAME(@group);
    EXEC sys.sp_executesql @sql;
END
GO
-- A column cannot become a FILESTREAM column. One without rows is made anew; one with rows is left
-- as it is, and is right as well: payloads are read and written through T-SQL there.
IF EXISTS (SELECT 1 FROM sys.columns WHERE object_id = OBJECT_ID(N'dbo.LayerTensorSegments') AND name = N'RawPayload' AND is_filestream = 0)
    AND NOT EXISTS (SELECT 1 FROM dbo.LayerTensorSegments)
    AND OBJECT_ID(N'dbo.DF_LayerTensorSegments_RawPayload', N'D') IS NOT NULL
BEGIN
    DECLARE @group sysname = (SELECT TOP (1) name FROM sys.filegroups WHERE type = 'FD' ORDER BY is_default DESC, data_space_id);
    DECLARE @sql nvarchar(max) = N'SET XACT_ABORT ON; BEGIN TRANSACTION;
        IF NOT EXISTS (SELECT 1 FROM dbo.LayerTensorSegments WITH (TABLOCKX, HOLDLOCK)) BEGIN -- a row may have come meanwhile
        ALTER TABLE dbo.LayerTensorSegments DROP CONSTRAINT DF_LayerTensorSegments_RawPayload;
        ALTER TABLE dbo.LayerTensorSegments DROP COLUMN RawPayload;
        ALTER TABLE dbo.LayerTensorSegments SET (FILESTREAM_ON = ' + QUOTENAME(@group) + N');
        ALTER TABLE dbo.LayerTensorSegments ADD RawPayload varbinary(max) FILESTREAM NOT NULL CONSTRAINT DF_LayerTensorSegments_RawPayload DEFAULT (0x);
        END;
        COMMIT;';
    EXEC sys.sp_executesql @sql;
END
GO
IF EXISTS (SELECT 1 FROM sys.columns WHERE object_id = OBJECT_ID(N'dbo.FileSegments') AND name = N'RawPayload' AND is_filestream = 0)
    AND NOT EXISTS (SELECT 1 FROM dbo.FileSegments)
    AND OBJECT_ID(N'dbo.DF_FileSegments_RawPayload', N'D') IS NOT NULL
BEGIN
    DECLARE @group sysname = (SELECT TOP (1) name FROM sys.filegroups WHERE type = 'FD' ORDER BY is_default DESC, data_space_id);
    DECLARE @sql nvarchar(max) = N'SET XACT_ABORT ON; BEGIN TRANSACTION;
        IF NOT EXISTS (SELECT 1 FROM dbo.FileSegments WITH (TABLOCKX, HOLDLOCK)) BEGIN -- a row may have come meanwhile
        ALTER TABLE dbo.FileSegments DROP CONSTRAINT DF_FileSegments_RawPayload;
        ALTER TABLE dbo.FileSegments DROP COLUMN RawPayload;
        ALTER TABLE dbo.FileSegments SET (FILESTREAM_ON = ' + QUOTENAME(@group) + N');
        ALTER TABLE dbo.FileSegments ADD RawPayload varbinary(max) FILESTREAM NOT NULL CONSTRAINT DF_FileSegments_RawPayload DEFAULT (0x);
        END;
        COMMIT;';
    EXEC sys.sp_executesql @sql;
END
GO

-- Whole payloads of atoms, as the FILESTREAM edition of Atoms has them. A column that may be NULL is
-- added without a look at the rows; RowGuid, which FILESTREAM needs, gives each row its value.
IF COL_LENGTH(N'dbo.Atoms', N'RowGuid') IS NULL
    ALTER TABLE dbo.Atoms ADD RowGuid uniqueidentifier ROWGUIDCOL NOT NULL CONSTRAINT DF_Atoms_RowGuid DEFAULT (NEWID()) CONSTRAINT UX_Atoms_RowGuid UNIQUE;
GO
IF COL_LENGTH(N'dbo.Atoms', N'Payload') IS NULL
BEGIN
    DECLARE @group sysname = (SELECT TOP (1) name FROM sys.filegroups WHERE type = 'FD' ORDER BY is_default DESC, data_space_id);
    DECLARE @sql nvarchar(max) = N'SET XACT_ABORT ON; BEGIN TRANSACTION;';
    IF EXISTS (SELECT 1 FROM sys.tables WHERE object_id = OBJECT_ID(N'dbo.Atoms') AND filestream_data_space_id IS NULL)
        SET @sql += N' ALTER TABLE dbo.Atoms SET (FILESTREAM_ON = ' + QUOTENAME(@group) + N');';
    SET @sql += N' ALTER TABLE dbo.Atoms ADD Payload varbinary(max) FILESTREAM NULL; COMMIT;';
    EXEC sys.sp_executesql @sql;
END
GO
IF COL_LENGTH(N'dbo.Atoms', N'PayloadSize') IS NULL
    ALTER TABLE dbo.Atoms ADD PayloadSize AS DATALENGTH(Payload) PERSISTED;
GO
