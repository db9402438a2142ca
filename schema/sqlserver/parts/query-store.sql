-- The query store records plans and run times, to find plans that became slower. If it is off, this
-- enables it with these settings. If it is read-only, because it was full or configured so, it
-- keeps its settings.
IF NOT EXISTS (SELECT 1 FROM sys.database_query_store_options WHERE actual_state <> 0)
    ALTER DATABASE CURRENT SET QUERY_STORE = ON (OPERATION_MODE = READ_WRITE, QUERY_CAPTURE_MODE = AUTO,
        MAX_STORAGE_SIZE_MB = 1000,
        CLEANUP_POLICY = (STALE_QUERY_THRESHOLD_DAYS = 30));
GO
IF EXISTS (SELECT 1 FROM sys.database_query_store_options WHERE actual_state = 1)
    ALTER DATABASE CURRENT SET QUERY_STORE (OPERATION_MODE = READ_WRITE);
GO
