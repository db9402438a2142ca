-- The elements of a file's tensors by LayerType and QuantizationType, as JSON, so that a list of models
-- need not read each tensor.
ALTER TABLE ModelFiles ADD COLUMN TensorTypes TEXT;
UPDATE ModelFiles SET TensorTypes = (
    SELECT json_group_object(Kind, json(Types)) FROM (
        SELECT Kind, json_group_object(Type, Elements) AS Types FROM (
            SELECT coalesce(LayerType, '') AS Kind, coalesce(QuantizationType, '') AS Type,
                CAST(total(coalesce(ParameterCount, 0)) AS INTEGER) AS Elements
            FROM ModelLayers WHERE ModelLayers.ModelFileId = ModelFiles.ModelFileId GROUP BY 1, 2)
        GROUP BY Kind));
