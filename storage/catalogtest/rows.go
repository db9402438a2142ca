package catalogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
)

// payload returns bytes that depend on seed, and their digest.
func payload(seed byte, size int64) ([]byte, ingest.Digest) {
	p := bytes.Repeat([]byte{seed, seed + 1, 0, 0xff, '\''}, int(size)/5+1)[:size]
	return p, ingest.Sum(p)
}

// withPayloads returns b with payloads in its rows: bytes and no addresses.
func withPayloads(b *ingest.Batch) *ingest.Batch {
	filled := *b
	filled.InRows = true
	filled.Segments = append([]ingest.NewSegment(nil), b.Segments...)
	for i := range filled.Segments {
		s := &filled.Segments[i]
		seed := s.Digest[0]
		s.Payload, s.Digest = payload(seed, s.Bytes)
		s.Address = ingest.Address{Bytes: s.Bytes}
	}
	return &filled
}

// fillRows is fill with payloads in the rows.
func (r *run) fillRows(w work) *ingest.Entry {
	r.Helper()
	e := r.begin(w)
	for i, s := range w.sources {
		for _, b := range s.batches(e, i, 5, 0) {
			must(r.T, r.Record(r.Context(), r.lease, withPayloads(b)))
		}
	}
	return e
}

// payload reads the payload of a segment from its row.
func (r *run) payload(segment ingest.StoredSegment) []byte {
	r.Helper()
	into := make([]byte, segment.Bytes)
	must(r.T, r.ReadPayload(r.Context(), segment, into))
	return into
}

var rowTests = []test{
	{name: "payloads come back unchanged", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		e := r.fillRows(w)
		for _, f := range e.Files {
			for segment, err := range r.Segments(t.Context(), f.ID, 0) {
				must(t, err)
				want(t, "in the row", segment.InRow, true)
				want(t, "digest", ingest.Sum(r.payload(segment)), segment.Digest)
			}
		}
		_, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		must(t, err)
		r.check()
	}},
	{name: "a payload that does not fit its buffer is not read", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		segment := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0]
		for _, size := range []int{0, 1, int(segment.Bytes) - 1, int(segment.Bytes) + 1, mib} {
			buffer := make([]byte, size)
			var wrong *ingest.SizeError
			if err := r.ReadPayload(t.Context(), segment, buffer); !errors.As(err, &wrong) ||
				*wrong != (ingest.SizeError{Where: fmt.Sprintf("row %d of FileSegments", segment.RowID),
					Want: int64(size), Got: segment.Bytes}) {
				t.Fatalf("into %d bytes: %v", size, err)
			}
			want(t, "buffer untouched", bytes.Count(buffer, []byte{0}), size)
		}
	}},
	{name: "many read payloads at once", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", gguf("/m.gguf", "m")))
		segments := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))
		group, ctx := errgroup.WithContext(t.Context())
		for range 6 {
			group.Go(func() error {
				for _, segment := range segments {
					buffer := make([]byte, segment.Bytes)
					if err := r.ReadPayload(ctx, segment, buffer); err != nil {
						return err
					}
					if got := ingest.Sum(buffer); got != segment.Digest {
						return fmt.Errorf("payload at %d has digest %s, want %s", segment.Offset, got, segment.Digest)
					}
				}
				return nil
			})
		}
		must(t, group.Wait())
	}},
	{name: "a read can be cancelled", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		segment := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0]
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantIs(t, r.ReadPayload(ctx, segment, make([]byte, segment.Bytes)), context.Canceled)
	}},
	{name: "payloads in rows need no store", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template)))
		for _, f := range e.Files {
			for _, segment := range list(t, r.Segments(t.Context(), f.ID, 0)) {
				needed, err := r.Referenced(t.Context(), []ingest.Digest{segment.Digest})
				must(t, err)
				want(t, "needed", len(needed[segment.Digest]), 0)
			}
		}
	}},
	{name: "a repeated batch changes nothing", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.fillRows(w)
		before := r.snapshot(e.ID)
		for _, b := range w.sources[0].batches(e, 0, 5, 0) {
			must(t, r.Record(t.Context(), r.lease, withPayloads(b)))
			want(t, "counts", r.snapshot(e.ID), before)
		}
		r.check()
	}},
	{name: "a payload of the wrong size is refused with its batch", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.begin(w)
		b := withPayloads(w.sources[0].batches(e, 0, 3, 0)[0])
		b.Segments[2].Payload = b.Segments[2].Payload[1:]
		wantError(t, r.Record(t.Context(), r.lease, b), "a short payload")
		b.Segments[2].Payload = nil
		wantError(t, r.Record(t.Context(), r.lease, b), "no payload")
		want(t, "counts", r.snapshot(e.ID), [4]int64{})
	}},
	{name: "a payload is replaced only by one with its digest", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", gguf("/m.gguf", "m")))
		for i, segment := range list(t, r.Segments(t.Context(), e.Files[0].ID, 0)) {
			right := r.payload(segment)
			wantError(t, r.ReplacePayload(t.Context(), r.lease, segment, append([]byte{right[0] ^ 1}, right[1:]...)),
				"another payload")
			for range 2 {
				must(t, r.ReplacePayload(t.Context(), r.lease, segment, right))
			}
			want(t, "segment", list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[i], withoutAddress(segment))
		}
		r.check()
	}},
	{name: "a payload moves out of its row and back in", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		segment := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0]
		right := r.payload(segment)
		to := encodedAddress(segment.Digest, segment.Bytes)
		must(t, r.Relocate(t.Context(), r.lease, segment, to))
		moved := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0]
		want(t, "in the row", moved.InRow, false)
		want(t, "address", moved.Address, to)
		want(t, "saved", r.saves(e.ID) > 0, true)
		wantIs(t, r.ReadPayload(t.Context(), moved, make([]byte, segment.Bytes)), ingest.ErrNoPayload)
		needed, err := r.Referenced(t.Context(), []ingest.Digest{segment.Digest})
		must(t, err)
		want(t, "needed", strings.Join(needed[segment.Digest], "|"), moved.Address.Name)
		must(t, r.ReplacePayload(t.Context(), r.lease, moved, right))
		want(t, "in the row", list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0].InRow, true)
		want(t, "saved", r.saves(e.ID), 0)
		r.check()
	}},
	{name: "a deleted segment is not found", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		segment := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0]
		right := r.payload(segment)
		must(t, r.Abandon(t.Context(), r.lease, e.ID))
		wantIs(t, r.ReadPayload(t.Context(), segment, make([]byte, segment.Bytes)), ingest.ErrNotFound)
		wantIs(t, r.ReplacePayload(t.Context(), r.lease, segment, right), ingest.ErrNotFound)
	}},
	{name: "an attached file keeps its payload", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		from := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		_, err := r.Complete(t.Context(), r.lease, from.ID, 0)
		must(t, err)
		to := r.fillRows(newWork("n", small("/l", "license", ingest.License)))
		_, err = r.Complete(t.Context(), r.lease, to.ID, 0)
		must(t, err)
		must(t, r.Attach(t.Context(), r.lease, to.ID, ingest.Alias{Name: "x"},
			[]ingest.NamedFile{{ID: from.Files[0].ID}}))
		copied := list(t, r.Segments(t.Context(), r.summary(to.ID).Files[1].ID, 0))[0]
		want(t, "digest", ingest.Sum(r.payload(copied)), copied.Digest)
		r.check()
	}},
}

// withoutAddress returns a segment as it is after its payload was put into its row.
func withoutAddress(p ingest.StoredSegment) ingest.StoredSegment {
	p.Address, p.InRow = ingest.Address{}, true
	return p
}
