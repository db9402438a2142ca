package sqlite

import (
	"os"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// To add an address to a row, or to remove it, SQLite must not write the row's payload again.
func TestAddressIsAddedWithoutWritingThePayload(t *testing.T) {
	c, segment := withPayload(t)
	lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "migrate", Source: "/m", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.conns.writer.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	move := ingest.Move{Segment: segment, Address: ingest.Address{URI: "file:///there", Bytes: segment.Bytes}}
	moved, err := c.AddAddresses(t.Context(), lease, []ingest.Move{move})
	if err != nil || !moved[0] {
		t.Fatalf("added an address: %v, error %v", moved, err)
	}
	move.Segment.Address = move.Address
	moved, err = c.ClearAddresses(t.Context(), lease, []ingest.Move{move})
	if err != nil || !moved[0] {
		t.Fatalf("removed the address: %v, error %v", moved, err)
	}
	log, err := os.Stat(c.conns.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if log.Size() == 0 || log.Size() > segment.Bytes/2 {
		t.Errorf("the log has %d bytes for a payload of %d", log.Size(), segment.Bytes)
	}
}

// Before schema step 3, a row had its payload and its address at once.
func TestUpgradeKeepsAddressesOfRowsWithPayloads(t *testing.T) {
	c, segment := withPayload(t)
	for _, text := range []string{
		`DROP TABLE TensorSegmentCopies`, `DROP TABLE FileSegmentCopies`,
		`DROP TRIGGER TR_LayerTensorSegments_Emptied`, `DROP TRIGGER TR_FileSegments_Emptied`,
		`DROP TRIGGER TR_LayerTensorSegments_Both`, `DROP TRIGGER TR_FileSegments_Both`,
		`DROP TABLE SmallPayloads`, `DROP INDEX IX_Atoms_Unreferenced`,
		`DELETE FROM SchemaSteps WHERE Number >= 3`,
		`UPDATE LayerTensorSegments SET BlobUri = 'file:///there', BlobName = 'there', BlobSizeBytes = ByteSize`,
	} {
		if _, err := c.conns.writer.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = openAt(t, c.conns.path)
	for got, err := range c.Segments(t.Context(), segment.File, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if !got.InRow || got.Address != (ingest.Address{URI: "file:///there", Name: "there", Bytes: segment.Bytes}) {
			t.Errorf("in its row: %v; address %+v", got.InRow, got.Address)
		}
	}
	if row := c.row(t, `SELECT count(*) FROM LayerTensorSegments WHERE BlobUri IS NOT NULL`); row != "0" {
		t.Errorf("%s rows with a payload have an address", row)
	}
}

// Another program knows only LayerTensorSegments. Its writes there do not lose an address.
func TestAddressSurvivesOtherPrograms(t *testing.T) {
	at := ingest.Address{URI: "file:///there", Name: "there"}
	const (
		set     = `UPDATE LayerTensorSegments SET `
		clear   = `RawPayload = x''`
		fill    = `RawPayload = zeroblob(9)`
		address = `BlobUri = 'file:///there', BlobName = 'there'`
	)
	for name, test := range map[string]struct {
		statements []string
		inRow      bool
	}{
		"empties the row":                  {[]string{set + clear}, false},
		"empties it and writes it again":   {[]string{set + clear, set + fill}, true},
		"changes the payload":              {[]string{set + fill}, true},
		"writes the address into the row":  {[]string{set + address}, true},
		"writes both":                      {[]string{set + fill + `, ` + address}, true},
		"empties it and writes an address": {[]string{set + clear + `, ` + address}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, segment := withPayload(t)
			lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "migrate", Source: "/m", TTL: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			at.Bytes = segment.Bytes
			move := ingest.Move{Segment: segment, Address: at}
			if _, err := c.AddAddresses(t.Context(), lease, []ingest.Move{move}); err != nil {
				t.Fatal(err)
			}
			for _, statement := range test.statements {
				if _, err := c.conns.writer.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			for got, err := range c.Segments(t.Context(), segment.File, 0) {
				if err != nil || got.InRow != test.inRow || got.Address.URI != at.URI || got.Address.Name != at.Name {
					t.Errorf("in its row: %v; address %+v; error %v", got.InRow, got.Address, err)
				}
			}
			needed, err := c.Referenced(t.Context(), []ingest.Digest{segment.Digest})
			if err != nil || len(needed[segment.Digest]) == 0 {
				t.Errorf("gc would delete the copy: %v, error %v", needed, err)
			}
		})
	}
}
