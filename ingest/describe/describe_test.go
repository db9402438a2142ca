package describe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
	"github.com/hartonomous/ingest/storage/storetest"
)

// small is a payload that is in the catalogue.
func small(i int) []byte {
	p := make([]byte, 100)
	r := rand.New(rand.NewPCG(1, uint64(i)))
	for j := range p {
		p[j] = byte(r.Uint32())
	}
	return p
}

// whole is a model of one file, with a segment for each tensor.
func whole(tensors int) ingest.WholeModel {
	const bytes = 100
	f := ingest.File{Path: "/m\"<é>.gguf", Name: "sub\xff/m.gguf", Role: ingest.Weights, Format: "gguf",
		Bytes: int64(tensors) * bytes, Modified: time.Unix(1, 2)}
	batch := &ingest.Batch{Digest: ingest.Sum([]byte("file")), To: f.Bytes}
	for i := range tensors {
		t := ingest.Tensor{Name: fmt.Sprintf("blk.%d.\xff", i), Type: "F32", Shape: []uint64{25}, Elements: 25,
			Offset: int64(i) * bytes, Bytes: bytes, BlockBytes: 4, BlockElements: 1}
		f.Tensors = append(f.Tensors, t)
		s := ingest.NewSegment{Segment: ingest.Segment{Tensor: i, Offset: t.Offset, Bytes: bytes}, Type: "F32"}
		if i%2 == 0 {
			s.Payload = small(i)
			s.Digest = ingest.Sum(s.Payload)
		} else {
			s.Digest = ingest.Sum(fmt.Append(nil, i))
			s.Address = ingest.Address{Bytes: 50, Encoding: ingest.Encoding{Codec: "planes1",
				Stored: ingest.Sum(fmt.Append(nil, "stored", i))}}
		}
		batch.Segments = append(batch.Segments, s)
	}
	model := &ingest.Model{Name: "m", URI: "file:///m", Type: "gguf", Metadata: []byte(`{"a":"<b>"}`),
		Files: []ingest.File{f}, Details: ingest.Details{License: "mit"}}
	plan, err := ingest.NewPlan(&model.Files[0], ingest.MinSegmentBytes)
	if err != nil {
		panic(err)
	}
	return ingest.WholeModel{Model: model, Plans: []*ingest.Plan{plan}, Batches: []*ingest.Batch{batch}}
}

// described writes a description of models and returns it, with its frames.
func described(t *testing.T, store ingest.DescriptionStore, models ...ingest.WholeModel) (ingest.Description,
	[]describe.Frame) {
	t.Helper()
	keeper := describe.Keeper{Store: store}
	if err := keeper.BeforeAdd(t.Context(), models); err != nil {
		t.Fatal(err)
	}
	for d, err := range store.Descriptions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		frames, err := describe.Frames(t.Context(), store, d)
		if err != nil || len(frames) != len(models) {
			t.Fatalf("%d frames for %d models: %v", len(frames), len(models), err)
		}
		return d, frames
	}
	t.Fatal("there is no description")
	return ingest.Description{}, nil
}

// read reads a frame to its end, and returns the numbers of its lines.
func read(ctx context.Context, store ingest.DescriptionStore, f describe.Frame, m *ingest.WholeModel) (tensors,
	segments int, err error) {
	r, err := describe.Open(ctx, store, f)
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	if err := r.Tensors(func(file int, got describe.Tensor) error {
		if m != nil {
			want := m.Files[file].Tensors[tensors]
			if string(got.Name) != want.Name || got.Offset != want.Offset || len(got.Shape) != 1 {
				return fmt.Errorf("tensor %d is %+v, want %+v", tensors, got, want)
			}
		}
		tensors++
		return nil
	}); err != nil {
		return tensors, 0, err
	}
	return tensors, segments, r.Segments(func(got describe.Segment) error {
		if m != nil {
			want := m.Batches[0].Segments[segments]
			if got.Digest != want.Digest || got.Codec != want.Address.Codec || got.Stored != want.Address.Stored ||
				got.Offset != want.Offset || !bytes.Equal(got.Payload, want.Payload) {
				return fmt.Errorf("segment %d is %+v, want %+v", segments, got, want)
			}
		}
		segments++
		return nil
	})
}

