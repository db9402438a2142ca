package catalogtest

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

const mib = 1 << 20

// long is the TTL of a lease that does not expire while a test runs; one of short has expired after
// lapse.
const (
	long  = time.Hour
	short = 20 * time.Millisecond
	lapse = 60 * time.Millisecond
)

var changed = time.Date(2026, 5, 4, 3, 2, 1, 123456700, time.UTC)

// stamped is the time of a blob, with the precision of blobs, which each column type keeps.
var stamped = changed.Truncate(time.Second)

// source is a file of which only the digests exist: a catalogue needs nothing else.
type source struct {
	ingest.File
	content string // two sources of the same content have the same digests
}

// gguf returns a file with three tensors out of order, padding, and bytes after the last tensor:
// twelve segments of at most 1 MiB. The content of the tensor whose name begins with shared is the
// same in all files.
func gguf(path, content string) source {
	tensor := func(name, ggml string, offset, bytes, block int64, shape ...uint64) ingest.Tensor {
		n := int64(1)
		for _, d := range shape {
			n *= int64(d)
		}
		return ingest.Tensor{Name: name, Type: ggml, Shape: shape, Elements: n, Offset: offset, Bytes: bytes,
			BlockElements: n * block / bytes, BlockBytes: block}
	}
	return source{content: content, File: ingest.File{
		Path: path, Role: ingest.Weights, Format: "gguf", Bytes: 10*mib + 300, Modified: changed, ExpectedBytes: -1,
		Tensors: []ingest.Tensor{
			tensor("blk.0.attn_q.weight", "Q4_K", 4*mib, 144*14564, 144, 256, 14564),
			tensor("shared.embd", "F16", 4096, 3*mib, 2, 1024, 1536),
			tensor("output_norm.weight", "F32", 8*mib, 4096, 4, 1024),
		}}}
}

// small returns a file of one segment without tensors, such as a template.
func small(path, content string, role ingest.Role) source {
	s := source{content: content, File: ingest.File{Path: path, Role: role, Format: "opaque",
		Bytes: int64(len(content)), Modified: changed, ExpectedBytes: -1}}
	return s
}

func (s source) plan() *ingest.Plan {
	plan, err := ingest.NewPlan(&s.File, ingest.MinSegmentBytes)
	if err != nil {
		panic(err) // the fixture is wrong
	}
	return plan
}

// one reports whether the file has one segment, which then has the file's digest, or none.
func (s source) one() bool { return len(s.Tensors) == 0 && s.Bytes <= ingest.MinSegmentBytes }

func (s source) digest() ingest.Digest {
	if s.one() {
		return ingest.Sum([]byte(s.content))
	}
	return ingest.Sum(fmt.Appendf(nil, "file of %s", s.content))
}

func (s source) segmentDigest(segment ingest.Segment) ingest.Digest {
	switch {
	case s.one():
		return s.digest()
	case segment.Tensor == ingest.NoTensor:
		return ingest.Sum(fmt.Appendf(nil, "%s, other %d", s.content, segment.Ordinal))
	case strings.HasPrefix(s.Tensors[segment.Tensor].Name, "shared"):
		return ingest.Sum(fmt.Appendf(nil, "%s %d", s.Tensors[segment.Tensor].Name, segment.Ordinal))
	}
	return ingest.Sum(fmt.Appendf(nil, "%s, tensor %d, %d", s.content, segment.Tensor, segment.Ordinal))
}

// hashState returns bytes in place of the hash state after to bytes.
func (s source) hashState(to int64) []byte { return fmt.Appendf(nil, "%s after %d", s.content, to) }

func address(d ingest.Digest, bytes int64) ingest.Address {
	return ingest.Address{URI: "dir:" + d.String(), Container: "tensors", Name: d.Short(), ETag: `"0x8D"`, Bytes: bytes,
		Modified: stamped}
}

// segmentAddress is that of the payload of a segment, which is encoded for half of the digests.
func segmentAddress(d ingest.Digest, bytes int64) ingest.Address {
	if d[0]%2 == 0 && bytes > 1 {
		return encodedAddress(d, bytes)
	}
	return address(d, bytes)
}

// encodedAddress is address for an encoded payload.
func encodedAddress(d ingest.Digest, bytes int64) ingest.Address {
	a := address(d, bytes)
	a.Encoding = ingest.Encoding{Codec: "planes", Stored: ingest.Sum(d[:])}
	a.URI, a.Name, a.Bytes = a.URI+"-"+a.Stored.String(), a.Name+".planes", bytes-bytes/3-1
	return a
}

