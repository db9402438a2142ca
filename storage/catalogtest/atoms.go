package catalogtest

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// atom inserts a row of Atoms as another program does, and returns it as the catalogue reads it.
func (r *run) atom(digest ingest.Digest, locator, metadata string, references int) ingest.FileAtom {
	r.Helper()
	var path any
	if locator != "" {
		path = locator
	}
	r.exec(`INSERT INTO Atoms (ContentHash, Modality, SourceType, SourceUri, PayloadLocator, Metadata, ReferenceCount)
		VALUES (@p1, 'model', 'ollama_blob', 'ollama://x', @p2, @p3, @p4)`, digest[:], path, metadata, references)
	a, err := r.FileAtomWithDigest(r.Context(), digest)
	must(r.T, err)
	return a
}

// exec and count call ByHand with named arguments.
func (r *run) exec(statement string, args ...any) {
	r.Helper()
	byHand(r.T, r.Catalog).Exec(r.T, statement, named(args)...)
}

func (r *run) count(query string, args ...any) int64 {
	r.Helper()
	return byHand(r.T, r.Catalog).Count(r.T, query, named(args)...)
}

func named(args []any) []any {
	for i := range args {
		if args[i] == nil { // not every engine accepts a NULL without a type
			args[i] = sql.NullString{}
		}
		args[i] = sql.Named(fmt.Sprint("p", i+1), args[i])
	}
	return args
}

// refer inserts n rows that refer to an atom.
func (r *run) refer(a ingest.FileAtom, n int) {
	r.Helper()
	for i := range n {
		lease, err := r.Open(r.Context(), jobRequest(fmt.Sprintf("/job %d of %d", i, a.ID), 9))
		must(r.T, err)
		r.exec(`INSERT INTO IngestionJobAtoms (IngestionJobId, AtomId, WasDuplicate)
			VALUES (@p1, @p2, 0)`, lease.Job, a.ID)
	}
}

// references counts the rows of jobs that refer to an atom.
func (r *run) references(id int64) int64 {
	r.Helper()
	return r.count(`SELECT COUNT(*) FROM IngestionJobAtoms WHERE AtomId = @p1`, id)
}

// place places an atom twice, and checks that both answers are the same.
func (r *run) place(a ingest.FileAtom, place ingest.AtomPlace) ingest.FileAtom {
	r.Helper()
	first, changed, err := r.PlaceAtom(r.Context(), r.lease, a, place)
	must(r.T, err)
	want(r.T, "placed", changed, true)
	again, changed, err := r.PlaceAtom(r.Context(), r.lease, a, place)
	must(r.T, err)
	want(r.T, "placed again", changed, true)
	for _, got := range []ingest.FileAtom{again, r.fileAtom(first.ID)} {
		want(r.T, "atom", show(got), show(first))
	}
	r.check()
	return first
}

// show returns an atom as text.
func show(a ingest.FileAtom) string {
	a.Address.Modified = a.Address.Modified.UTC()
	return fmt.Sprintf("%+v", a)
}

func (r *run) fileAtom(id int64) ingest.FileAtom {
	r.Helper()
	a, err := r.FileAtom(r.Context(), id)
	must(r.T, err)
	return a
}

// unplaced checks that an atom is not placed and its row does not change.
func (r *run) unplaced(what string, a ingest.FileAtom, place ingest.AtomPlace) {
	r.Helper()
	before := r.fileAtom(a.ID)
	_, changed, err := r.PlaceAtom(r.Context(), r.lease, a, place)
	must(r.T, err)
	want(r.T, what+" placed", changed, false)
	want(r.T, what, show(r.fileAtom(a.ID)), show(before))
}

// clear tries to clear an atom's locator, and checks whether it is cleared.
func (r *run) clear(what string, a ingest.FileAtom, wanted bool) {
	r.Helper()
	for range 2 {
		cleared, err := r.ClearLocator(r.Context(), r.lease, a)
		must(r.T, err)
		want(r.T, what+": cleared", cleared, wanted)
		want(r.T, what+": locator", r.fileAtom(a.ID).Locator == "", wanted)
	}
}