func TestRoundTrip(t *testing.T) {
	sizes := []int{0, 3000, 1}
	var models []ingest.WholeModel
	for _, n := range sizes {
		models = append(models, whole(n))
	}
	store, before := &storetest.Memory{}, time.Now()
	_, frames := described(t, store, models...)
	for i, f := range frames {
		m := models[i]
		tensors, segments, err := read(t.Context(), store, f, &m)
		if err != nil || tensors != sizes[i] || segments != sizes[i] {
			t.Errorf("%d tensors and %d segments of %d: %v", tensors, segments, sizes[i], err)
		}
		r, err := describe.Open(t.Context(), store, f)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if f := r.Files[0]; string(f.Path) != m.Files[0].Path || !f.Modified.Equal(m.Files[0].Modified) ||
			r.Names[0].Name != "m" || r.Names[0].Files[0].Path != "sub\xff/m.gguf" ||
			string(r.Metadata) != `{"a":"<b>"}` || r.Details.License != "mit" ||
			r.Ingested.Before(before.Truncate(time.Second)) {
			t.Errorf("head %+v", r.Head)
		}
	}
}

// stub is a store with one description of any content.
type stub struct {
	storetest.Memory
	content []byte
}

func (s *stub) ReadDescription(_ context.Context, _ ingest.Description, offset int64, into []byte) error {
	copy(into, s.content[offset:])
	return nil
}

// TestDamage changes and cuts a file at each of many places. Its digest tells. Without it, too,
// none panics.
func TestDamage(t *testing.T) {
	store := &storetest.Memory{}
	d, _ := described(t, store, whole(5), whole(5))
	content := make([]byte, d.Bytes)
	if err := store.ReadDescription(t.Context(), d, 0, content); err != nil {
		t.Fatal(err)
	}
	check := func(what string, content []byte) {
		t.Helper()
		changed := d
		changed.Bytes = int64(len(content))
		store := &stub{content: content}
		if _, err := describe.Frames(t.Context(), store, changed); !errors.Is(err, describe.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
		changed.Content = ingest.Sum(content)
		frames, err := describe.Frames(t.Context(), store, changed)
		for _, f := range frames {
			if err == nil {
				_, _, err = read(t.Context(), store, f, nil)
			}
		}
		if err != nil && !errors.Is(err, describe.ErrDamaged) && !errors.Is(err, describe.ErrVersion) {
			t.Errorf("%s, with another name: %v", what, err)
		}
	}
	for at := range len(content) {
		changed := bytes.Clone(content)
		changed[at] ^= 1 << (at % 8)
		check(fmt.Sprintf("byte %d changed", at), changed)
	}
	for size := range len(content) {
		check(fmt.Sprintf("cut to %d bytes", size), content[:size])
	}
	check("bytes after it", append(bytes.Clone(content), 0))
}

// TestMemory describes and reads 100,000 segments in a bounded memory.
func TestMemory(t *testing.T) {
	store, m := &storetest.Memory{}, whole(100_000)
	d, frames := described(t, store, m)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	most := uint64(0)
	r, err := describe.Open(t.Context(), store, frames[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Tensors(func(int, describe.Tensor) error { return nil }); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := r.Segments(func(describe.Segment) error {
		if n++; n%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			most = max(most, after.HeapAlloc-min(before.HeapAlloc, after.HeapAlloc))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if most > 8<<20 {
		t.Errorf("reading took %d bytes", most)
	}
	t.Logf("%d bytes for 100,000 segments, half of them with payloads of 100 bytes; %d of memory", d.Bytes, most)
}
