-- History of ModelLayers and TensorAtoms, kept by the server from now on. SQL Server 2016 cannot
-- have it: there a temporal table takes no cascading foreign key, and keeps its history forever.
--
-- Existing rows count as valid since the year 1, since it is unknown when they were written. The
-- current time would not do: a transaction that began earlier could not change such a row later
-- (error 13535). The period columns are hidden, so SELECT * returns the same columns as before. The
-- server reads each row, and rewrites it unless the edition is Enterprise or Azure; it locks the
-- table during that time (Sch-M).
--
-- A table that already has history keeps it. Its retention changes only if one is given, because a
-- shorter one deletes older history.
DECLARE @table sysname, @kind tinyint, @period bit, @days int, @sql nvarchar(max);
DECLARE tables CURSOR LOCAL FORWARD_ONLY STATIC FOR
    SELECT t.name, t.temporal_type, CASE WHEN p.object_id IS NULL THEN 0 ELSE 1 END,
        CASE t.history_retention_period_unit WHEN 3 THEN t.history_retention_period ELSE 0 END
    FROM sys.tables AS t LEFT JOIN sys.periods AS p ON p.object_id = t.object_id
    WHERE t.schema_id = SCHEMA_ID(N'dbo') AND t.name IN (N'ModelLayers', N'TensorAtoms') AND t.temporal_type IN (0, 2);
OPEN tables;
FETCH NEXT FROM tables INTO @table, @kind, @period, @days;
WHILE @@FETCH_STATUS = 0
BEGIN
    IF @period = 0
    BEGIN
        SET @sql = N'ALTER TABLE dbo.' + QUOTENAME(@table) + N' ADD
            ValidFrom datetime2 GENERATED ALWAYS AS ROW START HIDDEN NOT NULL CONSTRAINT '
            + QUOTENAME(N'DF_' + @table + N'_ValidFrom')
            + N' DEFAULT (CONVERT(datetime2, ''0001-01-01'')),
            ValidTo datetime2 GENERATED ALWAYS AS ROW END HIDDEN NOT NULL CONSTRAINT '
            + QUOTENAME(N'DF_' + @table + N'_ValidTo')
            + N' DEFAULT (CONVERT(datetime2, ''9999-12-31 23:59:59.9999999'')),
            PERIOD FOR SYSTEM_TIME (ValidFrom, ValidTo)';
        EXEC sys.sp_executesql @sql;
    END;
    SET @sql = CASE
        WHEN @kind = 0 THEN N'HISTORY_TABLE = dbo.' + QUOTENAME(@table + N'History')
            + N', HISTORY_RETENTION_PERIOD = $(days) DAYS'
        WHEN $(asked) = 1 AND @days <> $(days) THEN N'HISTORY_RETENTION_PERIOD = $(days) DAYS'
        END;
    IF @sql IS NOT NULL
    BEGIN
        SET @sql = N'ALTER TABLE dbo.' + QUOTENAME(@table) + N' SET (SYSTEM_VERSIONING = ON (' + @sql + N'))';
        EXEC sys.sp_executesql @sql;
    END;
    FETCH NEXT FROM tables INTO @table, @kind, @period, @days;
END;
GO
