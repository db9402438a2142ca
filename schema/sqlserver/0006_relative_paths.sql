-- The path of the file below the folder that was ingested under the name, with slashes. It is NULL for
-- rows of earlier versions. RelativePathExact has the bytes of a path that is not valid text.
IF COL_LENGTH(N'dbo.ModelNameFiles', N'RelativePath') IS NULL
    ALTER TABLE dbo.ModelNameFiles ADD RelativePath nvarchar(max) NULL;
GO
IF COL_LENGTH(N'dbo.ModelNameFiles', N'RelativePathExact') IS NULL
    ALTER TABLE dbo.ModelNameFiles ADD RelativePathExact varbinary(max) NULL;
GO
