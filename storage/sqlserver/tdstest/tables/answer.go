package tables

import (
	"context"
	"errors"
	"strings"

	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// query answers with rows. SQLite's columns have no types: a column of an answer has that of its first value.
func (d *Tables) query(req *tdstest.Request, text string, args []any) (result tdstest.Result, err error) {
	rows, err := d.conn.QueryContext(context.Background(), text, args...)
	if err != nil {
		return result, refusal(err, text)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.ColumnTypes()
	if err != nil {
		return result, err
	}
	set := tdstest.Set{Columns: make([]tdstest.Column, len(columns))}
	for rows.Next() {
		row, fields := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			fields[i] = &row[i]
		}
		if err := rows.Scan(fields...); err != nil {
			return result, err
		}
		for i := range row {
			if strings.HasPrefix(strings.ToLower(columns[i].DatabaseTypeName()), "datetime2") {
				row[i] = parseTime(row[i])
			}
		}
		set.Rows = append(set.Rows, row)
	}
	if err := rows.Err(); err != nil {
		return result, refusal(err, text)
	}
	for _, row := range set.Rows {
		for i := range row {
			if row[i], err = d.lend(req, row[i]); err != nil {
				return result, err
			}
		}
	}
	for i := range columns {
		set.Columns[i] = tdstest.Columns("c " + kindOf(set.Rows, i))[0]
	}
	return tdstest.Result{Sets: []tdstest.Set{set}}, nil
}

// lend makes a path of what the rewriting has made of PathName().
func (d *Tables) lend(req *tdstest.Request, value any) (any, error) {
	text, _ := value.(string)
	row, isPath := strings.CutPrefix(text, pathMark)
	if !isPath || d.Share == nil {
		return value, nil
	}
	var payload []byte
	var table string
	err := d.conn.QueryRowContext(context.Background(), `SELECT 'LayerTensorSegments', RawPayload FROM LayerTensorSegments WHERE PayloadRowGuid = ?1
		UNION ALL SELECT 'FileSegments', RawPayload FROM FileSegments WHERE PayloadRowGuid = ?1`, row).Scan(&table, &payload)
	if err != nil {
		return nil, err
	}
	return d.Share.Lend(req, row, append([]byte{}, payload...), func(payload []byte) error {
		_, err := d.conn.ExecContext(context.Background(), "UPDATE "+table+" SET RawPayload = ?1 WHERE PayloadRowGuid = ?2", append([]byte{}, payload...), row)
		return err
	}), nil
}

func nothing(*tdstest.Request) (tdstest.Result, error) { return tdstest.Affected(0), nil }

func (d *Tables) inspect(*tdstest.Request) (tdstest.Result, error) {
	filegroup := ""
	if d.Share != nil {
		filegroup = "HartonomousFileStream"
	}
	return tdstest.Rows("a nvarchar(4000), b int, c nvarchar(128), d nvarchar(128), e nvarchar(128), f nvarchar(128), g int, h int, i int",
		[]any{"Microsoft SQL Server 2022", 3, "16.0.4135.4", "Developer Edition", "Hartonomous", filegroup, 0, 0, 0}), nil
}

func (d *Tables) stepsThere(*tdstest.Request) (tdstest.Result, error) {
	return tdstest.Rows("a int", []any{1}), nil
}

func (d *Tables) lastStep(*tdstest.Request) (tdstest.Result, error) {
	steps, err := schema.Steps(schema.SQLServer)
	return tdstest.Rows("a int", []any{len(steps)}), err
}

// columns are those of text, with the lengths that the schema gives them.
func (d *Tables) columns(*tdstest.Request) (result tdstest.Result, err error) {
	result = tdstest.Rows("a nvarchar(128), b nvarchar(128), c nvarchar(128), d int")
	rows, err := d.conn.QueryContext(context.Background(), `SELECT t.name, c.name, c.type FROM sqlite_master AS t, pragma_table_info(t.name) AS c WHERE c.type LIKE 'nvarchar%'`)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var table, column, kind string
		if err := rows.Scan(&table, &column, &kind); err != nil {
			return result, err
		}
		declared, err := tdstest.ParseType(kind)
		if err != nil {
			return result, err
		}
		result.Sets[0].Rows = append(result.Sets[0].Rows, []any{table, column, declared.Name, declared.Length})
	}
	return result, rows.Err()
}

func (d *Tables) payloadColumns(*tdstest.Request) (tdstest.Result, error) {
	return tdstest.Rows("a nvarchar(128)", []any{"LayerTensorSegments"}, []any{"FileSegments"}), nil
}

// otherReferences is the one key to Atoms of a column that ingest does not write.
func otherReferences(*tdstest.Request) (tdstest.Result, error) {
	return tdstest.Rows("a nvarchar(300), b nvarchar(128), c nvarchar(128)", []any{"[ModelLayers]", "[LayerAtomId]", "[AtomId]"}), nil
}

func (d *Tables) token(req *tdstest.Request) (tdstest.Result, error) {
	if d.Share == nil {
		return tdstest.Result{}, tdstest.Errorf("the server has FILESTREAM switched off")
	}
	return tdstest.Rows("a varbinary(128)", []any{d.Share.Token(req)}), nil
}
