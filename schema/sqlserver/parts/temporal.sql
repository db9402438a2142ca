-- History of ModelLayers and TensorAtoms, kept by the server. The period columns are hidden:
-- who selects * sees what there was before. FK_ModelLayers_Models_ModelId deletes by cascade, which
-- a temporal table takes since SQL Server 2017.
DECLARE @table sysname, @sql nvarchar(max);
DECLARE tables CURSOR LOCAL FAST_FORWARD FOR
    SELECT name FROM sys.tables WHERE schema_id = SCHEMA_ID(N'dbo') AND name IN (N'ModelLayers', N'TensorAtoms') AND temporal_type = 0;
OPEN tables;
FETCH NEXT FROM tables INTO @table;
WHILE @@FETCH_STATUS = 0
BEGIN
    IF COL_LENGTH(N'dbo.' + @table, N'ValidFrom') IS NULL
    BEGIN
        SET @sql = N'ALTER TABLE dbo.' + QUOTENAME(@table) + N' ADD
            ValidFrom datetime2 GENERATED ALWAYS AS ROW START HIDDEN NOT NULL CONSTRAINT DF_' + @table + N'_ValidFrom DEFAULT (SYSUTCDATETIME()),
            ValidTo datetime2 GENERATED ALWAYS AS ROW END HIDDEN NOT NULL CONSTRAINT DF_' + @table + N'_ValidTo DEFAULT (CONVERT(datetime2, ''9999-12-31 23:59:59.9999999'')),
            PERIOD FOR SYSTEM_TIME (ValidFrom, ValidTo)';
        EXEC sys.sp_executesql @sql;
    END
    SET @sql = N'ALTER TABLE dbo.' + QUOTENAME(@table) + N' SET (SYSTEM_VERSIONING = ON (HISTORY_TABLE = dbo.' + QUOTENAME(@table + N'History')
        + CASE WHEN CONVERT(int, SERVERPROPERTY('EngineEdition')) IN (5, 8) OR CONVERT(int, PARSENAME(CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')), 4)) >= 14
            THEN N', HISTORY_RETENTION_PERIOD = $(days) DAYS' ELSE N'' END + N'))';
    EXEC sys.sp_executesql @sql;
    FETCH NEXT FROM tables INTO @table;
END
GO