// batches returns batches of at most rows segments that record the file from byte from on.
func (s source) batches(e *ingest.Entry, file, rows int, from int64) []*ingest.Batch {
	var list []*ingest.Batch
	for segment := range s.plan().From(from) {
		if len(list) == 0 || len(list[len(list)-1].Segments) == rows {
			list = append(list, &ingest.Batch{Model: e.ID, File: e.Files[file].ID, From: segment.Offset})
		}
		b, d := list[len(list)-1], s.segmentDigest(segment)
		r := ingest.NewSegment{Segment: segment, Digest: d, Address: segmentAddress(d, segment.Bytes)}
		if segment.Tensor != ingest.NoTensor {
			r.Layer, r.Type = e.Files[file].Layers[segment.Tensor], s.Tensors[segment.Tensor].Type
		}
		b.Segments = append(b.Segments, r)
		b.To, b.HashState = segment.End(), s.hashState(segment.End())
	}
	if len(list) == 0 && from == s.Bytes { // an empty file, or one that lacks only its digest
		list = append(list, &ingest.Batch{Model: e.ID, File: e.Files[file].ID, From: from, To: from,
			HashState: s.hashState(from)})
	}
	if len(list) > 0 {
		list[len(list)-1].Digest = s.digest()
	}
	return list
}

// work is a model that a test ingests.
type work struct {
	model   *ingest.Model
	sources []source
	plans   []*ingest.Plan
}

func newWork(name string, sources ...source) work {
	w := work{sources: sources, model: &ingest.Model{Name: name, URI: "ollama://" + name, Type: "gguf",
		Architecture: "llama",
		Metadata:     []byte(`{"general.name":"\u0000 <x>","n":18446744073709551615}`),
		Details: ingest.Details{ContextLength: 4096, EmbeddingLength: 1024, License: "mit",
			SourceURL: "https://example.org"}}}
	for i := range sources {
		w.model.Files = append(w.model.Files, sources[i].File)
		w.plans = append(w.plans, sources[i].plan())
	}
	return w
}

// run is an open job of a catalogue.
type run struct {
	*testing.T
	ingest.Catalog
	lease ingest.Lease
}

func holder(process int) ingest.Holder {
	return ingest.Holder{Host: "host", Process: process, Started: 7}
}

func jobRequest(source string, process int) ingest.JobRequest {
	return ingest.JobRequest{Pipeline: "models", Source: source, Paths: []string{source}, Holder: holder(process),
		TTL: long}
}

// start opens a job for source in c.
func start(t *testing.T, c ingest.Catalog, source string) *run {
	t.Helper()
	lease, err := c.Open(t.Context(), jobRequest(source, 1))
	must(t, err)
	return &run{t, c, lease}
}

func (r *run) begin(w work) *ingest.Entry {
	r.Helper()
	e, err := r.Begin(r.Context(), r.lease, w.model, w.plans)
	must(r.T, err)
	return e
}

// record records a file of w to its end.
func (r *run) record(w work, e *ingest.Entry, file int) {
	r.Helper()
	for _, b := range w.sources[file].batches(e, file, 5, 0) {
		must(r.T, r.Record(r.Context(), r.lease, b))
	}
}

// fill begins w and records all its files to their ends.
func (r *run) fill(w work) *ingest.Entry {
	r.Helper()
	e := r.begin(w)
	for i := range w.sources {
		r.record(w, e, i)
	}
	return e
}

// take ingests w and returns the ID of its model.
func (r *run) take(w work) ingest.ModelID {
	r.Helper()
	e := r.fill(w)
	id, err := r.Complete(r.Context(), r.lease, e.ID, 0)
	must(r.T, err)
	return id
}

func (r *run) summary(id ingest.ModelID) ingest.Summary {
	r.Helper()
	s, err := r.Model(r.Context(), id)
	must(r.T, err)
	return s
}

// check calls Check and fails the test on its error.
func (r *run) check() {
	r.Helper()
	must(r.T, Check(r.Context(), r.Catalog, nil))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantIs(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error is %v, want %v", err, target)
	}
}

func wantError(t *testing.T, err error, what string) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s was accepted", what)
	}
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
}

// list collects a sequence.
func list[T any](t *testing.T, items iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for item, err := range items {
		must(t, err)
		all = append(all, item)
	}
	return all
}

// fails returns the error that a sequence ends with.
func fails[T any](items iter.Seq2[T, error]) error {
	for _, err := range items {
		if err != nil {
			return err
		}
	}
	return nil
}

func in(folder, name string) string { return filepath.Join(string(filepath.Separator), folder, name) }
