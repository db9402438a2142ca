package catalogtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// stored returns all segments of a model's files.
func (r *run) stored(id ingest.ModelID) (all []ingest.StoredSegment) {
	r.Helper()
	for _, f := range r.summary(id).Files {
		all = append(all, list(r.T, r.Segments(r.Context(), f.ID, 0))...)
	}
	return all
}

// otherAddress is the address of the encoded payload of a segment if its payload is raw, and the
// other way round.
func otherAddress(s ingest.StoredSegment) ingest.Address {
	if s.Address.Codec == "" {
		return encodedAddress(s.Digest, s.Bytes)
	}
	return address(s.Digest, s.Bytes)
}

// saves checks BytesSaved of a model against its segments.
func (r *run) saves(id ingest.ModelID) int64 {
	r.Helper()
	saved := int64(0)
	for _, s := range r.stored(id) {
		if s.Address.Codec != "" {
			saved += s.Bytes - s.Address.Bytes
		}
	}
	want(r.T, "bytes saved", r.summary(id).BytesSaved, saved)
	return saved
}

// neededAs returns what Referenced has for a digest.
func (r *run) neededAs(d ingest.Digest) string {
	r.Helper()
	needed, err := r.Referenced(r.Context(), []ingest.Digest{d})
	must(r.T, err)
	return strings.Join(slices.Sorted(slices.Values(needed[d])), " ")
}

// addresses returns the URIs and encodings that Addresses has for a digest.
func (r *run) addresses(d ingest.Digest) string {
	r.Helper()
	all, err := r.Addresses(r.Context(), d)
	must(r.T, err)
	var list []string
	for _, a := range all {
		list = append(list, fmt.Sprint(a.URI, " ", a.Codec, a.Stored))
	}
	return strings.Join(slices.Sorted(slices.Values(list)), ", ")
}

// change calls do for each segment of the batches of a file.
func change(batches []*ingest.Batch, do func(*ingest.NewSegment)) []*ingest.Batch {
	for _, b := range batches {
		for i := range b.Segments {
			do(&b.Segments[i])
		}
	}
	return batches
}

// takeAs is take with other addresses.
func (r *run) takeAs(w work, do func(*ingest.NewSegment)) ingest.ModelID {
	r.Helper()
	e := r.begin(w)
	for i, s := range w.sources {
		for _, b := range change(s.batches(e, i, 5, 0), do) {
			must(r.T, r.Record(r.Context(), r.lease, b))
		}
	}
	id, err := r.Complete(r.Context(), r.lease, e.ID, 0)
	must(r.T, err)
	return id
}

func asEncoded(s *ingest.NewSegment) { s.Address = encodedAddress(s.Digest, s.Bytes) }

func asRaw(s *ingest.NewSegment) { s.Address = address(s.Digest, s.Bytes) }

func template(path string) source { return small(path, "template", ingest.Template) }

