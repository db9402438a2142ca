package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// bulk executes a few statements many times, directly on the driver: database/sql adds half to the
// cost of a row. Arguments must be of the driver's own types: int64, float64, string, []byte, nil.
type bulk struct {
	conn  *conn
	stmts []*statement
}

// statement is a prepared statement with buffers for its arguments and result.
type statement struct {
	query string
	stmt  driver.Stmt
	args  []driver.NamedValue
	row   []driver.Value
}

// inBulk calls do, which must not use t otherwise.
func inBulk(t *sqlcatalog.Tx, do func(*bulk) error) error {
	return t.Conn.Raw(func(raw any) (err error) {
		b := &bulk{conn: raw.(*conn)}
		defer func() {
			for _, s := range b.stmts {
				err = b.conn.keep(s.query, s.stmt, err)
			}
		}()
		return do(b)
	})
}

func (b *bulk) prepare(query string) (*statement, error) {
	stmt, err := b.conn.take(context.Background(), query)
	if err != nil {
		return nil, err
	}
	s := &statement{query: query, stmt: stmt}
	b.stmts = append(b.stmts, s)
	return s, nil
}

func (s *statement) bind(args []driver.Value) {
	s.args = s.args[:0]
	for i, arg := range args {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
}

// exec returns how many rows changed and the ID of the last inserted one. It takes no context, for
// which the driver would start a goroutine each time: callers check theirs between rows.
func (s *statement) exec(args ...driver.Value) (changed, id int64, err error) {
	s.bind(args)
	result, err := s.stmt.(driver.StmtExecContext).ExecContext(context.Background(), s.args)
	if err != nil {
		return 0, 0, err
	}
	changed, _ = result.RowsAffected() // the driver's own result supports both
	id, _ = result.LastInsertId()
	return changed, id, nil
}

// first returns the first row of the statement's result; nil for none.
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

// AddLayers implements sqlcatalog.Rows. It inserts the rows one by one.
func (d *dialect) AddLayers(t *sqlcatalog.Tx, entry *ingest.Entry, model *ingest.Model) error {
	return inBulk(t, func(b *bulk) error {
		insert, err := b.prepare(`INSERT INTO ModelLayers (ModelId, LayerIdx, LayerName, LayerType, TensorShape,
				TensorDtype, QuantizationType, Parameters, ParameterCount, ModelFileId, ByteOffset, ByteSize)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		for l := range sqlcatalog.Layers(model) {
			f := &entry.Files[l.File]
			_, id, err := insert.exec(int64(entry.ID), int64(l.Index), l.Name, l.Kind, l.Shape, l.Dtype, l.Type,
				l.Parameters, l.Elements, int64(f.ID), l.Offset, l.Bytes)
			if err == nil {
				err = t.Err()
			}
			if err != nil {
				return err
			}
			f.Layers = append(f.Layers, ingest.LayerID(id))
		}
		return nil
	})
}
