package sqlserver

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest/tables"
)

// The plain edition of Atoms has no column for a payload: its atoms have addresses, and no statement names the column.
func TestAtomsWithoutPayloadColumn(t *testing.T) {
	srv := tdstest.Start(t)
	d := tables.New(t, srv, "")
	d.PlainAtoms = true
	c := open(t, srv.DSN())
	for _, word := range []string{"haspayload", "payloadbytes"} {
		if text, _ := c.engine.Word(word, []string{"a"}); strings.Contains(text, "Payload") {
			t.Errorf("%s is %s", word, text)
		}
	}
	lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "migrate", Source: "x", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	content := []byte("x")
	digest := ingest.Sum(content)
	var id int64
	d.Row(srv, `INSERT INTO Atoms (ContentHash, Modality, PayloadLocator) VALUES (x'`+digest.String()+
		`', 'model', 'p') RETURNING AtomId`, &id)
	atom, err := c.FileAtom(t.Context(), id)
	if err != nil || atom.InRow || c.MaxAtomPayload() != 0 {
		t.Fatalf("atom is %+v, the limit is %d: %v", atom, c.MaxAtomPayload(), err)
	}
	if err := c.ReadAtom(t.Context(), atom, 0, make([]byte, 1)); !errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("read: %v", err)
	}
	place := ingest.AtomPlace{Digest: digest, Bytes: 1, Payload: bytes.NewReader(content)}
	if _, changed, err := c.PlaceAtom(t.Context(), lease, atom, place); err == nil || changed {
		t.Error("a payload was put into a table without a column for it")
	}
	place = ingest.AtomPlace{Digest: digest, Bytes: 1, Address: ingest.Address{URI: "dir:x", Bytes: 1}}
	placed, changed, err := c.PlaceAtom(t.Context(), lease, atom, place)
	if err != nil || !changed || placed.Address.URI != "dir:x" {
		t.Errorf("placed %t %+v: %v", changed, placed, err)
	}
	place.Address.URI = "dir:" + strings.Repeat("x", 3000) // longer than BlobUri
	d.Exec(srv, `UPDATE Atoms SET BlobUri = NULL`)
	if atom, err = c.FileAtom(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, changed, err := c.PlaceAtom(t.Context(), lease, atom, place); err == nil || changed {
		t.Error("an address that the columns do not hold was noted")
	}
}
