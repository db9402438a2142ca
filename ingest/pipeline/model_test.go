package pipeline_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/storage/storetest"
)

// TestRoundTrip: every kind of file is divided as planned and exported byte for byte.
func TestRoundTrip(t *testing.T) {
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	sources := map[string]ingest.Source{
		"mixed":          file(create(t, in("mixed.gguf"), mixed())),
		"model":          file(model(t, in("model.gguf"), 5*mib, 1)),
		"split":          splits(t, folder),
		"opaque":         file(blob(t, in("opaque"), 3*mib+5, 2)),
		"empty":          file(blob(t, in("empty"), 0, 0)),
		"one byte":       file(blob(t, in("byte"), 1, 3)),
		"one segment":    file(blob(t, in("segment"), mib, 4)),
		"two segments":   file(blob(t, in("segments"), 2*mib, 5)),
		"equal segments": file(write(t, in("equal"), make([]byte, 5*mib))),
	}
	eachHome(t, func(t *testing.T, h *home) {
		var all []ingest.Source
		for _, source := range sources {
			all = append(all, source)
		}
		report := h.ingest(t, all...)
		if len(report.Ingested) != len(sources) || len(report.Skipped) != 0 {
			t.Errorf("ingested %v, skipped %v", report.Ingested, report.Skipped)
		}
		h.check(t)
		h.checkExports(t)
		for name, source := range sources {
			t.Run(name, func(t *testing.T) { checkPlanned(t, h, source) })
		}
		checkAllSkipped(t, h, all)
	})
}

// checkPlanned compares the rows of a source with its plan.
func checkPlanned(t *testing.T, h *home, source ingest.Source) {
	parsed, err := format.Parser{}.Parse(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	m := stored(t, h, source.Files[0].Path)
	if m.Name != parsed.Name || m.Type != parsed.Type || m.Architecture != parsed.Architecture ||
		m.Parameters != parsed.Parameters() {
		t.Errorf("model %s %s %s of %d parameters", m.Name, m.Type, m.Architecture, m.Parameters)
	}
	var layers []ingest.Layer
	for l, err := range h.catalog.Layers(t.Context(), m.ID) {
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, l)
	}
	for i := range parsed.Files {
		f := &parsed.Files[i]
		plan, err := ingest.NewPlan(f, small.SegmentBytes)
		if err != nil {
			t.Fatal(err)
		}
		var want, got []ingest.Segment
		for s := range plan.All() {
			s.First, s.Count = 0, 0 // StoredSegment does not have them
			want = append(want, s)
		}
		for _, p := range h.segments(t, m.Files[i]) {
			tensor := slices.IndexFunc(f.Tensors, func(t ingest.Tensor) bool {
				return p.Layer != 0 && t.Name == p.Tensor
			})
			got = append(got, ingest.Segment{Tensor: tensor, Ordinal: p.Ordinal, Offset: p.Offset, Bytes: p.Bytes})
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: recorded %v, planned %v", f.Path, got, want)
		}
		for j, tensor := range f.Tensors {
			l := layers[j]
			if l.Name != tensor.Name || l.Type != tensor.Type || !slices.Equal(l.Shape, tensor.Shape) ||
				l.Elements != tensor.Elements || l.Offset != tensor.Offset || l.Bytes != tensor.Bytes {
				t.Errorf("%s: tensor %+v is recorded as %+v", f.Path, tensor, l)
			}
		}
		layers = layers[len(f.Tensors):]
	}
}

// stored returns the model of the file at path.
func stored(t *testing.T, h *home, path string) ingest.Summary {
	t.Helper()
	for _, m := range h.models(t) {
		for _, f := range m.Files {
			if f.Path == path {
				return m
			}
		}
	}
	t.Fatalf("no model was read from %s", path)
	return ingest.Summary{}
}

// checkAllSkipped runs again over stored sources: all are skipped, none is read.
func checkAllSkipped(t *testing.T, h *home, sources []ingest.Source) {
	t.Helper()
	before := h.state(t)
	report := h.ingest(t, sources...)
	if report.BytesRead != 0 || len(report.Ingested) != 0 || len(report.Skipped) != len(sources) {
		t.Errorf("the second run read %d bytes, ingested %v, skipped %v", report.BytesRead, report.Ingested,
			report.Skipped)
	}
	checkState(t, h.state(t), before)
}

// TestReport: report and progress count the bytes of the files.
func TestReport(t *testing.T) {
	folder := t.TempDir()
	one := blob(t, filepath.Join(folder, "one"), 2*mib+1, 1)
	two := write(t, filepath.Join(folder, "two"), slices.Concat(noise(mib, 1), noise(mib, 2)))
	h := storeHome(t)
	options := small
	options.Jobs = 1
	in := h.ingester(options)
	report, err := run(t, t.Context(), in, file(one), file(two))
	if err != nil {
		t.Fatal(err)
	}
	if report.BytesRead != 4*mib+1 || report.BytesStored != 3*mib+1 || report.BytesShared != mib || report.Continued ||
		report.Elapsed <= 0 {
		t.Errorf("report %+v", report)
	}
	p := in.Progress
	if p.BytesTotal.Load() != 4*mib+1 || p.BytesRecorded.Load() != 4*mib+1 || p.BytesResumed.Load() != 0 ||
		p.BytesRead.Load() != 4*mib+1 ||
		p.FilesTotal.Load() != 2 || p.FilesDone.Load() != 2 || p.Current() != "" {
		t.Errorf("progress %+v, at %q", p, p.Current())
	}
	job, err := h.catalog.Job(t.Context(), report.Job)
	if err != nil || job.State != ingest.JobComplete || job.Live || len(job.Problems) != 0 {
		t.Errorf("job %+v, %v", job, err)
	}
}

// TestEqualPayloadsWait: of two equal payloads in flight, the second waits for the first.
func TestEqualPayloadsWait(t *testing.T) {
	h := storeHome(t)
	folder := t.TempDir()
	a := file(write(t, filepath.Join(folder, "a"), make([]byte, 6*mib)))
	b := file(write(t, filepath.Join(folder, "b"), make([]byte, 5*mib)))
	in := h.ingester(small)
	var mu sync.Mutex
	putting := map[ingest.Digest]bool{}
	in.Store = &storetest.Faulty{Store: h.memory, Hook: func(_ context.Context, call storetest.Call) error {
		if call.Verb != "Put" {
			return nil
		}
		mu.Lock()
		if !call.Done && putting[call.Digest] {
			t.Errorf("%s is put twice at once", call.Digest.Short())
		}
		putting[call.Digest] = !call.Done
		mu.Unlock()
		time.Sleep(2 * time.Millisecond)
		return nil
	}}
	report, err := run(t, t.Context(), in, a, b)
	if err != nil || len(report.Ingested) != 2 || h.memory.Counts().Written != 1 {
		t.Errorf("%+v, %v; %d payloads were written", report, err, h.memory.Counts().Written)
	}
}
