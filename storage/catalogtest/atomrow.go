package catalogtest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

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
		want(t, "rows with the size of a blob",
			r.count(`SELECT COUNT(*) FROM Atoms WHERE BlobSizeBytes IS NOT NULL`), 0)
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
}