var encodedTests = []test{
	{name: "an impossible encoding is refused", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", template("/t"))
		e := r.begin(w)
		b := w.sources[0].batches(e, 0, 5, 0)[0]
		asRaw(&b.Segments[0])
		must(t, r.Record(t.Context(), r.lease, b))
		s := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0]
		for what, spoil := range map[string]func(*ingest.Address){
			"a codec without a digest":   func(a *ingest.Address) { a.Stored = ingest.Digest{} },
			"a digest without a codec":   func(a *ingest.Address) { a.Codec = "" },
			"a codec with a long name":   func(a *ingest.Address) { a.Codec = strings.Repeat("x", 21) },
			"a codec that saves nothing": func(a *ingest.Address) { a.Bytes = s.Bytes },
			"a codec without an address": func(a *ingest.Address) { a.URI = "" },
		} {
			asEncoded(&b.Segments[0])
			spoil(&b.Segments[0].Address)
			wantError(t, r.Record(t.Context(), r.lease, b), what)
			wantError(t, r.Relocate(t.Context(), r.lease, s, b.Segments[0].Address), what)
		}
		want(t, "segment", list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0], s)
		r.check()
	}},
	{name: "rows that share a payload get its encoded form together, and its raw form", run: func(t *testing.T,
		db Database) {
		r := start(t, db(t), "/a")
		double := gguf("/a.gguf", "a")
		double.Tensors = append(double.Tensors, double.Tensors[1])
		double.Tensors[3].Offset = double.Bytes // the shared tensor twice
		double.Bytes += 3 * mib
		a := r.take(newWork("a", double, template("/t1")))
		b := r.take(newWork("b", gguf("/b.gguf", "b"), template("/t2")))
		for range 2 { // there and back
			models := [][]ingest.StoredSegment{r.stored(a), r.stored(b)}
			for _, s := range models[1] {
				to := otherAddress(s)
				for range 2 { // the first answer may be lost
					must(t, r.Relocate(t.Context(), r.lease, s, to))
				}
				r.saves(a)
				r.saves(b)
				third := to
				third.URI, third.Name = "dir:third", "third"
				wantIs(t, r.Relocate(t.Context(), r.lease, s, third), ingest.ErrMoved)
				want(t, "names", r.neededAs(s.Digest), to.Name)
				want(t, "addresses", r.addresses(s.Digest), fmt.Sprint(to.URI, " ", to.Codec, to.Stored))
				for m, id := range []ingest.ModelID{a, b} {
					for i := range models[m] {
						if models[m][i].Digest == s.Digest {
							models[m][i].Address = to
						}
					}
					if !slices.Equal(r.stored(id), models[m]) {
						t.Fatalf("model %d is not as expected", id)
					}
				}
			}
			r.check()
		}
		must(t, r.Remove(t.Context(), r.lease, a, false))
		r.check()
	}},
	{name: "a row that moved since it was read is not relocated", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.take(newWork("m", gguf("/m.gguf", "m")))
		stale := r.stored(id)
		for i, s := range stale {
			elsewhere := s.Address
			elsewhere.URI = fmt.Sprint("dir:elsewhere/", i)
			must(t, r.Relocate(t.Context(), r.lease, s, elsewhere))
		}
		moved := r.stored(id)
		for _, s := range stale {
			wantIs(t, r.Relocate(t.Context(), r.lease, s, otherAddress(s)), ingest.ErrMoved)
			s.Address = ingest.Address{}
			wantIs(t, r.Relocate(t.Context(), r.lease, s, otherAddress(s)), ingest.ErrMoved)
		}
		want(t, "segments as before", slices.Equal(r.stored(id), moved), true)
		r.check()
	}},
	{name: "a row that another program deleted is inserted in another form", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		for _, as := range []func(*ingest.NewSegment){asRaw, asEncoded, asRaw} {
			e := r.begin(w)
			for _, b := range change(w.sources[0].batches(e, 0, 5, 0), as) {
				must(t, r.Record(t.Context(), r.lease, b))
			}
			r.saves(e.ID)
			r.exec(`DELETE FROM LayerTensorSegments WHERE SegmentOrdinal <> 1`)
			r.exec(`DELETE FROM FileSegments WHERE SegmentOrdinal <> 1`)
		}
	}},
	{name: "a copied file has the encoding and the savings of the other", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		from := r.takeAs(newWork("m", gguf("/m.gguf", "m"), template("/t1")), asEncoded)
		to := r.takeAs(newWork("n", gguf("/n.gguf", "n")), asRaw)
		file := r.summary(from).Files[1].ID
		must(t, r.Attach(t.Context(), r.lease, to, ingest.Alias{Name: "x"}, []ingest.NamedFile{{ID: file}}))
		segments := r.stored(to)
		want(t, "address", segments[len(segments)-1].Address, r.stored(from)[len(r.stored(from))-1].Address)
		want(t, "saved", r.saves(to) > 0, true)
		merged := r.takeAs(newWork("o", gguf("/o.gguf", "n"), small("/l", "licence", ingest.License)), asEncoded)
		want(t, "model", merged, to)
		r.saves(to)
		r.check()
	}},
	{name: "addresses are those of all stores, each once", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		d := template("").digest()
		want(t, "addresses of nothing", r.addresses(d), "")
		e := r.begin(newWork("open", template("/t0")))
		inRow := withPayloads(template("/t0").batches(e, 0, 1, 0)[0])
		must(t, r.Record(t.Context(), r.lease, inRow))
		want(t, "addresses of a payload in its row", r.addresses(inRow.Segments[0].Digest), "")
		var expected []string
		for i, as := range []func(*ingest.NewSegment){asRaw, asEncoded, asEncoded} {
			name := fmt.Sprint("m", i)
			r.takeAs(newWork(name, gguf("/"+name, name), template("/t"+name)), as)
		}
		in := func(uri string) func(s *ingest.NewSegment) {
			return func(s *ingest.NewSegment) { s.Address = ingest.Address{URI: uri, Bytes: s.Bytes} }
		}
		r.takeAs(newWork("n", gguf("/n.gguf", "n"), template("/tn")), in("https://x/b"))
		for _, a := range []ingest.Address{encodedAddress(d, 8), address(d, 8), {URI: "https://x/b"}} {
			expected = append(expected, fmt.Sprint(a.URI, " ", a.Codec, a.Stored))
		}
		slices.Sort(expected)
		want(t, "addresses", r.addresses(d), strings.Join(expected, ", "))
		e = r.begin(newWork("many", many("/n.gguf", "n")))
		for _, b := range change(many("/n.gguf", "n").batches(e, 0, 1000, 0), func(s *ingest.NewSegment) {
			s.Digest, s.Address.URI = d, fmt.Sprint("dir:", s.Offset)
		}) {
			b.Unshared = true
			must(t, r.Record(t.Context(), r.lease, b))
		}
		all, err := r.Addresses(t.Context(), d)
		must(t, err)
		want(t, "addresses are bounded", len(all) >= 16 && len(all) <= 32, true)
	}},
	{name: "bytes by element type and codec", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), template("/t"))
		id := r.takeAs(w, func(s *ingest.NewSegment) {
			if asRaw(s); s.Type == "F16" || s.Ordinal%2 == 1 {
				asEncoded(s)
			}
		})
		expected := map[[2]string]ingest.TypeBytes{}
		types := map[ingest.LayerID]string{}
		for _, l := range list(t, r.Layers(t.Context(), id)) {
			types[l.ID] = l.Type
		}
		for _, s := range r.stored(id) {
			key := [2]string{types[s.Layer], s.Address.Codec}
			sum := expected[key]
			expected[key] = ingest.TypeBytes{Type: key[0], Codec: key[1], Segments: sum.Segments + 1,
				Bytes: sum.Bytes + s.Bytes, Stored: sum.Stored + s.Address.Bytes}
		}
		got, err := r.TypeBytes(t.Context(), id)
		must(t, err)
		want(t, "rows", len(got), len(expected))
		for i, e := range got {
			key := [2]string{e.Type, e.Codec}
			want(t, "bytes", e, expected[key])
			want(t, "in order", i == 0 || got[i-1].Type+"\x00"+got[i-1].Codec < e.Type+"\x00"+e.Codec, true)
		}
		want(t, "saved", r.saves(id) > 0, true)
		e := r.begin(newWork("rows", template("/u")))
		must(t, r.Record(t.Context(), r.lease, withPayloads(template("/u").batches(e, 0, 1, 0)[0])))
		got, err = r.TypeBytes(t.Context(), e.ID)
		must(t, err)
		want(t, "of a payload in its row", fmt.Sprint(got), fmt.Sprint([]ingest.TypeBytes{{Segments: 1, Bytes: 8,
			Stored: 8}}))
		_, err = r.TypeBytes(t.Context(), 4711)
		wantIs(t, err, ingest.ErrNotFound)
	}},
	{name: "a row without a name is needed by its URI", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		d := template("").digest()
		unnamed := func(as func(*ingest.NewSegment)) func(*ingest.NewSegment) {
			return func(s *ingest.NewSegment) { as(s); s.Address.Name = "" }
		}
		r.takeAs(newWork("m", gguf("/m.gguf", "m"), template("/t1")), unnamed(asRaw))
		want(t, "names", r.neededAs(d), address(d, 8).URI)
		r.takeAs(newWork("n", gguf("/n.gguf", "n"), template("/t2")), unnamed(asEncoded))
		want(t, "names", r.neededAs(d), address(d, 8).URI+" "+encodedAddress(d, 8).URI)
		// A URI that is not that of the payload that the row describes proves nothing.
		r.exec(`UPDATE FileSegments SET BlobUri = @p1 WHERE Codec IS NOT NULL`, address(d, 8).URI)
		want(t, "names", r.neededAs(d), " "+address(d, 8).URI)
		r.exec(`UPDATE FileSegments SET BlobUri = NULL, Codec = NULL`)
		want(t, "names", r.neededAs(d), "")
		want(t, "needed", r.needed("template"), 1)
		r.exec(`UPDATE Atoms SET BlobUri = 'https://x/whole', BlobName = NULL WHERE ContentHash = @p1`, d[:])
		want(t, "names", r.neededAs(d), "")
	}},
}
