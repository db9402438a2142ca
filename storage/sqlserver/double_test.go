package sqlserver

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// double is a server that answers the statements of Record, and no others.
type double struct {
	*tdstest.Server
	atoms    tdstest.State[ingest.Digest, int64] // references
	segments tdstest.State[spot, segment]
	files    tdstest.State[int64, progress]
	streams  *tdstest.FileStream // nil if payloads are parameters
}

// spot identifies a segment's row: by its layer, or by its file.
type spot struct{ layer, file, ordinal int64 }

type segment struct {
	offset, bytes, first, count int64
	digest                      ingest.Digest
	kind, uri                   string
	payload                     string
	counted                     bool // its atom
}

type progress struct {
	recorded, segments, stored, shared int64
	digest                             ingest.Digest
}

const (
	theFile  = 5
	theModel = 3
	theJob   = 2
	theBytes = 10
)

func newDouble(t *testing.T) *double {
	t.Helper()
	d := &double{Server: tdstest.Start(t)}
	steps, err := schema.Steps(schema.SQLServer)
	if err != nil {
		t.Fatal(err)
	}
	one := func(columns string, values ...any) tdstest.HandlerFunc {
		return func(*tdstest.Request) (tdstest.Result, error) { return tdstest.Rows(columns, values), nil }
	}
	d.Handle("/* ingest: session */", affected(0))
	d.Handle("/* ingest: inspect */",
		one("a nvarchar(4000), b int, c nvarchar(128), d nvarchar(128), e nvarchar(128), f nvarchar(128), g int, h "+
			"int, i int",
			"Microsoft SQL Server 2022", int64(3), "16.0.4135.4", "Developer Edition", "Hartonomous", "", int64(0),
			int64(1), int64(0)))
	d.Handle("/* ingest: find-steps */", one("a int", int64(1)))
	d.Handle("/* ingest: last-step */", one("a int", int64(len(steps))))
	d.Handle("/* ingest: columns */", func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("a nvarchar(128), b nvarchar(128), c nvarchar(128), d int",
			[]any{"LayerTensorSegments", "BlobUri", "nvarchar", int64(2048)}), nil
	})
	d.Handle("/* ingest: hold */", one("a int", int64(1)))
	d.Handle("/* ingest: fence */", affected(1))
	d.Handle("/* ingest: look-at-file */", d.progress)
	d.Handle("/* ingest: lock-file */", d.lockFile)
	d.Handle("/* ingest: clear-batch */", affected(0))
	d.Handle("/* ingest: mark-present */", affected(0)) // the double checks for existing rows each time
	d.Handle("/* ingest: add-atoms */", d.addAtoms)
	d.Handle("/* ingest: count-atoms */", d.countAtoms)
	d.Handle("/* ingest: new-segments */", d.newSegments)
	d.Handle("/* ingest: add-tensor-", func(req *tdstest.Request) (tdstest.Result, error) {
		return d.addRows(req, true)
	})
	d.Handle("/* ingest: add-file-", func(req *tdstest.Request) (tdstest.Result, error) {
		return d.addRows(req, false)
	})
	d.Handle("/* ingest: reconcile */", d.reconcile)
	d.Handle("/* ingest: advance */", d.advance)
	return d
}

func affected(n int64) tdstest.HandlerFunc {
	return func(*tdstest.Request) (tdstest.Result, error) { return tdstest.Affected(n), nil }
}

