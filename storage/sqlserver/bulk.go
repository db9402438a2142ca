package sqlserver

import (
	"context"
	"fmt"
	"iter"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// bulkRows is how many rows travel between two looks at the context.
const bulkRows = 256

// bulk copies rows into a temporary table, and makes sure that as many arrived. It goes
// straight to the driver, through which a row is not taken apart a second time. A copy that is
// broken off leaves the connection in the midst of a message: it is thrown away.
func (t *tx) bulk(table string, columns []string, rows iter.Seq[[]any]) error {
	err := t.conn.Raw(func(raw any) error {
		conn, ok := raw.(*mssql.Conn)
		if !ok {
			return fmt.Errorf("bulk copy through a %T", raw)
		}
		// A context of its own: the one of the verb is looked at between rows, where stopping is safe.
		copying := conn.CreateBulkContext(context.WithoutCancel(t.ctx), table, columns)
		sent := int64(0)
		for row := range rows {
			if sent%bulkRows == 0 && t.ctx.Err() != nil {
				return t.ctx.Err()
			}
			if err := copying.AddRow(row); err != nil {
				return err
			}
			sent++
		}
		arrived, err := copying.Done()
		if err == nil && arrived != sent {
			err = fmt.Errorf("%d rows were sent to %s and %d arrived", sent, table, arrived)
		}
		return err
	})
	return t.doubt(err)
}

const createLayers = `/* ingest: create-layers */ DROP TABLE IF EXISTS #ingest_layers;
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
)`

var layerColumns = []string{"ModelFileId", "LayerIdx", "LayerName", "LayerNameExact", "LayerType", "TensorShape", "TensorShapeExact",
	"TensorDtype", "QuantizationType", "Parameters", "ParameterCount", "ByteOffset", "ByteSize"}

// newLayers makes a row for each tensor of the model's files. Their indexes run on over the files.
func (t *tx) newLayers(entry *ingest.Entry, model *ingest.Model) error {
	tensors := 0
	for i := range model.Files {
		tensors += len(model.Files[i].Tensors)
	}
	if tensors == 0 {
		return nil
	}
	if err := t.exec(createLayers); err != nil {
		return err
	}
	if err := t.bulk("#ingest_layers", layerColumns, t.c.layerRows(entry, model)); err != nil {
		return err
	}
	n, err := t.change(`/* ingest: add-layers */ INSERT INTO dbo.ModelLayers (ModelId, LayerIdx, LayerName, LayerNameExact, LayerType, TensorShape, TensorShapeExact,
			TensorDtype, QuantizationType, Parameters, ParameterCount, ModelFileId, ByteOffset, ByteSize)
		SELECT @p1, LayerIdx, LayerName, LayerNameExact, LayerType, TensorShape, TensorShapeExact,
			TensorDtype, QuantizationType, `+t.c.columns.json("ModelLayers.Parameters", "Parameters")+`, ParameterCount, ModelFileId, ByteOffset, ByteSize
		FROM #ingest_layers ORDER BY LayerIdx`, int64(entry.ID))
	if err != nil {
		return err
	}
	if n != int64(tensors) {
		return fmt.Errorf("%d layers were made of %d tensors", n, tensors)
	}
	for i := range entry.Files {
		f := &entry.Files[i]
		if f.Layers, err = t.layers(f.ID, len(model.Files[i].Tensors)); err != nil {
			return err
		}
	}
	return nil
}

// layerRows are the tensors of all files as #ingest_layers has them.
func (c *Catalog) layerRows(entry *ingest.Entry, model *ingest.Model) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		index := int64(0)
		for i := range model.Files {
			for j := range model.Files[i].Tensors {
				row := append([]any{int64(entry.Files[i].ID), index}, c.layerRow(&model.Files[i].Tensors[j])...)
				if !yield(row) {
					return
				}
				index++
			}
		}
	}
}

// layerRow is what a tensor says of itself. A shape that is too long for its column is
// NULL there: half of a JSON array is none.
func (c *Catalog) layerRow(s *ingest.Tensor) []any {
	name, nameExact := c.columns.fit("ModelLayers.LayerName", s.Name)
	shape, shapeExact := c.columns.fit("ModelLayers.TensorShape", storage.TensorShape(s.Shape))
	row := []any{name, orNull(nameExact), storage.LayerKind(s.Name), shape, orNull(shapeExact),
		cut(storage.TensorDtype(s.Type), 20), cut(s.Type, 20), storage.LayerParameters(s), s.Elements, s.Offset, s.Bytes}
	if shapeExact != nil {
		row[3] = nil
	}
	return row
}

// orNull is a value for a bulk copy, which takes a NULL from nil alone.
func orNull(value []byte) any {
	if value == nil {
		return nil
	}
	return value
}
