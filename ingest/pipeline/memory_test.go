package pipeline_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/storage/storetest"
)

// TestMinimumBuffers ingests four files at a time with two buffers, and one for an encoder.
func TestMinimumBuffers(t *testing.T) {
	eachHome(t, func(t *testing.T, h *home) {
		folder := t.TempDir()
		var sources []ingest.Source
		for i := range 6 {
			sources = append(sources, file(blob(t, filepath.Join(folder, string(rune('a'+i))), 5*mib, uint64(i))))
		}
		encoded := gguftest.File{Tensors: []gguftest.Tensor{weights("a", 1, 3*mib/2)}}
		sources = append(sources, splits(t, folder), file(create(t, filepath.Join(folder, "encoded"), encoded)))
		options := pipeline.Options{SegmentBytes: mib, MemoryBytes: 47 * mib, Jobs: 4, Workers: 8, Compress: codec.Auto}
		if h.memory == nil {
			options.MemoryBytes -= 2 * mib // three for the copies of the database driver, and no encoder
		}
		in := h.ingester(options)
		var mu sync.Mutex
		buffers := map[uintptr]bool{}
		see := func(payload []byte) {
			mu.Lock()
			defer mu.Unlock()
			if len(payload) == mib { // it fills its buffer, so they have the same address
				buffers[uintptr(unsafe.Pointer(unsafe.SliceData(payload)))] = true
			}
		}
		in.Catalog = &watched{Catalog: h.catalog, see: func(b *ingest.Batch) {
			for _, s := range b.Segments {
				see(s.Payload)
			}
		}}
		if in.Store != nil {
			in.Store = &seenStore{h.memory, see}
		}
		report, err := run(t, t.Context(), in, sources...)
		if err != nil || len(report.Ingested) != len(sources) {
			t.Fatalf("%+v, %v", report, err)
		}
		if len(buffers) == 0 || len(buffers) > 2 {
			t.Errorf("payloads were in %d buffers, want at most two", len(buffers))
		}
		h.check(t)
		h.checkExports(t)
	})
}

// seenStore calls see with each payload before it is put.
type seenStore struct {
	*storetest.Memory
	see func([]byte)
}

func (s *seenStore) Put(ctx context.Context, key ingest.Key, payload []byte) (ingest.Address, error) {
	s.see(payload)
	return s.Memory.Put(ctx, key, payload)
}

// TestManySmallTensors: segments of a few bytes share buffers and reads, and batches keep to
// BatchRows.
func TestManySmallTensors(t *testing.T) {
	f := gguftest.File{}
	for i := range 700 {
		f.Tensors = append(f.Tensors, gguftest.Tensor{Name: string(rune('a'+i%26)) + string(rune('0'+i/26)),
			Type: gguf.TypeF32, Shape: []uint64{uint64(1 + i%9)}})
	}
	f.Tensors = append(f.Tensors, gguftest.Tensor{Name: "large", Type: gguf.TypeF32, Shape: []uint64{600_000}},
		gguftest.Tensor{Name: "last", Shape: []uint64{3}})
	path := create(t, filepath.Join(t.TempDir(), "small.gguf"), f)
	eachHome(t, func(t *testing.T, h *home) {
		options := small
		options.BatchRows = 100
		in := h.ingester(options)
		var batches atomic.Int64
		in.Catalog = &watched{Catalog: h.catalog, see: func(b *ingest.Batch) {
			batches.Add(1)
			if len(b.Segments) > options.BatchRows {
				t.Errorf("a batch of %d rows, want at most %d", len(b.Segments), options.BatchRows)
			}
		}}
		report, err := run(t, t.Context(), in, file(path))
		if err != nil || len(report.Ingested) != 1 || report.BytesRead != fileBytes(t, path) {
			t.Fatalf("%+v, %v", report, err)
		}
		m := onlyModel(t, h)
		if most := m.Segments/int64(options.BatchRows) + 5; batches.Load() > most {
			t.Errorf("%d batches for %d segments, want at most %d", batches.Load(), m.Segments, most)
		}
		h.check(t)
		h.checkExports(t)
		checkPlanned(t, h, file(path))
	})
}

// TestHugeFile ingests a sparse file of 70 GiB with a tensor of 5 GiB in a separate process, and
// measures its memory.
func TestHugeFile(t *testing.T) {
	if os.Getenv("INGEST_TEST_HUGE") != "" {
		hugeFile(t)
		return
	}
	if testing.Short() {
		t.Skip("-short: reading 70 GiB takes minutes")
	}
	test := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHugeFile$", "-test.v", "-test.timeout=90m")
	test.Env = append(os.Environ(), "INGEST_TEST_HUGE=1")
	out, err := test.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

func hugeFile(t *testing.T) {
	const size, memory = 70 << 30, buffer.DefaultMemory
	path := filepath.Join(t.TempDir(), "huge.gguf")
	f := gguftest.File{KVs: []gguftest.KV{{Key: "general.architecture", Value: "llama"}}}
	f.Tensors = append(f.Tensors, gguftest.Tensor{Name: "token_embd.weight", Type: gguf.TypeF16,
		Shape: []uint64{1 << 16, 5 << 15 / 4}})
	for i := range 65 {
		f.Tensors = append(f.Tensors, gguftest.Tensor{Name: "blk." + string(rune('A'+i)), Type: gguf.TypeQ8_0,
			Shape: []uint64{1 << 15, 30_848}})
	}
	if f.Tensors[0].Size() != 5<<30 || f.Size() < size {
		t.Fatalf("the first tensor has %d bytes, the file %d", f.Tensors[0].Size(), f.Size())
	}
	must(t, f.CreateSparse(path))
	debug.SetMemoryLimit(memory * 9 / 10) // as the program does
	h := storeHome(t)
	in := &pipeline.Ingester{Catalog: h.catalog, Store: storetest.Discard{}, Parse: format.Parser{}.Parse,
		Progress: &ingest.Progress{}}
	peak := watchMemory()
	begun := time.Now()
	report, err := in.Run(t.Context(), jobRequest(), ingest.Found{Sources: []ingest.Source{file(path)}})
	most := peak()
	if err != nil || len(report.Ingested) != 1 || report.BytesRead != f.Size() {
		t.Fatalf("%+v, %v", report, err)
	}
	t.Logf("%d bytes in %s, memory at most %.1f MiB of %d", report.BytesRead, time.Since(begun).Round(time.Second),
		float64(most)/mib, memory/mib)
	if most > memory {
		t.Errorf("memory grew to %d bytes, the limit is %d", most, int64(memory))
	}
	m := onlyModel(t, h)
	if m.Files[0].Recorded != f.Size() || m.Tensors != int64(len(f.Tensors)) {
		t.Errorf("model %+v", m)
	}
}

// watchMemory samples the memory that the runtime has from the system. The returned function stops
// it and returns the maximum.
func watchMemory() func() uint64 {
	debug.FreeOSMemory()
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	stop, done := make(chan struct{}), make(chan struct{})
	most := uint64(0)
	go func() {
		defer close(done)
		for {
			metrics.Read(samples)
			most = max(most, samples[0].Value.Uint64()-samples[1].Value.Uint64())
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-done
		return most
	}
}
