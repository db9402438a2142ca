package catalogtest

import (
	"bytes"
	"context"
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

// withPayloads is b as RecordPayloads wants it: real bytes, and no address.
func withPayloads(b *ingest.Batch) *ingest.Batch {
	filled := *b
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
			must(r.T, r.rows().RecordPayloads(r.Context(), r.lease, withPayloads(b)))
		}
	}
	return e
}

func (r *run) rows() ingest.RowStore {
	r.Helper()
	rows, ok := r.Catalog.(ingest.RowStore)
	if !ok {
		r.Fatal("the catalogue keeps no payloads in its rows")
	}
	return rows
}

var rowTests = []test{
	{name: "payloads come back as they went in", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		e := r.fillRows(w)
		var buffer []byte
		for _, f := range e.Files {
			for piece, err := range r.Segments(t.Context(), f.ID) {
				must(t, err)
				want(t, "in the row", piece.InRow, true)
				buffer, err = r.rows().ReadPayload(t.Context(), piece, buffer)
				must(t, err)
				want(t, "bytes", int64(len(buffer)), piece.Bytes)
				want(t, "digest", ingest.Sum(buffer), piece.Digest)
			}
		}
		_, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		must(t, err)
		r.check()
	}},
	{name: "a buffer that is large enough is used", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		piece := list(t, r.Segments(t.Context(), e.Files[0].ID))[0]
		buffer := make([]byte, 3, 100)
		got, err := r.rows().ReadPayload(t.Context(), piece, buffer)
		must(t, err)
		want(t, "same memory", &got[0] == &buffer[0], true)
	}},
	{name: "many read payloads at once", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", gguf("/m.gguf", "m")))
		pieces := list(t, r.Segments(t.Context(), e.Files[0].ID))
		group, ctx := errgroup.WithContext(t.Context())
		for range 6 {
			group.Go(func() error {
				var buffer []byte
				for _, piece := range pieces {
					var err error
					if buffer, err = r.rows().ReadPayload(ctx, piece, buffer); err != nil {
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
		piece := list(t, r.Segments(t.Context(), e.Files[0].ID))[0]
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := r.rows().ReadPayload(ctx, piece, nil)
		wantIs(t, err, context.Canceled)
	}},
	{name: "no row needs a store", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template)))
		for _, f := range e.Files {
			for _, piece := range list(t, r.Segments(t.Context(), f.ID)) {
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
			must(t, r.rows().RecordPayloads(t.Context(), r.lease, withPayloads(b)))
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
		wantError(t, r.rows().RecordPayloads(t.Context(), r.lease, b), "a short payload")
		b.Segments[2].Payload = nil
		wantError(t, r.rows().RecordPayloads(t.Context(), r.lease, b), "no payload")
		want(t, "counts", r.snapshot(e.ID), [4]int64{})
	}},
	{name: "a damaged payload is replaced by the right one only", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", gguf("/m.gguf", "m")))
		for i, piece := range list(t, r.Segments(t.Context(), e.Files[0].ID)) {
			right, err := r.rows().ReadPayload(t.Context(), piece, nil)
			must(t, err)
			wantError(t, r.rows().ReplacePayload(t.Context(), piece, append([]byte{right[0] ^ 1}, right[1:]...)), "another payload")
			for range 2 {
				must(t, r.rows().ReplacePayload(t.Context(), piece, right))
			}
			want(t, "piece", list(t, r.Segments(t.Context(), e.Files[0].ID))[i], withoutAddress(piece))
		}
		r.check()
	}},
	{name: "a payload moves out of its row and back in", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		piece := list(t, r.Segments(t.Context(), e.Files[0].ID))[0]
		right, err := r.rows().ReadPayload(t.Context(), piece, nil)
		must(t, err)
		to := address(piece.Digest, piece.Bytes)
		to.Modified = to.Modified.Truncate(time.Second) // as blobs have it, and every column holds it whole
		must(t, r.Relocate(t.Context(), piece, to))
		moved := list(t, r.Segments(t.Context(), e.Files[0].ID))[0]
		want(t, "in the row", moved.InRow, false)
		want(t, "address", moved.Address, to)
		_, err = r.rows().ReadPayload(t.Context(), moved, nil)
		wantIs(t, err, ingest.ErrNoPayload)
		needed, err := r.Referenced(t.Context(), []ingest.Digest{piece.Digest})
		must(t, err)
		want(t, "needed", strings.Join(needed[piece.Digest], "|"), moved.Address.Name)
		must(t, r.rows().ReplacePayload(t.Context(), moved, right))
		want(t, "in the row", list(t, r.Segments(t.Context(), e.Files[0].ID))[0].InRow, true)
		r.check()
	}},
	{name: "a piece that is no more is not found", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.fillRows(newWork("m", small("/t", "template", ingest.Template)))
		piece := list(t, r.Segments(t.Context(), e.Files[0].ID))[0]
		right, err := r.rows().ReadPayload(t.Context(), piece, nil)
		must(t, err)
		must(t, r.Abandon(t.Context(), r.lease, e.ID))
		_, err = r.rows().ReadPayload(t.Context(), piece, nil)
		wantIs(t, err, ingest.ErrNotFound)
		wantIs(t, r.rows().ReplacePayload(t.Context(), piece, right), ingest.ErrNotFound)
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
		copied := list(t, r.Segments(t.Context(), r.summary(to.ID).Files[1].ID))[0]
		got, err := r.rows().ReadPayload(t.Context(), copied, nil)
		must(t, err)
		want(t, "digest", ingest.Sum(got), copied.Digest)
		r.check()
	}},
}

// withoutAddress is a piece whose payload was put into its row.
func withoutAddress(p ingest.StoredSegment) ingest.StoredSegment {
	p.Address, p.InRow = ingest.Address{}, true
	return p
}
