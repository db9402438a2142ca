package catalogtest

import (
	"fmt"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// restore restores an atom's locator twice, and checks that the row has nothing else.
func (r *run) restore(a ingest.FileAtom, locator string) {
	r.Helper()
	for range 2 {
		restored, err := r.RestoreLocator(r.Context(), r.lease, a, locator)
		must(r.T, err)
		want(r.T, "restored", restored, true)
		now := r.fileAtom(a.ID)
		want(r.T, "locator", now.Locator, locator)
		want(r.T, "a copy", now.InRow || now.Address != ingest.Address{}, false)
		want(r.T, "rows with a column of an address", r.count(`SELECT COUNT(*) FROM Atoms WHERE AtomId = @p1
			AND (BlobContainer IS NOT NULL OR BlobName IS NOT NULL OR BlobETag IS NOT NULL)`, a.ID), 0)
	}
	r.check()
}

// unrestored checks that an atom's locator is not restored and its row does not change. The path is
// that of the atom unless there is another one.
func (r *run) unrestored(what string, a ingest.FileAtom, other ...string) {
	r.Helper()
	before := fmt.Sprint(list(r.T, r.FileAtoms(r.Context())))
	restored, err := r.RestoreLocator(r.Context(), r.lease, a, append(other, a.Locator)[0])
	must(r.T, err)
	want(r.T, what+": restored", restored, false)
	want(r.T, what+": atoms", fmt.Sprint(list(r.T, r.FileAtoms(r.Context()))), before)
}

var atomBackTests = []test{
	{name: "an address with another name or in other letters is another address", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		for i, change := range []string{`BlobName = UPPER(BlobName)`, `BlobName = NULL`, `BlobUri = UPPER(BlobUri)`} {
			p := stored(fmt.Sprint("x", i))
			a := r.place(r.atom(p.Digest, path, `{}`, 0), p)
			r.exec(`UPDATE Atoms SET `+change+` WHERE AtomId = @p1`, a.ID)
			r.clear(change, a, false)
			r.unrestored(change, a)
		}
	}},
	{name: "a row gets its path back, and loses its address", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := stored("x")
		first := r.atom(p.Digest, path, `{}`, 0)
		placed := r.place(first, p)
		r.restore(placed, path)
		r.unrestored("a row without a copy that has another path", placed, `D:\other`)
		placed = r.place(first, p)
		r.clear("a row with its address", placed, true)
		r.unrestored("a row with a path", placed, `D:\other`)
		cleared := r.fileAtom(placed.ID)
		lost := r.lease
		lost.Token--
		_, err := r.RestoreLocator(t.Context(), lost, cleared, path)
		wantIs(t, err, ingest.ErrLeaseLost)
		_, err = r.RestoreLocator(t.Context(), r.lease, cleared, "")
		wantError(t, err, "a row with neither a path nor a copy")
		want(t, "atom", show(r.fileAtom(cleared.ID)), show(cleared))
		r.restore(cleared, path)
		needed, err := r.Referenced(t.Context(), []ingest.Digest{p.Digest})
		must(t, err)
		want(t, "names that gc keeps", len(needed), 0)
		want(t, "address", r.place(first, p).Address.URI, p.Address.URI)
	}},
	{name: "a row that another program changes keeps its copy", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		for what, change := range map[string]string{
			"path":    `UPDATE Atoms SET PayloadLocator = 'elsewhere' WHERE AtomId = @p1`,
			"no path": `UPDATE Atoms SET PayloadLocator = NULL WHERE AtomId = @p1`,
			"address": `UPDATE Atoms SET BlobUri = 'https://elsewhere' WHERE AtomId = @p1`,
			"gone":    `DELETE FROM Atoms WHERE AtomId = @p1`,
		} {
			p := stored(what)
			a := r.place(r.atom(p.Digest, path, `{}`, 0), p)
			r.exec(change, a.ID)
			r.unrestored(what, a)
		}
		p := stored("hash")
		a := r.place(r.atom(p.Digest, path, `{}`, 0), p)
		other := ingest.Sum([]byte("other"))
		r.exec(`UPDATE Atoms SET ContentHash = @p1 WHERE AtomId = @p2`, other[:], a.ID)
		r.unrestored("hash", a)
	}},
}

var atomRowBackTests = []test{
	{name: "a row gets its path back, and loses its payload", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		p := inRow("right")
		first := r.atom(p.Digest, path, `{}`, 0)
		got := r.place(first, p)
		r.exec(`UPDATE Atoms SET Payload = @p1 WHERE AtomId = @p2`, []byte("longer"), got.ID)
		r.unrestored("a row with another payload", got)
		r.exec(`UPDATE Atoms SET Payload = @p1 WHERE AtomId = @p2`, []byte("wrong"), got.ID)
		r.restore(got, path) // a damaged payload
		got = r.place(first, p)
		r.clear("a payload", got, true)
		r.restore(r.fileAtom(got.ID), path)
		wantIs(t, r.ReadAtom(t.Context(), first, 0, nil), ingest.ErrNoPayload)
		want(t, "in its row", r.place(first, p).InRow, true)
	}},
}