// compact returns JSON without spaces, which an engine may add.
func compact(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	must(t, json.Compact(&b, text))
	return b.String()
}

// stored returns a place in a store.
func stored(content string) ingest.AtomPlace {
	d := ingest.Sum([]byte(content))
	a := address(d, int64(len(content)))
	a.Modified = a.Modified.UTC()
	return ingest.AtomPlace{Digest: d, Bytes: int64(len(content)), Address: a}
}

// inRow returns a place in the row.
func inRow(content string) ingest.AtomPlace {
	return ingest.AtomPlace{Digest: ingest.Sum([]byte(content)), Bytes: int64(len(content)),
		Payload: bytes.NewReader([]byte(content))}
}

const path = `D:\Models\blobs\x`

var atomTests = []test{
	{name: "an atom that has a path gets an address", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := stored("x")
		a := r.atom(p.Digest, path, `{"model_name": "x"}`, 0)
		want(t, "locator", a.Locator, path)
		want(t, "metadata", string(a.Metadata), `{"model_name": "x"}`)
		want(t, "source", a.SourceURI+" "+a.SourceType+" "+a.Modality, "ollama://x ollama_blob model")
		want(t, "in its row", a.InRow, false)
		want(t, "created", a.Created.IsZero(), false)
		got := r.place(a, p)
		want(t, "address", got.Address.URI+got.Address.Name+got.Address.ETag+got.Address.Container,
			p.Address.URI+p.Address.Name+p.Address.ETag+p.Address.Container)
		want(t, "bytes", got.Bytes, p.Bytes)
		want(t, "locator", got.Locator, path)
		needed, err := r.Referenced(t.Context(), []ingest.Digest{p.Digest})
		must(t, err)
		want(t, "names that gc keeps", len(needed[p.Digest]), 1)
		r.clear("a row with its address", got, true)
	}},
	{name: "file atoms have a path or a copy", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		for i := range 1200 { // more than a page
			d := ingest.Sum([]byte{byte(i), byte(i >> 8)})
			var path any = "p"
			if i%10 == 0 {
				path = nil
			}
			r.exec(`INSERT INTO Atoms (ContentHash, Modality, PayloadLocator) VALUES (@p1, 'text', @p2)`, d[:], path)
		}
		p := stored("x")
		placed := r.place(r.atom(p.Digest, path, `{}`, 0), p)
		r.clear("a row with its address", placed, true)
		all := list(t, r.FileAtoms(t.Context()))
		want(t, "file atoms", len(all), 1081)
		last := int64(0)
		for _, a := range all {
			want(t, "order", a.ID > last, true)
			last = a.ID
			want(t, "in segments", a.InSegments, false)
		}
		want(t, "last", last, placed.ID)
	}},
	{name: "large metadata is not read, and not lost", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		large := `{"a":"` + strings.Repeat("x", 1<<20) + `"}`
		p := stored("content")
		right := r.atom(p.Digest, "", `{"b":1}`, 0)
		wrong := r.atom(ingest.Sum([]byte(path)), path, large, 0)
		want(t, "metadata was read", len(wrong.Metadata), 0)
		want(t, "large metadata", wrong.LargeMetadata && !right.LargeMetadata, true)
		for a, err := range r.FileAtoms(t.Context()) {
			must(t, err)
			want(t, "listed", show(a), show(wrong))
		}
		r.refused(wrong, right, p)
		r.exec(`UPDATE Atoms SET Metadata = NULL WHERE AtomId = @p1`, right.ID)
		r.refused(wrong, right, p)
		r.exec(`DELETE FROM Atoms WHERE AtomId = @p1`, right.ID)
		want(t, "large metadata once placed", r.place(wrong, p).LargeMetadata, true)
	}},
	{name: "the atoms of a complete model's files are in segments", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		r.begin(newWork("open", gguf("/o.gguf", "o")))
		id := r.take(newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template)))
		all := list(t, r.FileAtoms(t.Context()))
		want(t, "file atoms", len(all), 2)
		for _, a := range all {
			want(t, "in segments", a.InSegments, true)
			want(t, "path", a.Locator != "", true)
		}
		r.exec(`UPDATE ModelFiles SET RecordedBytes = 0 WHERE ModelId = @p1`, int64(id))
		for _, a := range list(t, r.FileAtoms(t.Context())) { // as for a registered file
			want(t, "in segments", a.InSegments, false)
		}
	}},
	{name: "a missing atom", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		_, err := r.FileAtom(t.Context(), 4711)
		wantIs(t, err, ingest.ErrNotFound)
		_, err = r.FileAtomWithDigest(t.Context(), ingest.Sum(nil))
		wantIs(t, err, ingest.ErrNotFound)
		gone := ingest.FileAtom{ID: 4711, Digest: ingest.Sum(nil), Locator: path}
		_, changed, err := r.PlaceAtom(t.Context(), r.lease, gone, stored("x"))
		must(t, err)
		want(t, "placed", changed, false)
		cleared, err := r.ClearLocator(t.Context(), r.lease, gone)
		must(t, err)
		want(t, "cleared", cleared, false)
	}},
	{name: "a row that another program changes is not placed", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		for what, change := range map[string]string{
			"path":    `UPDATE Atoms SET PayloadLocator = 'elsewhere' WHERE AtomId = @p1`,
			"case":    `UPDATE Atoms SET PayloadLocator = 'd:\models\BLOBS\x' WHERE AtomId = @p1`,
			"no path": `UPDATE Atoms SET PayloadLocator = NULL WHERE AtomId = @p1`,
			"address": `UPDATE Atoms SET BlobUri = 'https://elsewhere' WHERE AtomId = @p1`,
		} {
			p := stored(what)
			a := r.atom(p.Digest, path, `{}`, 0)
			r.exec(change, a.ID)
			r.unplaced("a row with another "+what, a, p)
			cleared, err := r.ClearLocator(t.Context(), r.lease, a)
			must(t, err)
			want(t, "cleared", cleared, false)
		}
		a := r.atom(ingest.Sum([]byte("wrong")), path, `{}`, 0)
		other := ingest.Sum([]byte("other"))
		r.exec(`UPDATE Atoms SET ContentHash = @p1 WHERE AtomId = @p2`, other[:], a.ID)
		r.unplaced("a row with another hash", a, stored("content"))
		_, _, err := r.PlaceAtom(t.Context(), r.lease, r.place(r.fileAtom(a.ID), stored("content")), stored("content"))
		wantError(t, err, "a second address")
	}},
	{name: "nothing changes after the lease is lost", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := stored("x")
		a := r.atom(p.Digest, path, `{}`, 0)
		lost := r.lease
		lost.Token--
		_, _, err := r.PlaceAtom(t.Context(), lost, a, p)
		wantIs(t, err, ingest.ErrLeaseLost)
		want(t, "atom", show(r.fileAtom(a.ID)), show(a))
		a = r.place(a, p)
		_, err = r.ClearLocator(t.Context(), lost, a)
		wantIs(t, err, ingest.ErrLeaseLost)
		want(t, "locator", r.fileAtom(a.ID).Locator, path)
	}},
	{name: "a path is cleared only if there is a copy", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := stored("x")
		a := r.atom(p.Digest, path, `{}`, 0)
		r.clear("a row without a copy", a, false)
		placed := r.place(a, p)
		r.clear("a row that was read before", a, false)
		r.exec(`UPDATE Atoms SET BlobETag = 'other' WHERE AtomId = @p1`, a.ID)
		r.clear("a row whose blob was written again", placed, false)
		r.exec(`UPDATE Atoms SET BlobETag = @p1, UpdatedAt = CreatedAt, IsActive = 0 WHERE AtomId = @p2`,
			placed.Address.ETag, a.ID) // the copy and its path do not depend on the other columns
		r.clear("a row with its address", placed, true)
	}},
	{name: "a wrong hash is corrected", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := stored("content")
		a := r.atom(ingest.Sum([]byte(path)), path, `{"a":1}`, 0)
		r.refer(a, 1)
		got := r.place(a, p)
		want(t, "number", got.ID, a.ID)
		want(t, "digest", got.Digest, p.Digest)
		want(t, "metadata", string(got.Metadata), string(a.Metadata))
		want(t, "references", r.references(a.ID), 1)
	}},
}
