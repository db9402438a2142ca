package catalogtest

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
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

// refused checks that two atoms are not merged and do not change.
func (r *run) refused(wrong, right ingest.FileAtom, place ingest.AtomPlace) {
	r.Helper()
	wrong, right = r.fileAtom(wrong.ID), r.fileAtom(right.ID)
	_, changed, err := r.PlaceAtom(r.Context(), r.lease, wrong, place)
	var clash *ingest.AtomClashError
	if changed || !errors.As(err, &clash) {
		r.Fatalf("error is %v, want one about a clash", err)
	}
	want(r.T, "the first atom", show(r.fileAtom(wrong.ID)), show(wrong))
	want(r.T, "the second atom", show(r.fileAtom(right.ID)), show(right))
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
	{name: "two atoms of the same content are merged", run: func(t *testing.T, db Database) {
		for _, c := range []struct{ wrong, right int }{{1, 0}, {0, 1}, {2, 1}, {1, 2}, {1, 1}, {0, 0}} {
			r := start(t, db(t), "/a")
			p := stored(fmt.Sprint("content ", c))
			wrong := r.atom(ingest.Sum(fmt.Append(nil, path, c)), path, `{"wrong":1}`, c.wrong)
			right := r.atom(p.Digest, "", `{"right":1}`, c.right)
			r.refer(wrong, c.wrong)
			r.refer(right, c.right)
			got := r.place(wrong, p)
			kept, lost := right, wrong
			if c.wrong > c.right {
				kept, lost = wrong, right
			}
			want(t, "number", got.ID, kept.ID)
			want(t, "digest", got.Digest, p.Digest)
			want(t, "address", got.Address.URI, p.Address.URI)
			both := `{"right":1,"wrong":1}`
			if kept.ID == wrong.ID {
				both = `{"wrong":1,"right":1}`
			}
			want(t, "metadata", compact(t, got.Metadata), both)
			want(t, "locator", got.Locator, path)
			want(t, "references", r.references(kept.ID), int64(c.wrong+c.right))
			_, err := r.FileAtom(t.Context(), lost.ID)
			wantIs(t, err, ingest.ErrNotFound)
		}
	}},
	{name: "a merged atom has the columns of both", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		for _, c := range []struct{ wrong, right, both string }{
			{`{"a":1,"b":2}`, `{"b":3}`, `{"b":3,"a":1}`}, {`{"a":1}`, `{}`, `{"a":1}`}, {`{}`, `{"a":1}`, `{"a":1}`},
			{`{"digest_computed":false}`, `{"b":3}`, `{"b":3}`}, {`[]`, `[]`, `[]`},
		} {
			p := stored(fmt.Sprint(c))
			wrong := r.atom(ingest.Sum(fmt.Append(nil, path, c)), path, c.wrong, 0)
			right := r.atom(p.Digest, "", c.right, 0)
			r.exec(`UPDATE Atoms SET IsActive = 0, CanonicalText = 'x' WHERE AtomId = @p1`, right.ID)
			got := r.place(wrong, p)
			want(t, "number", got.ID, right.ID)
			want(t, "metadata", compact(t, got.Metadata), c.both)
			want(t, "active", r.count(`SELECT COUNT(*) FROM Atoms WHERE AtomId = @p1 AND IsActive = 1`, got.ID), 1)
		}
		p := stored("no metadata")
		wrong, right := r.atom(ingest.Sum([]byte("x")), path, `[]`, 0), r.atom(p.Digest, "", `{}`, 0)
		r.exec(`UPDATE Atoms SET Metadata = NULL WHERE AtomId = @p1`, right.ID)
		want(t, "metadata", string(r.place(wrong, p).Metadata), `[]`)
	}},
	{name: "the merged atom is that of another program", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := stored("content")
		wrong := r.atom(ingest.Sum([]byte(path)), path, `{"a":1}`, 0)
		r.exec(`UPDATE Atoms SET SourceType = 'upload' WHERE AtomId = @p1`, wrong.ID)
		right := r.atom(p.Digest, "", `{}`, 1)
		r.exec(`UPDATE Atoms SET ByteSize = 1 WHERE AtomId = @p1`, right.ID)
		r.refer(right, 1)
		got := r.place(r.fileAtom(wrong.ID), p)
		want(t, "number", got.ID, wrong.ID)
		want(t, "type of source", got.SourceType, "upload")
		want(t, "references", r.references(got.ID), 1)
	}},
	{name: "atoms whose columns differ are not merged", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		for column, change := range map[string]string{
			"PayloadLocator":  `PayloadLocator = 'elsewhere'`,
			"SourceUri":       `SourceUri = 'elsewhere'`,
			"Modality":        `Modality = 'model of another kind', SourceType = 'upload'`,
			"ComponentStream": `ComponentStream = ContentHash`,
			"Metadata":        `Metadata = '[]'`,
		} {
			p := stored(column)
			wrong := r.atom(ingest.Sum([]byte("wrong "+column)), path, `{}`, 0)
			right := r.atom(p.Digest, "", `{}`, 1)
			r.refer(right, 1) // is kept
			id := wrong.ID
			if column == "PayloadLocator" || column == "Modality" {
				id = right.ID
			}
			r.exec(`UPDATE Atoms SET `+change+` WHERE AtomId = @p1`, id)
			r.refused(wrong, right, p)
			_, _, err := r.PlaceAtom(t.Context(), r.lease, r.fileAtom(wrong.ID), p)
			if err == nil || !strings.Contains(err.Error(), column) {
				t.Errorf("the error does not name %s: %v", column, err)
			}
		}
	}},
	{name: "a merged atom keeps the copy", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := stored("content")
		right := r.place(r.atom(p.Digest, "", `{}`, 0), p)
		wrong := r.atom(ingest.Sum([]byte("wrong")), path, `{}`, 2)
		r.refer(wrong, 2)
		got := r.place(wrong, ingest.AtomPlace{Digest: p.Digest, Bytes: p.Bytes})
		want(t, "number", got.ID, wrong.ID)
		want(t, "address", got.Address.URI, right.Address.URI)
		want(t, "name", got.Address.Name, right.Address.Name)
		second := r.place(r.atom(ingest.Sum([]byte("second")), path, `{}`, 0), stored("second"))
		hash := ingest.Sum([]byte("second wrong"))
		r.exec(`UPDATE Atoms SET ContentHash = @p1 WHERE AtomId = @p2`, hash[:], second.ID)
		r.refused(second, got, ingest.AtomPlace{Digest: p.Digest, Bytes: p.Bytes})
	}},
	{name: "the atom of a segment becomes that of the file", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", small("/t", "template", ingest.Template))
		e := r.fill(w) // not complete: no file has the atom yet
		p := ingest.AtomPlace{Digest: w.sources[0].digest(), Bytes: 8}
		wrong := r.atom(ingest.Sum([]byte("wrong")), path, `{"wrong":1}`, 0)
		got := r.place(wrong, p)
		want(t, "locator", got.Locator, path)
		want(t, "source", got.SourceType, "ollama_blob")
		want(t, "metadata", string(got.Metadata), `{"wrong":1}`)
		id, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		must(t, err)
		r.check()
		want(t, "in segments", r.fileAtom(got.ID).InSegments, true)
		must(t, r.Remove(t.Context(), r.lease, id, false))
		_, _, err = r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		want(t, "locator after gc", r.fileAtom(got.ID).Locator, path)
	}},
	{name: "references of other programs' tables move to the merged atom", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		r.exec(`CREATE TABLE OtherAtoms (OtherId int NOT NULL PRIMARY KEY,
			AtomId bigint NOT NULL UNIQUE REFERENCES Atoms (AtomId))`)
		defer r.exec(`DROP TABLE OtherAtoms`)
		p := stored("content")
		wrong := r.atom(ingest.Sum([]byte("wrong")), path, `{}`, 0)
		right := r.atom(p.Digest, "", `{}`, 0)
		other := func(of int64) int64 {
			return r.count(`SELECT COUNT(*) FROM OtherAtoms WHERE AtomId = @p1`, of)
		}
		for _, id := range []int64{wrong.ID, right.ID} {
			r.exec(`INSERT INTO OtherAtoms (OtherId, AtomId) VALUES (@p1, @p1)`, id)
		}
		r.refer(wrong, 1)
		r.refused(wrong, right, p) // AtomId is unique, and has rows for both
		want(t, "rows", other(wrong.ID)+other(right.ID), 2)
		want(t, "references", r.references(wrong.ID), 1)
		r.exec(`DELETE FROM OtherAtoms WHERE AtomId = @p1`, right.ID)
		r.refer(right, 3)
		want(t, "number", r.place(wrong, p).ID, right.ID)
		want(t, "rows", other(right.ID), 1)
		want(t, "references", r.references(right.ID), 4)
		r.exec(`DELETE FROM OtherAtoms`)
	}},
}

