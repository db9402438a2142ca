-- The path of the file below the folder that was ingested under the name, with slashes. It is NULL for
-- rows of earlier versions.
ALTER TABLE ModelNameFiles ADD COLUMN RelativePath TEXT;
