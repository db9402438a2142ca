package pipeline_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/codec/codectest"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/storage/storetest"
)

// weights is a tensor of F32 that the codec makes smaller.
func weights(name string, seed uint64, elements int) gguftest.Tensor {
	return gguftest.Tensor{Name: name, Shape: []uint64{uint64(elements)},
		Data: codectest.Payload("F32", codectest.Weights(seed, elements))}
}

// encodable is a file of two tensors in three segments each. Those of the first are encoded.
func encodable(seed uint64) gguftest.File {
	return gguftest.File{Seed: seed, Tensors: []gguftest.Tensor{weights("a", 1, 3*mib/4),
		{Name: "noise", Shape: []uint64{3 * mib / 4}}}}
}

// encodings counts the segments of a model with and without a codec, and the bytes of both in the store.
func (h *home) encodings(t *testing.T, m ingest.Summary) (encoded, raw int, saved int64) {
	t.Helper()
	for _, f := range m.Files {
		for _, s := range h.segments(t, f) {
			switch {
			case s.Address.Codec == codec.Name:
				encoded++
				saved += s.Bytes - s.Address.Bytes
			case s.Address.URI != "":
				raw++
			}
		}
	}
	if m.BytesSaved != saved {
		t.Errorf("model %d saved %d bytes, and its rows %d", m.ID, m.BytesSaved, saved)
	}
	return encoded, raw, saved
}

// TestEncode: payloads are encoded where it pays. A payload that is present in any encoding is shared.
func TestEncode(t *testing.T) {
	folder := t.TempDir()
	one := file(create(t, filepath.Join(folder, "one"), encodable(1)))
	two := file(create(t, filepath.Join(folder, "two"), encodable(2)))
	for _, first := range []codec.Level{codec.Off, codec.Auto, codec.Max} {
		h := storeHome(t)
		for i, source := range []ingest.Source{one, two} {
			options := small
			if options.Compress = first; i > 0 { // the other way
				options.Compress = codec.Max - first
			}
			report, err := run(t, t.Context(), h.ingester(options), source)
			must(t, err)
			m := h.models(t)[i]
			encoded, raw, saved := h.encodings(t, m)
			if want := map[bool]int{true: 3}[first != codec.Off]; encoded != want || encoded+raw != 6 {
				t.Errorf("%s, model %d: %d segments are encoded, and %d are not", first, i, encoded, raw)
			}
			put := int64(0)
			for _, s := range report.Stored {
				put += s.Segments
			}
			if want := int64(6 - 3*i); put != want || h.memory.Payloads() != 6+3*i {
				t.Errorf("%s, model %d: %d payloads were put, and the store has %d", first, i, put, h.memory.Payloads())
			}
			if i == 0 && first != codec.Off && (saved < 3*mib/10 || saved > mib) {
				t.Errorf("%s: saved %d bytes of 3 MiB", first, saved)
			}
		}
		h.check(t)
		h.checkExports(t)
	}
}

// TestEncodeReport: the report has the sizes of what was put, by type.
func TestEncodeReport(t *testing.T) {
	h := storeHome(t)
	report := h.ingest(t, file(create(t, filepath.Join(t.TempDir(), "one"), encodable(1))))
	if len(report.Stored) != 2 || report.Stored[0].Codec != "" || report.Stored[1].Codec != codec.Name {
		t.Fatalf("%+v", report.Stored)
	}
	for _, s := range report.Stored {
		if s.Type != "F32" || s.Segments != 3 || s.Bytes != 3*mib || (s.Stored < s.Bytes) != (s.Codec != "") {
			t.Errorf("%+v", s)
		}
	}
	jobs := 0
	for job, err := range h.catalog.AllJobs(t.Context()) {
		must(t, err)
		jobs++
		if want := report.Stored[1].Bytes - report.Stored[1].Stored; job.BytesSaved != want {
			t.Errorf("the job saved %d bytes, want %d", job.BytesSaved, want)
		}
	}
	if jobs != 1 {
		t.Errorf("%d jobs", jobs)
	}
}

// noEncodings fails the test if a payload is encoded.
type noEncodings struct {
	positionStore
	t *testing.T
}

