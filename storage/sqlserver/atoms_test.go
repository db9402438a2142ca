package sqlserver

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest/tables"
)

// TestAtomsWithoutPayloadColumn tests the plain edition of Atoms, which has no column Payload.
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
	if most, _ := c.MaxAtomPayload(); err != nil || atom.InRow || most != 0 {
		t.Fatalf("atom is %+v, the limit is %d: %v", atom, most, err)
	}
	if err := c.ReadAtom(t.Context(), atom, 0, make([]byte, 1)); !errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("read: %v", err)
	}
	place := ingest.AtomPlace{Digest: digest, Bytes: 1, Payload: bytes.NewReader(content)}
	if _, changed, err := c.PlaceAtom(t.Context(), lease, atom, place); err == nil || changed {
		t.Error("a payload was written without a column for it")
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
		t.Error("an address that is too long was recorded")
	}
}

// TestMergeNeedsSight does not merge atoms if tables of other schemas may refer to them.
func TestMergeNeedsSight(t *testing.T) {
	srv := tdstest.Start(t)
	d := tables.New(t, srv, "")
	c := open(t, srv.DSN())
	lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "migrate", Source: "x", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	place := ingest.AtomPlace{Digest: ingest.Sum([]byte("x")), Bytes: 1}
	var id int64
	for _, hash := range []ingest.Digest{place.Digest, ingest.Sum([]byte("wrong"))} {
		d.Row(srv, `INSERT INTO Atoms (ContentHash, Modality) VALUES (x'`+hash.String()+
			`', 'model') RETURNING AtomId`, &id)
	}
	wrong, err := c.FileAtom(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	sees := 0
	srv.Handle("/* ingest: sees-all-keys */", func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("a int", []any{sees}), nil
	})
	_, changed, err := c.PlaceAtom(t.Context(), lease, wrong, place)
	var clash *ingest.AtomClashError
	if changed || !errors.As(err, &clash) || !strings.Contains(err.Error(), "GRANT VIEW DEFINITION") {
		t.Errorf("merged %t: %v", changed, err)
	}
	sees = 1
	if _, changed, err := c.PlaceAtom(t.Context(), lease, wrong, place); err != nil || !changed {
		t.Errorf("merged %t: %v", changed, err)
	}
}

// freshFiles creates a catalogue on the double, where payloads are written as files.
func freshFiles(t *testing.T) (catalogtest.Database, *folderFiles) {
	folder := t.TempDir()
	srv := tdstest.Start(t)
	d := tables.New(t, srv, folder)
	d.Share.AnyLogin = true
	files := &folderFiles{folder: folder}
	return func(t *testing.T) ingest.Catalog {
		c := open(t, srv.DSN())
		c.engine.access.files = files
		return doubled{c, d, srv}
	}, files
}

// TestContractFiles runs the contract of atoms with payloads that are written as files.
func TestContractFiles(t *testing.T) {
	opened := 0
	catalogtest.AtomRows(t, func(t *testing.T) catalogtest.Database {
		db, files := freshFiles(t)
		t.Cleanup(func() { opened += files.steps["open"] })
		return db
	})
	if opened == 0 {
		t.Error("no payload was written as a file")
	}
}

// TestAtomFileFaults has each step of writing a payload as a file fail: then the row is as it was,
// or the payload is there, and it gets there when the call is repeated.
func TestAtomFileFaults(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 5<<20/16+1) // several pieces
	place := ingest.AtomPlace{Digest: ingest.Sum(content), Bytes: int64(len(content)),
		Payload: bytes.NewReader(content)}
	for _, statement := range []string{"/* ingest: lock-file-atom */", "/* ingest: fill-atom */",
		"/* ingest: locate-atom */", "/* ingest: token */", "/* ingest: hash-atom */", "/* ingest: fence */",
		tdstest.Commit} {
		for _, at := range []tdstest.Point{tdstest.BeforeEffect, tdstest.AfterEffect} {
			db, files := freshFiles(t)
			c := db(t).(doubled)
			lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "migrate", Source: "x", TTL: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			var id int64
			c.tables.Row(c.srv, `INSERT INTO Atoms (ContentHash, Modality, PayloadLocator) VALUES (x'`+
				place.Digest.String()+`', 'model', 'p') RETURNING AtomId`, &id)
			atom, err := c.FileAtom(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			fault := c.srv.Inject(tdstest.Fault{At: at, Match: statement, Do: tdstest.Reset()})
			placed, changed, err := c.PlaceAtom(t.Context(), lease, atom, place)
			if err != nil || !changed || !placed.InRow || fault.Fired() != 1 || files.steps["write"] < 2 {
				t.Errorf("%s: placed %t %+v, %d faults, %v", statement, changed, placed, fault.Fired(), err)
			}
			into := make([]byte, len(content))
			if err := c.ReadAtom(t.Context(), placed, 0, into); err != nil || !bytes.Equal(into, content) {
				t.Errorf("%s: wrong payload: %v", statement, err)
			}
			if !c.srv.WaitIdle(time.Minute) {
				t.Errorf("%s: a transaction is open", statement)
			}
		}
	}
}
