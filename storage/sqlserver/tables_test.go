package sqlserver

import (
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest/tables"
)

// freshDouble makes a new, empty catalogue on the double.
func freshDouble(t *testing.T) catalogtest.Database {
	srv := tdstest.Start(t)
	tables.New(t, srv, "")
	return func(t *testing.T) ingest.Catalog { return open(t, srv.DSN()) }
}

// TestContractDouble runs the contract against the double with the catalogue's tables. It keeps the double honest: what
// other tests have the program do there is what a catalogue does.
//
// Under the race detector it is the part about payloads in rows only; scripts/test runs it once more without.
func TestContractDouble(t *testing.T) {
	catalogtest.Rows(t, freshDouble)
	if !underRace {
		catalogtest.Run(t, freshDouble)
	}
}

// What gc says it removed is what is gone, whichever commit's answer is lost.
func TestGCAfterALostCommit(t *testing.T) {
	for skip := range 9 { // commits of four ranges, each looked for and then cleared, and of the look that finds no more
		srv := tdstest.Start(t)
		d := tables.New(t, srv, "")
		c := open(t, srv.DSN())
		err := c.write(t.Context(), func(tx *tx) error {
			for i := range 10 {
				digest := ingest.Sum([]byte{byte(i)})
				if err := tx.exec(`/* ingest: test */ INSERT INTO dbo.Atoms (ContentHash, Modality, SourceType, ByteSize) VALUES (@p1, N'model', N'ingest_segment', 5)`, digest[:]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		lost := srv.Inject(tdstest.Fault{At: tdstest.AfterEffect, Match: tdstest.Commit, Skip: skip, Do: tdstest.Drop()})
		if atoms, bytes, err := c.unreferenced(t.Context(), true, 3); err != nil || atoms != 10 || bytes != 50 || lost.Fired() != 1 {
			t.Errorf("commit %d lost %d times: %d atoms of %d bytes were removed, %v", skip, lost.Fired(), atoms, bytes, err)
		}
		var left int
		if d.Row(srv, `SELECT COUNT(*) FROM Atoms`, &left); left != 0 {
			t.Errorf("commit %d lost: %d atoms are left", skip, left)
		}
	}
}

// Digests that a bulk copy lost without a word would be taken for garbage.
func TestLostDigestsAreMissed(t *testing.T) {
	srv := tdstest.Start(t)
	tables.New(t, srv, "")
	c, err := Open(t.Context(), srv.DSN(), Settings{Retry: storage.Policy{Attempts: 2, First: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	srv.HandleBulk("#ingest_digests", func(*tdstest.Request, []tdstest.Column, [][]any) error { return nil })
	if _, err := c.Referenced(t.Context(), []ingest.Digest{ingest.Sum(nil)}); err == nil || !strings.Contains(err.Error(), "of 1 digests sent, 0 are there") {
		t.Errorf("error is %v", err)
	}
}
