package catalogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
)

// payload makes bytes up, of which digest is the digest.
func payload(seed byte, size int64) ([]byte, ingest.Digest) {
	p := bytes.Repeat([]byte{seed, seed + 1, 0, 0xff, '\''}, int(size)/5+1)[:size]
	return p, ingest.Sum(p)
}

// withPayloads is b with its payloads in the rows: real bytes, and no address.
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

// fillRows is fill with the payloads in the rows.
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

// payload reads the payload of a segment out of its row.
func (r *run) payload(segment ingest.StoredSegment) []byte {
	r.Helper()
	into := make([]byte, segment.Bytes)
	must(r.T, r.ReadPayload(r.Context(), segment, into))
	return into
}

var rowTests = []test{
	{name: "payloads come back as they went in", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		e := r.fillRows(w)
		for _, f := range e.Files {
			for piece, err := range r.Segments(t.Context(), f.ID, 0) {
				must(t, err)
				want(t, "in the row", piece.InRow, true)
				want(t, "digest", ingest.Sum(r.payload(piece)), piece.Digest)
			}
		}
		_, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		must(t, err)
		r.check()
	}},
	{name: "a payload fits its buffer, or nothing is read", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		piece := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0]
		for _, size := range []int{0, 1, int(piece.Bytes) - 1, int(piece.Bytes) + 1, mib} {
			buffer := make([]byte, size)
			var wrong *ingest.SizeError
			if err := r.ReadPayload(t.Context(), piece, buffer); !errors.As(err, &wrong) ||
				*wrong != (ingest.SizeError{Want: int64(size), Got: piece.Bytes}) {
				t.Fatalf("into %d bytes: %v", size, err)
			}
			want(t, "buffer untouched", bytes.Count(buffer, []byte{0}), size)
		}
	}},
	{name: "many read payloads at once", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", gguf("/m.gguf", "m")))
		pieces := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))
		group, ctx := errgroup.WithContext(t.Context())
		for range 6 {
			group.Go(func() error {
				for _, piece := range pieces {
					buffer := make([]byte, piece.Bytes)
					if err := r.ReadPayload(ctx, piece, buffer); err != nil {
						return err
					}
					if got := ingest.Sum(buffer); got != piece.Digest {
						return fmt.Errorf("payload at %d has digest %s, want %s", piece.Offset, got, piece.Digest)
					}
				}
				return nil
			})
		}
		must(t, group.Wait())
	}},
	{name: "a cancelled read ends", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		piece := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0]
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantIs(t, r.ReadPayload(ctx, piece, make([]byte, piece.Bytes)), context.Canceled)
	}},
	{name: "no row needs a store", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template)))
		for _, f := range e.Files {
			for _, piece := range list(t, r.Segments(t.Context(), f.ID, 0)) {
				needed, err := r.Referenced(t.Context(), []ingest.Digest{piece.Digest})
				must(t, err)
				want(t, "needed", len(needed[piece.Digest]), 0)
			}
		}
	}},
	{name: "a batch again changes nothing", run: func(t *testing.T, db Database) {
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
	{name: "a damaged payload is replaced by the right one only", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", gguf("/m.gguf", "m")))
		for i, piece := range list(t, r.Segments(t.Context(), e.Files[0].ID, 0)) {
			right := r.payload(piece)
			wantError(t, r.ReplacePayload(t.Context(), r.lease, piece, append([]byte{right[0] ^ 1}, right[1:]...)),
				"another payload")
			for range 2 {
				must(t, r.ReplacePayload(t.Context(), r.lease, piece, right))
			}
			want(t, "piece", list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[i], withoutAddress(piece))
		}
		r.check()
	}},
	{name: "a payload moves out of its row and back in", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		piece := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0]
		right := r.payload(piece)
		to := address(piece.Digest, piece.Bytes)
		to.Modified = to.Modified.Truncate(time.Second) // as blobs have it, and every column holds it whole
		must(t, r.Relocate(t.Context(), r.lease, piece, to))
		moved := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0]
		want(t, "in the row", moved.InRow, false)
		want(t, "address", moved.Address, to)
		wantIs(t, r.ReadPayload(t.Context(), moved, make([]byte, piece.Bytes)), ingest.ErrNoPayload)
		needed, err := r.Referenced(t.Context(), []ingest.Digest{piece.Digest})
		must(t, err)
		want(t, "needed", strings.Join(needed[piece.Digest], "|"), moved.Address.Name)
		must(t, r.ReplacePayload(t.Context(), r.lease, moved, right))
		want(t, "in the row", list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0].InRow, true)
		r.check()
	}},
	{name: "a piece that is no more is not found", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		piece := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))[0]
		right := r.payload(piece)
		must(t, r.Abandon(t.Context(), r.lease, e.ID))
		wantIs(t, r.ReadPayload(t.Context(), piece, make([]byte, piece.Bytes)), ingest.ErrNotFound)
		wantIs(t, r.ReplacePayload(t.Context(), r.lease, piece, right), ingest.ErrNotFound)
	}},
	{name: "an attached file brings its payload", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		from := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		_, err := r.Complete(t.Context(), r.lease, from.ID, 0)
		must(t, err)
		to := r.fillRows(newWork("n", small("/l", "license", ingest.License)))
		_, err = r.Complete(t.Context(), r.lease, to.ID, 0)
		must(t, err)
		must(t, r.Attach(t.Context(), r.lease, to.ID, ingest.Alias{Name: "x"}, []ingest.FileID{from.Files[0].ID}))
		copied := list(t, r.Segments(t.Context(), r.summary(to.ID).Files[1].ID, 0))[0]
		want(t, "digest", ingest.Sum(r.payload(copied)), copied.Digest)
		r.check()
	}},
}

// withoutAddress is a piece whose payload was put into its row.
func withoutAddress(p ingest.StoredSegment) ingest.StoredSegment {
	p.Address, p.InRow = ingest.Address{}, true
	return p
}