var atomRowTests = []test{
	{name: "an atom gets its payload in its row", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		const content = "0123456789"
		p := inRow(content)
		a := r.atom(ingest.Sum([]byte(path)), path, `{}`, 0)
		wantIs(t, r.ReadAtom(t.Context(), a, 0, make([]byte, 1)), ingest.ErrNoPayload)
		got := r.place(a, p)
		want(t, "in its row", got.InRow, true)
		want(t, "bytes", got.Bytes, p.Bytes)
		want(t, "digest", got.Digest, p.Digest)
		want(t, "rows with the size of a blob", r.count(`SELECT COUNT(*) FROM Atoms WHERE BlobSizeBytes IS NOT NULL`), 0)
		for from := range len(content) + 1 {
			for to := from; to <= len(content); to++ {
				into := make([]byte, to-from)
				must(t, r.ReadAtom(t.Context(), got, int64(from), into))
				want(t, "bytes", string(into), content[from:to])
			}
			var size *ingest.SizeError
			if err := r.ReadAtom(t.Context(), got, int64(from), make([]byte, 11-from)); !errors.As(err, &size) ||
				size.Got != 10 || size.Want != 11 {
				t.Fatalf("beyond the end: %v", err)
			}
		}
		wantIs(t, r.ReadAtom(t.Context(), a, 0, nil), ingest.ErrNotFound) // its hash was corrected
		needed, err := r.Referenced(t.Context(), []ingest.Digest{p.Digest})
		must(t, err)
		want(t, "names that gc keeps", len(needed), 0)
		all := list(t, r.FileAtoms(t.Context()))
		want(t, "file atoms", len(all), 1)
		_, _, err = r.PlaceAtom(t.Context(), r.lease, got, p)
		wantError(t, err, "a second payload")
	}},
	{name: "a payload with another digest is refused", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := inRow("right")
		a := r.atom(p.Digest, path, `{}`, 0)
		p.Payload = bytes.NewReader([]byte("wrong"))
		_, changed, err := r.PlaceAtom(t.Context(), r.lease, a, p)
		var mismatch *ingest.MismatchError
		if changed || !errors.As(err, &mismatch) {
			t.Fatalf("error is %v", err)
		}
		p.Bytes = 6
		_, _, err = r.PlaceAtom(t.Context(), r.lease, a, p)
		wantError(t, err, "a payload that is too short")
		if most, streamed := r.MaxAtomPayload(); !streamed {
			p.Bytes = most + 1
			_, _, err = r.PlaceAtom(t.Context(), r.lease, a, p)
			wantError(t, err, "a payload beyond the limit")
		}
		want(t, "atom", show(r.fileAtom(a.ID)), show(a))
	}},
	{name: "another program's payload is not ours", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := inRow("right")
		a := r.atom(p.Digest, path, `{}`, 0)
		r.exec(`UPDATE Atoms SET Payload = @p1 WHERE AtomId = @p2`, []byte("wrong"), a.ID)
		r.unplaced("a row with another payload of the same length", a, p)
		r.exec(`UPDATE Atoms SET Payload = @p1 WHERE AtomId = @p2`, []byte("right"), a.ID)
		want(t, "in its row", r.place(a, p).InRow, true)
	}},
	{name: "an empty payload", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := inRow("")
		got := r.place(r.atom(p.Digest, path, `{}`, 0), p)
		want(t, "in its row", got.InRow, true)
		must(t, r.ReadAtom(t.Context(), got, 0, nil))
		r.clear("an empty payload", got, true)
	}},
	{name: "the path of a damaged payload is not cleared", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := inRow("right")
		got := r.place(r.atom(p.Digest, path, `{}`, 0), p)
		r.exec(`UPDATE Atoms SET Payload = @p1 WHERE AtomId = @p2`, []byte("wrong"), got.ID)
		r.clear("a damaged payload", got, false)
		r.exec(`UPDATE Atoms SET Payload = @p1 WHERE AtomId = @p2`, []byte("right"), got.ID)
		r.clear("a payload", got, true)
	}},
	{name: "an atom with a payload in its row is kept", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := inRow("content")
		right := r.place(r.atom(p.Digest, "", `{}`, 0), p)
		wrong := r.atom(ingest.Sum([]byte("wrong")), path, `{}`, 2)
		r.refer(wrong, 2)
		got := r.place(wrong, ingest.AtomPlace{Digest: p.Digest, Bytes: p.Bytes})
		want(t, "number", got.ID, right.ID)
		want(t, "references", r.references(got.ID), 2)
		into := make([]byte, p.Bytes)
		must(t, r.ReadAtom(t.Context(), got, 0, into))
		want(t, "payload", string(into), "content")
		want(t, "locator", got.Locator, path)
	}},
}
