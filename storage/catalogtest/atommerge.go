package catalogtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

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

var atomMergeTests = []test{
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

// atomRowMergeTests need the column Payload.
var atomRowMergeTests = []test{
	{name: "a registered model's atom that is merged with another program's stays", run: func(t *testing.T,
		db Database) {
		r := start(t, db(t), "/a")
		s := small("/m", "content", ingest.Weights)
		id := r.register(newWork("m", s))
		p := inRow(s.content)
		right := r.place(r.atomOf(id, 0), p)
		r.exec(`UPDATE Atoms SET PayloadLocator = NULL, SourceUri = NULL WHERE AtomId = @p1`, right.ID)
		wrong := r.atom(ingest.Sum([]byte("wrong")), path, `{}`, 0)
		got := r.place(wrong, ingest.AtomPlace{Digest: p.Digest, Bytes: p.Bytes})
		want(t, "number", got.ID, right.ID)
		r.remove(id)
		_, _, err := r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		a := r.fileAtom(got.ID)
		want(t, "locator once the model is removed", a.Locator, path)
		want(t, "in its row once the model is removed", a.InRow, true)
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
