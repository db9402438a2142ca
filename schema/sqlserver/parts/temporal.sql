-- History of ModelLayers and TensorAtoms, kept by the server from now on. Not for SQL Server 2016: there a temporal table
-- takes no foreign key that deletes by cascade, and keeps its history for ever.
--
-- Rows that are there count as valid since the year 1: nobody knows since when they are as they are. And a start of
-- this moment would be in the future of a transaction that began before and changes such a row after: the
-- server refuses that (error 13535). The period columns are hidden: who selects * sees what there was before.
-- The server looks at each row, and writes it again unless the edition is Enterprise or Azure; the table is locked
-- meanwhile (Sch-M).
--
-- A table that keeps history already goes on as it does. Its retention is changed only where one is named,
-- because a shorter one deletes what is older.
DECLARE @table sysname, @kind tinyint, @period bit, @days int, @sql nvarchar(max);
DECLARE tables CURSOR LOCAL FORWARD_ONLY STATIC FOR
    SELECT t.name, t.temporal_type, CASE WHEN p.object_id IS NULL THEN 0 ELSE 1 END, CASE t.history_retention_period_unit WHEN 3 THEN t.history_retention_period ELSE 0 END
    FROM sys.tables AS t LEFT JOIN sys.periods AS p ON p.object_id = t.object_id
    WHERE t.schema_id = SCHEMA_ID(N'dbo') AND t.name IN (N'ModelLayers', N'TensorAtoms') AND t.temporal_type IN (0, 2);
OPEN tables;
FETCH NEXT FROM tables INTO @table, @kind, @period, @days;
WHILE @@FETCH_STATUS = 0
BEGIN
    IF @period = 0
    BEGIN
        SET @sql = N'ALTER TABLE dbo.' + QUOTENAME(@table) + N' ADD
            ValidFrom datetime2 GENERATED ALWAYS AS ROW START HIDDEN NOT NULL CONSTRAINT ' + QUOTENAME(N'DF_' + @table + N'_ValidFrom') + N' DEFAULT (CONVERT(datetime2, ''0001-01-01'')),
            ValidTo datetime2 GENERATED ALWAYS AS ROW END HIDDEN NOT NULL CONSTRAINT ' + QUOTENAME(N'DF_' + @table + N'_ValidTo') + N' DEFAULT (CONVERT(datetime2, ''9999-12-31 23:59:59.9999999'')),
            PERIOD FOR SYSTEM_TIME (ValidFrom, ValidTo)';
        EXEC sys.sp_executesql @sql;
    END;
    SET @sql = CASE
        WHEN @kind = 0 THEN N'HISTORY_TABLE = dbo.' + QUOTENAME(@table + N'History') + N', HISTORY_RETENTION_PERIOD = $(days) DAYS'
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
