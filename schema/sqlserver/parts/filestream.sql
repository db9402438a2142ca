-- A filegroup and a file for FILESTREAM, and the columns for payloads there. FILESTREAM must be
-- enabled in the instance (SQL Server Configuration Manager), with access level 2. ALTER DATABASE
-- cannot run in a transaction. RECONFIGURE also applies, and waits for, other pending settings of
-- sp_configure.
IF COALESCE(CONVERT(int, SERVERPROPERTY('FilestreamConfiguredLevel')), 0) < 2
BEGIN
    EXEC sp_configure N'filestream access level', 2;
    RECONFIGURE;
END
GO
IF NOT EXISTS (SELECT 1 FROM sys.filegroups WHERE type = 'FD')
    ALTER DATABASE CURRENT ADD FILEGROUP HartonomousFileStream CONTAINS FILESTREAM;
GO
-- A file name must be a literal, so the statement is dynamic. Containers of a memory-optimized
-- filegroup are files of type 2, too, so the filegroup is checked.
IF NOT EXISTS (SELECT 1 FROM sys.database_files AS f
    INNER JOIN sys.filegroups AS g ON g.data_space_id = f.data_space_id WHERE f.type = 2 AND g.type = 'FD')
BEGIN
    DECLARE @group sysname = (SELECT TOP (1) name FROM sys.filegroups WHERE type = 'FD'
        ORDER BY is_default DESC, data_space_id);
    DECLARE @sql nvarchar(max) = N'ALTER DATABASE CURRENT ADD FILE (NAME = HartonomousFileStream_File, FILENAME = N'''
        + REPLACE($(path), N'''', N'''''') + N''') TO FILEGROUP ' + QUOTENAME(@group);
    EXEC sys.sp_executesql @sql;
END
GO
-- A column cannot become a FILESTREAM column. In a table without rows it is dropped and added
-- again. In a table with rows it stays: payloads there are read and written through T-SQL.
-- sys.partitions avoids locking a table that has rows; the check is repeated under the lock, since
-- a row may have been added.
DECLARE @table sysname, @default sysname, @sql nvarchar(max);
DECLARE @group sysname = (SELECT TOP (1) name FROM sys.filegroups WHERE type = 'FD'
    ORDER BY is_default DESC, data_space_id);
DECLARE tables CURSOR LOCAL FORWARD_ONLY STATIC FOR
    SELECT t.name, d.name FROM sys.tables AS t INNER JOIN sys.columns AS c ON c.object_id = t.object_id
    LEFT JOIN sys.default_constraints AS d ON d.object_id = c.default_object_id
    WHERE t.schema_id = SCHEMA_ID(N'dbo') AND t.name IN (N'LayerTensorSegments', N'FileSegments')
        AND c.name = N'RawPayload' AND c.is_filestream = 0
        AND NOT EXISTS (SELECT 1 FROM sys.partitions AS p WHERE p.object_id = t.object_id AND p.rows > 0);
OPEN tables;
FETCH NEXT FROM tables INTO @table, @default;
WHILE @@FETCH_STATUS = 0
BEGIN
    SET @sql = N'SET XACT_ABORT ON; BEGIN TRANSACTION;
        IF NOT EXISTS (SELECT 1 FROM dbo.' + QUOTENAME(@table) + N' WITH (TABLOCKX, HOLDLOCK))
        BEGIN' + COALESCE(N'
            ALTER TABLE dbo.' + QUOTENAME(@table) + N' DROP CONSTRAINT ' + QUOTENAME(@default) + N';', N'') + N'
            ALTER TABLE dbo.' + QUOTENAME(@table) + N' DROP COLUMN RawPayload;
            ALTER TABLE dbo.' + QUOTENAME(@table) + N' SET (FILESTREAM_ON = ' + QUOTENAME(@group) + N');
            ALTER TABLE dbo.' + QUOTENAME(@table) + N' ADD RawPayload varbinary(max) FILESTREAM NOT NULL CONSTRAINT '
                + QUOTENAME(N'DF_' + @table + N'_RawPayload') + N' DEFAULT (0x);
        END;
        COMMIT;';
    EXEC sys.sp_executesql @sql;
    FETCH NEXT FROM tables INTO @table, @default;
END;
GO

-- Whole payloads of atoms, as in the FILESTREAM edition of Atoms. Adding RowGuid, which FILESTREAM
-- needs, and PayloadSize rewrites each row under a table lock (Sch-M). Adding Payload does not, as
-- it may be NULL.
IF COL_LENGTH(N'dbo.Atoms', N'RowGuid') IS NULL
    ALTER TABLE dbo.Atoms ADD RowGuid uniqueidentifier ROWGUIDCOL NOT NULL
        CONSTRAINT DF_Atoms_RowGuid DEFAULT (NEWID()) CONSTRAINT UX_Atoms_RowGuid UNIQUE;
GO
IF COL_LENGTH(N'dbo.Atoms', N'Payload') IS NULL
BEGIN
    DECLARE @group sysname = (SELECT TOP (1) name FROM sys.filegroups WHERE type = 'FD'
        ORDER BY is_default DESC, data_space_id);
    DECLARE @sql nvarchar(max) = N'SET XACT_ABORT ON; BEGIN TRANSACTION;';
    IF EXISTS (SELECT 1 FROM sys.tables
        WHERE object_id = OBJECT_ID(N'dbo.Atoms') AND COALESCE(filestream_data_space_id, 0) = 0)
        SET @sql += N' ALTER TABLE dbo.Atoms SET (FILESTREAM_ON = ' + QUOTENAME(@group) + N');';
    SET @sql += N' ALTER TABLE dbo.Atoms ADD Payload varbinary(max) FILESTREAM NULL; COMMIT;';
    EXEC sys.sp_executesql @sql;
END
GO
IF COL_LENGTH(N'dbo.Atoms', N'PayloadSize') IS NULL
    ALTER TABLE dbo.Atoms ADD PayloadSize AS DATALENGTH(Payload) PERSISTED;
GO
