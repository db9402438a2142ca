package sqlserver

import (
	"fmt"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest/tables"
)

// freshDouble returns a new, empty catalogue on the double.
func freshDouble(t *testing.T) catalogtest.Database {
	srv := tdstest.Start(t)
	d := tables.New(t, srv, "")
	return func(t *testing.T) ingest.Catalog { return doubled{open(t, srv.DSN()), d, srv} }
}

// doubled is a catalogue on the double.
type doubled struct {
	*Catalog
	tables *tables.Tables
	srv    *tdstest.Server
}

var _ catalogtest.ByHand = doubled{}

// SetLease implements catalogtest.ByHand.
func (d doubled) SetLease(t *testing.T, job int64, ahead, given time.Duration) {
	t.Helper()
	var one int
	d.tables.Row(d.srv, fmt.Sprintf(`UPDATE IngestionJobs SET LeaseMs = nullif(%d, 0),
			LeaseExpiresMs = CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER) + %d
		WHERE IngestionJobId = %d RETURNING 1`, given.Milliseconds(), ahead.Milliseconds(), job), &one)
}

// Mark implements catalogtest.ByHand.
func (d doubled) Mark(t *testing.T, model ingest.ModelID) {
	t.Helper()
	var one int
	d.tables.Row(d.srv, fmt.Sprintf(`UPDATE Models SET State = 'removing' WHERE ModelId = %d RETURNING 1`, model), &one)
}

func (d doubled) Overwrite(t *testing.T, segment ingest.StoredSegment, payload []byte) {
	t.Helper()
	var one int
	d.tables.Row(d.srv, fmt.Sprintf(`UPDATE FileSegments SET RawPayload = x'%x' WHERE FileSegmentId = %d RETURNING 1`,
		payload, segment.RowID), &one)
}

// AddressTables implements catalogtest.ByHand.
func (doubled) AddressTables() []string { return catalogtest.SegmentTables }

// AllowOldRows implements catalogtest.ByHand.
func (d doubled) AllowOldRows(t *testing.T) {
	t.Helper()
	for _, statement := range catalogtest.OldRows {
		d.Exec(t, statement)
	}
}

// Exec implements catalogtest.ByHand.
func (d doubled) Exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	d.tables.Exec(d.srv, statement, args...)
}

// Count implements catalogtest.ByHand.
func (d doubled) Count(t *testing.T, query string, args ...any) (n int64) {
	t.Helper()
	d.tables.RowOf(d.srv, query, args, &n)
	return n
}

// TestContractDouble runs the contract against the double with the catalogue's tables, to show that
// the double behaves like a catalogue.
//
// Under the race detector it runs only the part about reading payloads in rows; scripts/test runs all of
// it without.
func TestContractDouble(t *testing.T) {
	if catalogtest.UnderRace {
		catalogtest.ReadRows(t, freshDouble)
		return
	}
	catalogtest.Rows(t, freshDouble)
	catalogtest.Run(t, freshDouble)
}

// Unreferenced reports what it removed, whichever commit's answer is lost.
func TestGCAfterALostCommit(t *testing.T) {
	for skip := range 3 { // the commits of the search, of the removal, and of the search that finds no more atoms
		srv := tdstest.Start(t)
		d := tables.New(t, srv, "")
		c := open(t, srv.DSN())
		lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "gc", Source: "gc", TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			var one int
			d.Row(srv, fmt.Sprintf(`INSERT INTO Atoms (ContentHash, Modality, SourceType, ByteSize)
				VALUES (x'%s', 'model', 'ingest_segment', 5) RETURNING 1`, ingest.Sum([]byte{byte(i)})), &one)
		}
		lost := srv.Inject(tdstest.Fault{At: tdstest.AfterEffect, Match: tdstest.Commit, Skip: skip / 2,
			Do: tdstest.Drop()})
		if atoms, bytes, err := c.Unreferenced(t.Context(), lease, true); err != nil || atoms != 10 || bytes != 50 ||
			lost.Fired() != 1 && skip < 2 {
			t.Errorf("commit %d lost %d times: %d atoms of %d bytes were removed, %v", skip, lost.Fired(), atoms, bytes,
				err)
		}
		var left int
		if d.Row(srv, `SELECT COUNT(*) FROM Atoms`, &left); left != 0 {
			t.Errorf("commit %d lost: %d atoms are left", skip, left)
		}
	}
}
