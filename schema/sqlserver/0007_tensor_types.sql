-- The elements of a file's tensors by LayerType and QuantizationType, as JSON, so that a list of models
-- need not read each tensor. It is NULL for rows of earlier versions, whose tensors are read.
IF COL_LENGTH(N'dbo.ModelFiles', N'TensorTypes') IS NULL
    ALTER TABLE dbo.ModelFiles ADD TensorTypes nvarchar(max) NULL;
GO
