package tables

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// query runs a statement that returns rows. SQLite's columns have no types, so each column of the
// result gets the type of its first value.
func (d *Tables) query(req *tdstest.Request, text string, args []any) (result tdstest.Result, err error) {
	rows, err := d.conn.QueryContext(context.Background(), text, args...)
	if err != nil {
		return result, refusal(err, text)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
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
			row[i] = parseTime(row[i])
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

// parseTime converts a value that is marked with timeOf to a time.
func parseTime(value any) any {
	if text, ok := value.(string); ok {
		if text, marked := strings.CutPrefix(text, "time "); marked {
			if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
				return at
			}
		}
	}
	return value
}

// lend converts a value that is marked with pathOf to a path of the share. The value is a letter
// for the table (T for LayerTensorSegments, F for FileSegments, A for Atoms) and the ID of the row.
func (d *Tables) lend(req *tdstest.Request, value any) (any, error) {
	text, _ := value.(string)
	row, isPath := strings.CutPrefix(text, "path ")
	if !isPath || d.Share == nil {
		return value, nil
	}
	column, place := "RawPayload", "FileSegments WHERE FileSegmentId = "+row[1:]
	switch row[0] {
	case 'T':
		place = "LayerTensorSegments WHERE LayerTensorSegmentId = " + row[1:]
	case 'A':
		column, place = "Payload", "Atoms WHERE AtomId = "+row[1:]
	}
	var payload []byte
	err := d.conn.QueryRowContext(context.Background(), `SELECT `+column+` FROM `+place).Scan(&payload)
	if err != nil {
		return nil, err
	}
	return d.Share.Lend(req, row, append([]byte{}, payload...), func(payload []byte) error {
		_, err := d.conn.ExecContext(context.Background(), "UPDATE "+strings.Replace(place, " WHERE",
			" SET "+column+" = ?1 WHERE", 1), append([]byte{}, payload...))
		return err
	}), nil
}

func nothing(*tdstest.Request) (tdstest.Result, error) { return tdstest.Affected(0), nil }

func (d *Tables) inspect(*tdstest.Request) (tdstest.Result, error) {
	filegroup := ""
	if d.Share != nil {
		filegroup = "HartonomousFileStream"
	}
	columns := "a nvarchar(4000), b int, c nvarchar(128), d nvarchar(128), e nvarchar(128), f nvarchar(128), " +
		"g int, h int, i int"
	row := []any{"Microsoft SQL Server 2022", 3, "16.0.4135.4", "Developer Edition", "Hartonomous", filegroup, 0, 0, 0}
	return tdstest.Rows(columns, row), nil
}

func (d *Tables) stepsThere(*tdstest.Request) (tdstest.Result, error) {
	return tdstest.Rows("a int", []any{1}), nil
}

func (d *Tables) lastStep(*tdstest.Request) (tdstest.Result, error) {
	steps, err := schema.Steps(schema.SQLServer)
	return tdstest.Rows("a int", []any{len(steps)}), err
}

// columns returns some of the text columns with their lengths in the schema of SQL Server.
func (d *Tables) columns(*tdstest.Request) (tdstest.Result, error) {
	result := tdstest.Rows("a nvarchar(128), b nvarchar(128), c nvarchar(128), d int")
	for column, length := range map[string]int{
		"Models.ModelName": 200, "Models.ModelType": 100, "Models.Architecture": 100, "ModelLayers.LayerName": 100,
		"ModelLayers.TensorShape": 200, "ModelFiles.Role": 64, "LayerTensorSegments.BlobUri": 2048,
		"Atoms.PayloadLocator": 1024,
	} {
		table, name, _ := strings.Cut(column, ".")
		result.Sets[0].Rows = append(result.Sets[0].Rows, []any{table, name, "nvarchar", length})
	}
	if !d.PlainAtoms {
		result.Sets[0].Rows = append(result.Sets[0].Rows, []any{"Atoms", "Payload", "varbinary", -1})
	}
	return result, nil
}

func (d *Tables) payloadColumns(*tdstest.Request) (tdstest.Result, error) {
	return tdstest.Rows("a nvarchar(128)", []any{"LayerTensorSegments"}, []any{"FileSegments"},
		[]any{"Atoms"}), nil
}

func (d *Tables) token(req *tdstest.Request) (tdstest.Result, error) {
	if d.Share == nil {
		return tdstest.Result{}, tdstest.Errorf("FILESTREAM is disabled")
	}
	return tdstest.Rows("a varbinary(128)", []any{d.Share.Token(req)}), nil
}

// containers returns one container with all payloads.
func (d *Tables) containers(*tdstest.Request) (tdstest.Result, error) {
	result := tdstest.Rows("a nvarchar(128), b nvarchar(128), c nvarchar(128), d int")
	for _, column := range []string{"Atoms.Payload", "FileSegments.RawPayload", "LayerTensorSegments.RawPayload"} {
		if table, name, _ := strings.Cut(column, "."); table != "Atoms" || !d.PlainAtoms {
			result.Sets[0].Rows = append(result.Sets[0].Rows, []any{table, name, "HartonomousFileStream", 1})
		}
	}
	return result, nil
}

// containerFiles counts the values of the column that the request names.
func (d *Tables) containerFiles(req *tdstest.Request) (tdstest.Result, error) {
	text := strings.NewReplacer("COUNT_BIG", "COUNT", "dbo.", "", "WITH (READUNCOMMITTED)", "").Replace(req.SQL)
	return d.query(req, text, nil)
}

// collect returns a pass of the garbage collector that finds nothing.
func (d *Tables) collect(*tdstest.Request) (tdstest.Result, error) {
	return tdstest.Rows("file_name nvarchar(128), num_collected_items int, num_marked_for_collection_items int, "+
		"num_unprocessed_items int, last_collected_xact_seqno nvarchar(25)",
		[]any{"HartonomousFileStream_File", 0, 0, 0, "0"}), nil
}
