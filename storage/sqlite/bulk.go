package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// bulk executes a few statements many times, straight on the driver: through
// database/sql a row costs half as much again. Arguments must be of the
// driver's own types: int64, float64, string, []byte, nil.
type bulk struct {
	conn  driver.Conn
	stmts []*statement
}

// statement is a prepared statement and room for its arguments.
type statement struct {
	stmt driver.Stmt
	args []driver.NamedValue
	row  []driver.Value
}

// bulk calls do, which must not use the transaction otherwise.
func (t *tx) bulk(do func(*bulk) error) error {
	return t.conn.Raw(func(raw any) (err error) {
		b := &bulk{conn: raw.(driver.Conn)}
		defer func() {
			for _, s := range b.stmts {
				err = errors.Join(err, s.stmt.Close())
			}
		}()
		return do(b)
	})
}

func (b *bulk) prepare(query string) (*statement, error) {
	stmt, err := b.conn.Prepare(query)
	if err != nil {
		return nil, err
	}
	s := &statement{stmt: stmt}
	b.stmts = append(b.stmts, s)
	return s, nil
}

func (s *statement) bind(args []driver.Value) {
	s.args = s.args[:0]
	for i, arg := range args {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
}

// exec returns how many rows were changed and the ID of the last inserted one.
// It takes no context, for which the driver would start a goroutine each time:
// the loops around it look at theirs between rows.
func (s *statement) exec(args ...driver.Value) (changed, id int64, err error) {
	s.bind(args)
	result, err := s.stmt.(driver.StmtExecContext).ExecContext(context.Background(), s.args)
	if err != nil {
		return 0, 0, err
	}
	changed, _ = result.RowsAffected() // of the driver's own result, which has both
	id, _ = result.LastInsertId()
	return changed, id, nil
}

// first returns the first row that the statement yields, nil if there is none.
func (s *statement) first(args ...driver.Value) ([]driver.Value, error) {
	s.bind(args)
	rows, err := s.stmt.(driver.StmtQueryContext).QueryContext(context.Background(), s.args)
	if err != nil {
		return nil, err
	}
	if s.row == nil {
		s.row = make([]driver.Value, len(rows.Columns()))
	}
	err = rows.Next(s.row)
	if errors.Is(err, io.EOF) {
		return nil, rows.Close()
	}
	return s.row, errors.Join(err, rows.Close())
}

// newLayers makes a row for each tensor of a file; their indexes begin at first.
func (t *tx) newLayers(model ingest.ModelID, file ingest.FileID, first int, tensors []ingest.Tensor) ([]ingest.LayerID, error) {
	ids := make([]ingest.LayerID, 0, len(tensors))
	err := t.bulk(func(b *bulk) error {
		insert, err := b.prepare(`INSERT INTO ModelLayers (ModelId, LayerIdx, LayerName, LayerType, TensorShape, TensorDtype,
			QuantizationType, Parameters, ParameterCount, ModelFileId, ByteOffset, ByteSize)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		for i := range tensors {
			s := &tensors[i]
			_, id, err := insert.exec(int64(model), int64(first+i), s.Name, storage.LayerKind(s.Name), storage.TensorShape(s.Shape),
				storage.TensorDtype(s.Type), s.Type, storage.LayerParameters(s), s.Elements, int64(file), s.Offset, s.Bytes)
			if err == nil {
				err = t.ctx.Err()
			}
			if err != nil {
				return err
			}
			ids = append(ids, ingest.LayerID(id))
		}
		return nil
	})
	return ids, err
}
