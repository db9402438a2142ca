package catalogtest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

var maintenanceTests = []test{
	{name: "only a catalogue without models adopts an identity", run: func(t *testing.T, db Database) {
		c := db(t)
		for range 2 {
			must(t, c.Adopt(t.Context(), "another"))
		}
		identity, err := c.Identity(t.Context())
		must(t, err)
		want(t, "identity", identity, "another")
		r := start(t, c, "/a")
		w := newWork("a", gguf("/a.gguf", "a"))
		w.model.Details = ingest.Details{ContextLength: 1, EmbeddingLength: 2, License: "mit", SourceURL: "https://é"}
		e := r.take(w)
		m, err := c.Model(t.Context(), e)
		must(t, err)
		want(t, "details", m.Details, w.model.Details)
		if err := c.Adopt(t.Context(), "third"); !errors.Is(err, ingest.ErrNotEmpty) {
			t.Errorf("a catalogue with a model: %v", err)
		}
		identity, err = c.Identity(t.Context())
		must(t, err)
		want(t, "identity", identity, "another")
	}},
	{name: "referenced are the segments of open and complete models", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a, b := newWork("a", gguf("/a.gguf", "a")), newWork("b", gguf("/b.gguf", "b"))
		r.take(a)
		e := r.begin(b)
		first := b.sources[0].batches(e, 0, 2, 0)[0]
		must(t, r.Record(t.Context(), r.lease, first))
		digests := []ingest.Digest{ingest.Sum([]byte("nobody's")), {}}
		expected := map[ingest.Digest]bool{}
		for segment := range a.sources[0].plan().All() {
			d := a.sources[0].segmentDigest(segment)
			digests, expected[d] = append(digests, d), true
		}
		for segment := range b.sources[0].plan().All() {
			d := b.sources[0].segmentDigest(segment)
			digests, expected[d] = append(digests, d), expected[d] || segment.Offset < first.To
		}
		got, err := r.Referenced(t.Context(), digests)
		must(t, err)
		for _, d := range digests {
			want(t, "referenced", len(got[d]) > 0, expected[d])
		}
	}},
	{name: "a thousand digests at once, and none", run: func(t *testing.T, db Database) {
		c := db(t)
		got, err := c.Referenced(t.Context(), make([]ingest.Digest, 1000))
		must(t, err)
		want(t, "referenced", len(got), 0)
		got, err = c.Referenced(t.Context(), nil)
		must(t, err)
		want(t, "referenced", len(got), 0)
	}},
	{name: "unreferenced atoms are counted, then removed, then none are left", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("a", gguf("/a.gguf", "a"))
		e := r.fill(w)
		counted := func(remove bool, atoms, bytes int64) {
			t.Helper()
			gotAtoms, gotBytes, err := r.Unreferenced(t.Context(), r.lease, remove)
			must(t, err)
			want(t, "atoms", gotAtoms, atoms)
			want(t, "bytes", gotBytes, bytes)
		}
		counted(true, 0, 0)
		must(t, r.Abandon(t.Context(), r.lease, e.ID))
		for range 2 {
			counted(false, w.sources[0].plan().Count(), w.sources[0].Bytes)
		}
		counted(true, w.sources[0].plan().Count(), w.sources[0].Bytes)
		counted(true, 0, 0)
		r.take(w)
		counted(true, 0, 0)
		r.check()
	}},
	{name: "gc keeps an atom that a layer refers to, and leaves its count alone", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		other := r.take(newWork("b", gguf("/b.gguf", "b")))
		w := newWork("a", gguf("/a.gguf", "a"))
		must(t, r.Abandon(t.Context(), r.lease, r.fill(w).ID))
		const unreferenced = `SourceType = 'ingest_segment' AND ReferenceCount = 0`
		kept := r.count(`SELECT MIN(AtomId) FROM Atoms WHERE ` + unreferenced)
		r.exec(`UPDATE ModelLayers SET LayerAtomId = @p1 WHERE ModelId = @p2 AND LayerIdx = 0`, kept, int64(other))
		r.exec(`UPDATE Atoms SET ReferenceCount = 7 WHERE AtomId = @p1`, kept)
		wrong := r.count(`SELECT MAX(AtomId) FROM Atoms WHERE ReferenceCount = 1`)
		r.exec(`UPDATE Atoms SET ReferenceCount = 7 WHERE AtomId = @p1`, wrong)
		left := r.count(`SELECT COUNT(*) FROM Atoms WHERE ` + unreferenced)
		for _, remove := range []bool{false, true} {
			atoms, _, err := r.Unreferenced(t.Context(), r.lease, remove)
			must(t, err)
			want(t, "atoms", atoms, left)
		}
		want(t, "references of the layer's", r.count(`SELECT ReferenceCount FROM Atoms WHERE AtomId = @p1`, kept), 7)
		want(t, "references of the other", r.count(`SELECT ReferenceCount FROM Atoms WHERE AtomId = @p1`, wrong), 1)
	}},
	{name: "a relocated segment has its new address", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.take(newWork("a", gguf("/a.gguf", "a")))
		file := r.summary(id).Files[0].ID
		to := ingest.Address{URI: "https://x/" + hostile, Container: "c", Name: "n", ETag: "e", Bytes: 5,
			Modified: changed}
		for i, segment := range list(t, r.Segments(t.Context(), file, 0)) {
			for range 2 {
				must(t, r.Relocate(t.Context(), r.lease, segment, to))
			}
			segment.Address = to
			want(t, "segment", list(t, r.Segments(t.Context(), file, 0))[i], segment)
		}
		r.check()
	}},
	{name: "rows that share a payload get its new address together", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		r.take(newWork("a", gguf("/a.gguf", "a")))
		r.take(newWork("b", gguf("/b.gguf", "b")))
		segments := func() (one, two ingest.StoredSegment) { // of the same content
			t.Helper()
			files := list(t, r.Models(t.Context()))
			for _, one := range list(t, r.Segments(t.Context(), files[0].Files[0].ID, 0)) {
				for _, two := range list(t, r.Segments(t.Context(), files[1].Files[0].ID, 0)) {
					if one.Digest == two.Digest {
						return one, two
					}
				}
			}
			t.Fatal("the models share no segment")
			return one, two
		}
		named := func(d ingest.Digest) string {
			t.Helper()
			needed, err := r.Referenced(t.Context(), []ingest.Digest{d})
			must(t, err)
			return strings.Join(slices.Sorted(slices.Values(needed[d])), " ")
		}
		one, two := segments()
		here := ingest.Address{URI: "https://x/here", Container: "x", Name: "here", ETag: "1", Bytes: one.Bytes,
			Modified: stamped}
		must(t, r.Relocate(t.Context(), r.lease, one, here))
		one, two = segments()
		want(t, "the one", one.Address, here)
		want(t, "the other", two.Address, here)
		again := here
		again.ETag, again.Modified = "2", stamped.Add(time.Hour)
		must(t, r.Relocate(t.Context(), r.lease, one, again))
		one, two = segments()
		want(t, "the one", one.Address, again)
		want(t, "the other", two.Address, again)
		want(t, "names", named(one.Digest), "here")
		r.exec(`UPDATE LayerTensorSegments SET BlobUri = 'https://x/apart' WHERE LayerTensorSegmentId = @p1`, one.RowID)
		one, _ = segments()
		there := ingest.Address{URI: "https://x/there", Container: "x", Name: "there", ETag: "3", Bytes: one.Bytes,
			Modified: stamped}
		must(t, r.Relocate(t.Context(), r.lease, two, there))
		stays, goes := segments()
		want(t, "the one at another URI", stays.Address, one.Address)
		want(t, "the other that goes", goes.Address, there)
		want(t, "names", named(one.Digest), "here there")
		must(t, r.Relocate(t.Context(), r.lease, goes, ingest.Address{URI: "dir:x", Bytes: two.Bytes}))
		want(t, "names", named(one.Digest), " here")
		r.check()
	}},
	{name: "a deleted segment cannot be relocated", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("a", gguf("/a.gguf", "a"))
		e := r.fill(w)
		segments := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))
		must(t, r.Abandon(t.Context(), r.lease, e.ID))
		r.take(newWork("b", gguf("/b.gguf", "b"))) // its rows may have the same numbers
		for _, segment := range segments {
			wantIs(t, r.Relocate(t.Context(), r.lease, segment, ingest.Address{URI: "moved"}), ingest.ErrNotFound)
		}
	}},
}
