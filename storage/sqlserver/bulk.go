package sqlserver

import (
	"context"
	"fmt"
	"iter"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// bulkRows is how many rows are sent between two checks of the context.
const bulkRows = 256

// bulk copies rows into a temporary table, and makes sure that all of them arrive. It calls the
// driver directly, so that database/sql does not process each row again. A copy that is interrupted
// leaves the connection in the middle of a message: the connection is dropped.
func bulk(t *sqlcatalog.Tx, table string, columns []string, rows iter.Seq[[]any]) error {
	err := t.Conn.Raw(func(raw any) error {
		conn, ok := raw.(*mssql.Conn)
		if !ok {
			return fmt.Errorf("bulk copy through a %T", raw)
		}
		// The verb's context is checked between rows, where it is safe to stop.
		copying := conn.CreateBulkContext(context.WithoutCancel(t.Context), table, columns)
		sent := int64(0)
		for row := range rows {
			if sent%bulkRows == 0 && t.Context.Err() != nil {
				return t.Context.Err()
			}
			if err := copying.AddRow(row); err != nil {
				return err
			}
			sent++
		}
		arrived, err := copying.Done()
		if err == nil && arrived != sent {
			err = fmt.Errorf("%d rows were sent to %s but %d arrived", sent, table, arrived)
		}
		return err
	})
	return t.Doubt(err)
}

// createLayers creates the temporary table for layers. It is dropped each time: a model is rarely
// begun, so one more compilation does not matter.
var createLayers = sqlcatalog.Own("create-layers", `DROP TABLE IF EXISTS #ingest_layers;
CREATE TABLE #ingest_layers (
	ModelFileId      bigint NOT NULL,
	LayerIdx         int NOT NULL,
	LayerName        nvarchar(max) NOT NULL,
	LayerNameExact   varbinary(max) NULL,
	LayerType        nvarchar(50) NOT NULL,
	TensorShape      nvarchar(max) NULL,
	TensorShapeExact varbinary(max) NULL,
	TensorDtype      nvarchar(20) NOT NULL,
	QuantizationType nvarchar(20) NOT NULL,
	Parameters       nvarchar(max) NOT NULL,
	ParameterCount   bigint NOT NULL,
	ByteOffset       bigint NOT NULL,
	ByteSize         bigint NOT NULL
)`)

var layerColumns = []string{"ModelFileId", "LayerIdx", "LayerName", "LayerNameExact", "LayerType", "TensorShape",
	"TensorShapeExact", "TensorDtype", "QuantizationType", "Parameters", "ParameterCount", "ByteOffset", "ByteSize"}

var addLayers = sqlcatalog.Own("add-layers", `INSERT INTO dbo.ModelLayers
		(ModelId, LayerIdx, {cols LayerName}, LayerType, {cols TensorShape},
		TensorDtype, QuantizationType, Parameters, ParameterCount, ModelFileId, ByteOffset, ByteSize)
	SELECT @p1, LayerIdx, {cols LayerName}, LayerType, {cols TensorShape},
		TensorDtype, QuantizationType, {column ModelLayers.Parameters}, ParameterCount, ModelFileId, ByteOffset,
		ByteSize FROM #ingest_layers ORDER BY LayerIdx`)

// AddLayers implements sqlcatalog.Rows.
func (c *engine) AddLayers(t *sqlcatalog.Tx, entry *ingest.Entry, model *ingest.Model) error {
	tensors := int64(0)
	for i := range model.Files {
		tensors += int64(len(model.Files[i].Tensors))
	}
	if tensors > 0 {
		if err := t.Exec(createLayers); err != nil {
			return err
		}
		if err := bulk(t, "#ingest_layers", layerColumns, c.layerRows(entry, model)); err != nil {
			return err
		}
		n, err := t.Change(addLayers, entry.ID)
		if err != nil {
			return err
		}
		if n != tensors {
			return fmt.Errorf("%d layers were inserted for %d tensors", n, tensors)
		}
	}
	return t.ReadLayers(entry, model)
}

// layerRows yields the tensors of all files as rows of #ingest_layers.
func (c *engine) layerRows(entry *ingest.Entry, model *ingest.Model) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for l := range sqlcatalog.Layers(model) {
			if !yield(c.layerRow(int64(entry.Files[l.File].ID), &l)) {
				return
			}
		}
	}
}

// layerRow returns the row of a tensor. A shape that does not fit into its column is NULL there: a
// truncated JSON array is invalid.
func (c *engine) layerRow(file int64, l *sqlcatalog.Layer) []any {
	name, nameExact := c.columns.fit("ModelLayers.LayerName", l.Name)
	fitting, shapeExact := c.columns.fit("ModelLayers.TensorShape", l.Shape)
	var shape any = fitting
	if shapeExact != nil {
		shape = nil
	}
	return []any{file, int64(l.Index), name, orNull(nameExact), l.Kind, shape, orNull(shapeExact), cut(l.Dtype, 20),
		cut(l.Type, 20), l.Parameters, l.Elements, l.Offset, l.Bytes}
}

// orNull returns an untyped nil for nil: a bulk copy takes no other NULL.
func orNull(value []byte) any {
	if value == nil {
		return nil
	}
	return value
}
