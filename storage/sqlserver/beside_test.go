package sqlserver

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// A lease that was read as expired but is renewed before it is revoked or taken over is respected.
func TestExpiredLeaseRenewedInTime(t *testing.T) {
	for name, exclusive := range map[string]bool{"wanted": false, "in the way": true} {
		t.Run(name, func(t *testing.T) {
			db := fresh(t)
			c, other := db(t), db(t)
			open := func(c ingest.Catalog, source string, request ingest.JobRequest) (ingest.Lease, error) {
				request.Pipeline, request.Source = "models", source
				return c.Open(t.Context(), request)
			}
			if _, err := open(c, "/c", ingest.JobRequest{TTL: 20 * time.Millisecond}); err != nil {
				t.Fatal(err)
			}
			expired, err := open(c, "/a", ingest.JobRequest{Holder: ingest.Holder{Host: "one", Process: 1},
				TTL: 20 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(60 * time.Millisecond)
			expired.TTL = time.Hour
			renewals := 0
			request := ingest.JobRequest{Holder: ingest.Holder{Host: "two", Process: 2}, TTL: time.Hour,
				Exclusive: exclusive}
			// called at least for the job of /c, after /a's lease is read and before it changes
			request.HolderDead = func(ingest.Holder) bool {
				renewals++
				if err := other.Renew(t.Context(), expired); err != nil {
					t.Error(err)
				}
				return false
			}
			source := "/a"
			if exclusive {
				source = "/b"
			}
			var busy *ingest.BusyError
			if _, err := open(c, source, request); !errors.As(err, &busy) || busy.Job != expired.Job || renewals == 0 {
				t.Errorf("after %d renewals: %v", renewals, err)
			}
			if err := other.Renew(t.Context(), expired); err != nil {
				t.Errorf("the holder lost its lease: %v", err)
			}
		})
	}
}

// gc keeps atoms that other programs' rows refer to, and does not change their counts.
func TestGCBesideOtherTables(t *testing.T) {
	address := newDatabase(t)
	apply(t, address)
	c, db := open(t, address), schemaDB(t, address)
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatalf("%v in %s", err, query)
		}
	}
	exec(`CREATE TABLE dbo.TensorAtoms (TensorAtomId bigint IDENTITY(1,1) PRIMARY KEY,
		[Atom Id] bigint NULL REFERENCES dbo.Atoms (AtomId))`)
	atom := func(text string, count int) (id int64) {
		t.Helper()
		digest := ingest.Sum([]byte(text))
		exec(`INSERT INTO dbo.Atoms (ContentHash, Modality, SourceType, ByteSize, ReferenceCount)
			VALUES (@p1, N'model', N'ingest_segment', 5, @p2)`, digest[:], count)
		if err := db.QueryRow(`SELECT AtomId FROM dbo.Atoms WHERE ContentHash = @p1`, digest[:]).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	kept, layer := atom("kept by another table", 7), atom("kept by a layer", 8)
	var unreferenced []int64
	for i := range 3 {
		unreferenced = append(unreferenced, atom("unreferenced "+string(rune('0'+i)), i))
	}
	exec(`INSERT INTO dbo.TensorAtoms ([Atom Id]) VALUES (@p1)`, kept)
	exec(`INSERT INTO dbo.Models (ModelName, ModelType) VALUES (N'theirs', N'GGUF')`)
	exec(`INSERT INTO dbo.ModelLayers (ModelId, LayerIdx, LayerAtomId) SELECT MAX(ModelId), 0, @p1 FROM dbo.Models`,
		layer)
	taken := ingestModel(t, c)
	lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "gc", Source: "gc", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	exec(`UPDATE dbo.Atoms SET ReferenceCount = 100 WHERE SourceType = N'ollama_blob'`) // another program miscounted

	for _, remove := range []bool{false, true} {
		if atoms, bytes, err := c.Unreferenced(t.Context(), lease, remove); err != nil || atoms != 3 || bytes != 15 {
			t.Fatalf("%d atoms of %d bytes are unreferenced, %v", atoms, bytes, err)
		}
	}
	if atoms, _, err := c.Unreferenced(t.Context(), lease, true); err != nil || atoms != 0 {
		t.Errorf("%d atoms are unreferenced after the removal, %v", atoms, err)
	}
	count := func(where string, args ...any) (n sql.NullInt64) {
		t.Helper()
		if err := db.QueryRow(`SELECT SUM(ReferenceCount) FROM dbo.Atoms WHERE `+where, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(`AtomId = @p1`, kept); n.Int64 != 7 {
		t.Errorf("count of the other table's atom is %v", n)
	}
	if n := count(`AtomId = @p1`, layer); n.Int64 != 8 {
		t.Errorf("count of the layer's atom is %v", n)
	}
	if n := count(`AtomId IN (@p1, @p2, @p3)`, unreferenced[0], unreferenced[1], unreferenced[2]); n.Valid {
		t.Errorf("unreferenced atoms still exist, with count %v", n)
	}
	if n := count(`SourceType = N'ollama_blob'`); n.Int64 != 1 {
		t.Errorf("count of the file of model %d is %v", taken, n)
	}
}