// open opens the double as a catalogue that retries quickly.
func (d *double) open(t *testing.T) *Catalog {
	t.Helper()
	c, err := Open(t.Context(), d.DSN(), Settings{Stall: time.Second,
		Retry: storage.Policy{Attempts: 4, First: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// batchRow is a row of #ingest_batch.
type batchRow struct {
	number int64
	place  spot
	segment
}

// batch decodes the rows of the bulk copy: all, or only those without a row in the tables.
func (d *double) batch(req *tdstest.Request, onlyNew bool) ([]batchRow, error) {
	table, err := req.Table("#ingest_batch")
	if err != nil {
		return nil, err
	}
	var all []batchRow
	for _, r := range table.Rows {
		row := batchRow{number: r[0].(int64), place: spot{ordinal: r[2].(int64), file: theFile},
			segment: segment{first: r[3].(int64), count: r[4].(int64), kind: r[5].(string), offset: r[6].(int64),
				bytes: r[7].(int64), digest: ingest.Digest(r[8].([]byte))}}
		if r[1] != nil {
			row.place.layer, row.place.file = r[1].(int64), 0
		}
		if r[9] != nil {
			row.uri = r[9].(string)
		}
		if _, exists := d.segments.Get(row.place); !exists || !onlyNew {
			all = append(all, row)
		}
	}
	return all, nil
}

func (d *double) lockFile(req *tdstest.Request) (tdstest.Result, error) {
	if err := req.Lock("file", 5*time.Second); err != nil { // as UPDLOCK does
		return tdstest.Result{}, err
	}
	return d.progress(req)
}

func (d *double) progress(req *tdstest.Request) (tdstest.Result, error) {
	f, _ := d.files.Get(theFile)
	var digest any
	if !f.digest.IsZero() {
		digest = f.digest[:]
	}
	return tdstest.Rows("a bigint, b bigint, c bigint, d binary(32)",
		[]any{int64(theJob), int64(theBytes), f.recorded, digest}), nil
}

func (d *double) addAtoms(req *tdstest.Request) (tdstest.Result, error) {
	rows, err := d.batch(req, false)
	if err != nil {
		return tdstest.Result{}, err
	}
	slices.SortFunc(rows, func(a, b batchRow) int { return bytes.Compare(a.digest[:], b.digest[:]) })
	for _, r := range rows {
		if err := req.Lock("atom "+r.digest.String(), 5*time.Second); err != nil { // as UPDLOCK and HOLDLOCK do
			return tdstest.Result{}, err
		}
	}
	rows, err = d.batch(req, true)
	made := int64(0)
	for _, r := range rows {
		if _, exists := d.atoms.Get(r.digest); !exists {
			d.atoms.Put(req, r.digest, 0)
			made++
		}
	}
	return tdstest.Affected(made), err
}

// countAtoms counts the references of rows that are not counted yet.
func (d *double) countAtoms(req *tdstest.Request) (tdstest.Result, error) {
	rows, err := d.batch(req, false)
	slices.SortFunc(rows, func(a, b batchRow) int { return bytes.Compare(a.digest[:], b.digest[:]) })
	pieces := map[ingest.Digest]int64{}
	var all, stored, made int64
	for _, r := range rows {
		if row, _ := d.segments.Get(r.place); row.counted {
			continue
		}
		if err := req.Lock("atom "+r.digest.String(), 5*time.Second); err != nil { // as an update does
			return tdstest.Result{}, err
		}
		n, _ := d.atoms.Get(r.digest)
		d.atoms.Put(req, r.digest, n+1)
		pieces[r.digest]++
		all, made = all+r.bytes, made+1
		row, _ := d.segments.Get(r.place)
		row.counted = true
		d.segments.Put(req, r.place, row)
	}
	for _, r := range rows {
		if n, _ := d.atoms.Get(r.digest); pieces[r.digest] > 0 && n == pieces[r.digest] {
			stored += r.bytes
			pieces[r.digest] = -1
		}
	}
	return tdstest.Rows("a bigint, b bigint, c bigint", []any{made, all, stored}), err
}

// lockRows waits for other transactions that insert the batch's rows, as a unique index does.
func (d *double) lockRows(req *tdstest.Request) error {
	rows, err := d.batch(req, false)
	for _, r := range rows {
		if err == nil {
			err = req.Lock(fmt.Sprint("row ", r.place), 5*time.Second)
		}
	}
	return err
}

func (d *double) newSegments(req *tdstest.Request) (tdstest.Result, error) {
	if err := d.lockRows(req); err != nil {
		return tdstest.Result{}, err
	}
	rows, err := d.batch(req, true)
	var numbers [][]any
	for _, r := range rows {
		numbers = append(numbers, []any{r.number})
	}
	return tdstest.Rows("a int", numbers...), err
}

// addRows answers the statements that insert all rows, and those that insert one with its payload.
func (d *double) addRows(req *tdstest.Request, tensors bool) (tdstest.Result, error) {
	if err := d.lockRows(req); err != nil {
		return tdstest.Result{}, err
	}
	rows, err := d.batch(req, true)
	made := int64(0)
	single := bytes.Contains([]byte(req.SQL), []byte("-payload */"))
	for _, r := range rows {
		if tensors != (r.place.layer != 0) || single && r.number != tdstest.Get[int64](req, "p2") {
			continue
		}
		if single {
			r.payload = string(tdstest.Get[[]byte](req, "p3"))
		}
		if d.streams != nil {
			d.streams.Put(req, r.place.name(), []byte{}) // uses the request's transaction
		}
		d.segments.Put(req, r.place, r.segment)
		made++
	}
	return tdstest.Affected(made), err
}

func (d *double) reconcile(req *tdstest.Request) (tdstest.Result, error) {
	rows, err := d.batch(req, false)
	var found, same int64
	other := int64(-1)
	for _, r := range rows {
		got, ok := d.segments.Get(r.place)
		if !ok {
			continue
		}
		found++
		if got.digest == r.digest {
			same++
		} else if other < 0 {
			other = r.offset
		}
	}
	return tdstest.Rows("a int, b int, c bigint", []any{found, same, other}), err
}

func (d *double) advance(req *tdstest.Request) (tdstest.Result, error) {
	f, _ := d.files.Get(theFile)
	if f.recorded != tdstest.Get[int64](req, "p2") {
		return tdstest.Affected(0), nil
	}
	f.segments += tdstest.Get[int64](req, "p3")
	f.stored += tdstest.Get[int64](req, "p4")
	f.shared += tdstest.Get[int64](req, "p5")
	f.recorded = max(f.recorded, tdstest.Get[int64](req, "p6"))
	copy(f.digest[:], tdstest.Get[[]byte](req, "p8"))
	d.files.Put(req, theFile, f)
	return tdstest.Affected(1), nil
}