func (s *noEncodings) Put(ctx context.Context, k ingest.Key, payload []byte) (ingest.Address, error) {
	if k.Codec != "" {
		s.t.Errorf("%+v is encoded", k)
	}
	return s.positionStore.Put(ctx, k, payload)
}

func (s *noEncodings) Reuse(context.Context, ingest.Digest, ingest.Address) (now ingest.Address, ok bool, err error) {
	s.t.Error("a payload of another row was reused")
	return now, false, nil
}

// TestNotEncoded: other programs read payloads by position and those in rows, so these are the bytes
// themselves.
func TestNotEncoded(t *testing.T) {
	source := file(create(t, filepath.Join(t.TempDir(), "one"), encodable(1)))
	h := storeHome(t)
	in := h.ingester(small)
	in.Store, in.Unshared = &noEncodings{positionStore{payloads: map[string][]byte{}}, t}, true
	again := copied(t, source.Files[0].Path, filepath.Join(t.TempDir(), "again"))
	for _, source := range []ingest.Source{source, again} {
		report, err := run(t, t.Context(), in, source)
		if err != nil || len(report.Ingested) != 1 {
			t.Errorf("by position: %+v, %v", report, err)
		}
	}
	h = rowHome(t)
	h.ingest(t, source)
	if encoded, raw, _ := h.encodings(t, onlyModel(t, h)); encoded+raw != 0 {
		t.Errorf("in rows: %d segments are encoded, %d have an address", encoded, raw)
	}
	h.checkExports(t)
}

// foreignCodec says that all payloads are encoded by another version.
type foreignCodec struct{ ingest.Catalog }

func (c foreignCodec) Addresses(ctx context.Context, digest ingest.Digest) ([]ingest.Address, error) {
	all, err := c.Catalog.Addresses(ctx, digest)
	for i := range all {
		all[i].Codec = "planes9"
	}
	return all, err
}

// TestOtherCodec: a payload in an encoding that this version cannot decode is stored once more.
func TestOtherCodec(t *testing.T) {
	folder := t.TempDir()
	h := storeHome(t)
	h.ingest(t, file(create(t, filepath.Join(folder, "one"), encodable(1))))
	store := &storetest.Faulty{Store: h.memory, Hook: func(_ context.Context, call storetest.Call) error {
		if call.Verb == "Reuse" {
			t.Error("Reuse was called")
		}
		return nil
	}}
	in := h.ingester(small)
	in.Catalog, in.Store = foreignCodec{h.catalog}, store
	if _, err := run(t, t.Context(), in, file(create(t, filepath.Join(folder, "two"), encodable(2)))); err != nil {
		t.Error(err)
	}
	h.checkExports(t)
}

// TestEncoderMemory: the memory for an encoder is required, and the error says how much is enough.
func TestEncoderMemory(t *testing.T) {
	source := file(create(t, filepath.Join(t.TempDir(), "one"), encodable(1)))
	options := pipeline.Options{SegmentBytes: mib, MemoryBytes: 46 * mib, Compress: codec.Auto}
	_, err := run(t, t.Context(), storeHome(t).ingester(options), source)
	if err == nil || !strings.Contains(err.Error(), "allow at least 47 MiB") {
		t.Errorf("with memory for two segments: %v", err)
	}
	options.MemoryBytes = 47 * mib
	if _, err = run(t, t.Context(), storeHome(t).ingester(options), source); err != nil {
		t.Error(err)
	}
}

// TestEncodeMends: a payload that rows name and the store lost is put as the rows have it.
func TestEncodeMends(t *testing.T) {
	folder := t.TempDir()
	h := storeHome(t)
	options := small
	options.Compress = codec.Off
	_, err := run(t, t.Context(), h.ingester(options), file(create(t, filepath.Join(folder, "one"), encodable(1))))
	must(t, err)
	for _, s := range h.segments(t, h.models(t)[0].Files[0]) {
		h.memory.Damage(s.Digest, nil)
	}
	h.ingest(t, file(create(t, filepath.Join(folder, "two"), encodable(2)))) // shares three of them
	missing := 0
	for _, s := range h.segments(t, h.models(t)[0].Files[0]) {
		if _, err := h.memory.Stat(t.Context(), s.Digest, s.Address); err != nil && s.InStore() {
			missing++
		}
	}
	if missing != 3 {
		t.Errorf("%d payloads of the first model are still missing", missing)
	}
}
