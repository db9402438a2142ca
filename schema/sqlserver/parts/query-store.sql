-- The query store remembers plans and run times, so that a plan that became worse is found. Where it is off, it is
-- switched on with these settings; where it is on and only reads, because it was full or told to, it keeps its own.
IF NOT EXISTS (SELECT 1 FROM sys.database_query_store_options WHERE actual_state <> 0)
    ALTER DATABASE CURRENT SET QUERY_STORE = ON (OPERATION_MODE = READ_WRITE, QUERY_CAPTURE_MODE = AUTO, MAX_STORAGE_SIZE_MB = 1000,
        CLEANUP_POLICY = (STALE_QUERY_THRESHOLD_DAYS = 30));
GO
IF EXISTS (SELECT 1 FROM sys.database_query_store_options WHERE actual_state = 1)
    ALTER DATABASE CURRENT SET QUERY_STORE (OPERATION_MODE = READ_WRITE);
GO
