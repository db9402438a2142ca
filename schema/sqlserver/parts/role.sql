-- A role with the rights that ingest needs, only on the tables that it uses. Add a user with ALTER
-- ROLE ingest_writer ADD MEMBER. VIEW DEFINITION shows which other tables refer to these. Grant
-- SELECT on those tables in addition, so that gc and rm respect their rows, and DELETE for rm
-- --cascade. Merging atoms needs GRANT VIEW DEFINITION TO ingest_writer, for all schemas, and UPDATE
-- on those tables.
IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'ingest_writer' AND type = 'R')
    CREATE ROLE ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.Atoms TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.Models TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.ModelMetadata TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.ModelLayers TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.LayerTensorSegments TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.IngestionJobs TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.IngestionJobAtoms TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.IngestionJobKeys TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.ModelKeys TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.ModelMerges TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.ModelFiles TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.FilePaths TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.ModelNames TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.ModelNameFiles TO ingest_writer;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.FileSegments TO ingest_writer;
GO
-- ingest only reads the identity of the database and its schema steps.
GRANT SELECT ON dbo.CatalogIdentity TO ingest_writer;
GO
GRANT SELECT ON dbo.SchemaSteps TO ingest_writer;
GO
-- Some engines have no rights on a schema.
BEGIN TRY
    EXEC sys.sp_executesql N'GRANT VIEW DEFINITION ON SCHEMA::dbo TO ingest_writer';
END TRY
BEGIN CATCH
    PRINT N'VIEW DEFINITION could not be granted: ' + ERROR_MESSAGE();
END CATCH
GO
