package catalogtest

import (
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

var placeTests = []test{
	{name: "segments from any byte on", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		opaque := small("/o", "opaque", ingest.Template)
		opaque.Bytes = 5*mib + 7
		w := newWork("m", gguf("/m.gguf", "m"), many("/n.gguf", "n"), opaque)
		e := r.begin(w)
		for i, s := range w.sources {
			for _, b := range s.batches(e, i, 1000, 0) {
				must(t, r.Record(t.Context(), r.lease, b))
			}
			all := list(t, r.Segments(t.Context(), e.Files[i].ID, 0))
			want(t, "segments", int64(len(all)), s.plan().Count())
			last, err := r.LastSegment(t.Context(), e.Files[i].ID)
			must(t, err)
			want(t, "last", last, all[len(all)-1])
			for _, from := range boundaries(all) {
				first := slices.IndexFunc(all, func(p ingest.StoredSegment) bool { return p.Offset+p.Bytes > from })
				if first < 0 {
					first = len(all)
				}
				got := list(t, r.Segments(t.Context(), e.Files[i].ID, from))
				if !slices.Equal(got, all[first:]) {
					t.Fatalf("from byte %d of file %d there are %d segments, want %d", from, i, len(got),
						len(all)-first)
				}
			}
		}
	}},
	{name: "the last segment of an incomplete or empty file", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/empty", "", ingest.Params))
		e := r.begin(w)
		_, err := r.LastSegment(t.Context(), e.Files[0].ID)
		wantIs(t, err, ingest.ErrNotFound)
		for _, b := range w.sources[0].batches(e, 0, 1, 0) {
			must(t, r.Record(t.Context(), r.lease, b))
			last, err := r.LastSegment(t.Context(), e.Files[0].ID)
			must(t, err)
			want(t, "end", last.Offset+last.Bytes, b.To)
		}
		r.record(w, e, 1)
		_, err = r.LastSegment(t.Context(), e.Files[1].ID)
		wantIs(t, err, ingest.ErrNotFound)
		_, err = r.LastSegment(t.Context(), 4711)
		wantIs(t, err, ingest.ErrNotFound)
	}},
}

// boundaries returns offsets in and around some of the segments.
func boundaries(all []ingest.StoredSegment) (list []int64) {
	for i := 0; i < len(all); i += 1 + len(all)/15 {
		s := all[i]
		list = append(list, s.Offset, s.Offset+1, s.Offset+s.Bytes-1, s.Offset+s.Bytes)
	}
	end := all[len(all)-1].Offset + all[len(all)-1].Bytes
	return append(list, end-1, end, end+1, 1<<62)
}
