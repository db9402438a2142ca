package rebuild

import (
	"context"
	"crypto/sha256"
	"encoding"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
)

// The limits of a batch: rows, and bytes of payloads that are in the description.
const (
	batchRows  = 1000
	batchBytes = 4 << 20
)

// recorder records the segments of one model.
type recorder struct {
	*run
	*described
	model   *ingest.Model
	entry   *ingest.Entry
	batch   []describe.Segment // of one file
	bytes   int64              // of the payloads of batch
	at      []int64            // end of what is recorded or in batch, of each file
	next    map[[2]int]int     // ordinal, by the indexes of file and tensor
	found   map[ingest.Digest][]ingest.Address
	missing []string
	lost    int64 // segments whose payload is missing
}

// record records the segments that have no row yet.
func (w *run) record(ctx context.Context, m *described, model *ingest.Model, entry *ingest.Entry) error {
	r := &recorder{run: w, described: m, model: model, entry: entry, at: make([]int64, len(m.Files)),
		next: map[[2]int]int{}}
	for i, f := range m.Files {
		if f.Bytes == 0 && entry.Files[i].Digest.IsZero() {
			if err := r.write(ctx, i, nil); err != nil {
				return err
			}
		}
	}
	d, err := describe.Open(ctx, w.Store, m.frame)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Tensors(func(int, describe.Tensor) error { return nil }); err != nil {
		return err
	}
	if err := d.Segments(func(s describe.Segment) error { return r.add(ctx, s) }); err != nil {
		return err
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	for i, f := range m.Files {
		if r.at[i] != f.Bytes {
			return refuse("its segments end at byte %d of %d of %s", r.at[i], f.Bytes, ingest.Printable(string(f.Path)))
		}
	}
	if r.lost > 0 {
		return refuse("%d of %d payloads are missing: %s", r.lost, m.segments, strings.Join(r.missing, ", "))
	}
	return nil
}

// add adds a segment to the batch.
func (r *recorder) add(ctx context.Context, s describe.Segment) error {
	if s.Offset != r.at[s.File] {
		return refuse("segment at byte %d of %s follows byte %d", s.Offset,
			ingest.Printable(string(r.Files[s.File].Path)), r.at[s.File])
	}
	if err := r.checkTensor(s); err != nil {
		return err
	}
	full := len(r.batch) == batchRows || r.bytes >= batchBytes
	if len(r.batch) > 0 && (full || r.batch[0].File != s.File) {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	r.at[s.File] = s.Offset + s.Bytes
	if s.Offset+s.Bytes <= r.entry.Files[s.File].Recorded {
		return nil
	}
	r.batch, r.bytes = append(r.batch, s), r.bytes+int64(len(s.Payload))
	return nil
}

// checkTensor refuses a segment that is not the next one of its tensor, or not within it.
func (r *recorder) checkTensor(s describe.Segment) error {
	place := [2]int{s.File, s.Tensor}
	next := r.next[place]
	r.next[place]++
	begin, end := int64(0), r.Files[s.File].Bytes
	if s.Tensor != ingest.NoTensor {
		t := r.model.Files[s.File].Tensors[s.Tensor]
		begin, end = t.Offset, t.Offset+t.Bytes
	}
	if s.Ordinal != next || s.Offset < begin || s.Offset+s.Bytes > end {
		return refuse("segment at byte %d of %s is not segment %d of its tensor", s.Offset,
			ingest.Printable(string(r.Files[s.File].Path)), next)
	}
	return nil
}

// flush records the batch, unless a payload of the model is missing.
func (r *recorder) flush(ctx context.Context) error {
	if len(r.batch) == 0 {
		return nil
	}
	batch := r.batch
	r.batch, r.bytes = nil, 0
	segments := make([]ingest.NewSegment, len(batch))
	present := make([]bool, len(batch))
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i, s := range batch {
		group.Go(func() (err error) {
			segments[i] = r.newSegment(s)
			present[i], err = r.place(work, &segments[i], s)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i := range batch {
		if present[i] {
			continue
		}
		var err error
		if present[i], err = r.search(ctx, &segments[i]); err != nil {
			return err
		}
		if present[i] {
			continue
		}
		if r.lost++; len(r.missing) < 3 {
			r.missing = append(r.missing, segments[i].Digest.String())
		}
	}
	if r.lost > 0 {
		return nil
	}
	return r.write(ctx, batch[0].File, segments)
}

func (r *recorder) newSegment(s describe.Segment) ingest.NewSegment {
	n := ingest.NewSegment{Segment: ingest.Segment{Tensor: s.Tensor, Ordinal: s.Ordinal, Offset: s.Offset,
		Bytes: s.Bytes}, Digest: s.Digest}
	if s.Tensor == ingest.NoTensor {
		return n
	}
	t := r.model.Files[s.File].Tensors[s.Tensor]
	n.Layer, n.Type = r.entry.Files[s.File].Layers[s.Tensor], t.Type
	if t.BlockBytes > 0 {
		n.First = (s.Offset - t.Offset) / t.BlockBytes * t.BlockElements
		n.Count = s.Bytes / t.BlockBytes * t.BlockElements
	}
	return n
}

// place sets the payload or the address of a segment. It reports whether the payload is present.
func (r *recorder) place(ctx context.Context, n *ingest.NewSegment, s describe.Segment) (bool, error) {
	if s.Payload != nil {
		if int64(len(s.Payload)) != s.Bytes || ingest.Sum(s.Payload) != s.Digest {
			return false, refuse("the payload of the segment at byte %d of %s is damaged", s.Offset,
				ingest.Printable(string(r.Files[s.File].Path)))
		}
		if s.Bytes <= r.Catalog.SmallPayload() {
			n.Payload = s.Payload
			return true, nil
		}
		var err error
		n.Address, err = r.Store.Put(ctx, ingest.Key{Digest: s.Digest}, s.Payload)
		return err == nil, err
	}
	asDescribed := r.Store.AddressOf(s.Digest, s.StoredBytes, ingest.Encoding{Codec: s.Codec, Stored: s.Stored})
	raw := r.Store.AddressOf(s.Digest, s.Bytes, ingest.Encoding{})
	return r.reuse(ctx, n, []ingest.Address{asDescribed, raw})
}

// reuse sets the first of the addresses that has the payload. It reports whether one has.
func (r *recorder) reuse(ctx context.Context, n *ingest.NewSegment, addresses []ingest.Address) (bool, error) {
	for _, a := range addresses {
		now, present, err := r.Store.Reuse(ctx, n.Digest, a)
		if err != nil || present {
			n.Address = now
			return present, err
		}
	}
	return false, nil
}

// write records segments of a file, which follow those that are recorded.
func (r *recorder) write(ctx context.Context, file int, segments []ingest.NewSegment) error {
	f := r.Files[file]
	batch := &ingest.Batch{Model: r.entry.ID, File: r.entry.Files[file].ID, Segments: segments}
	if n := len(segments); n > 0 {
		batch.From, batch.To = segments[0].Offset, segments[n-1].End()
	}
	if batch.To == f.Bytes {
		batch.Digest = f.Digest
	}
	// Only models needs the state, and it does not continue this model.
	state, err := sha256.New().(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return err
	}
	batch.HashState = state
	if err := r.Catalog.Record(ctx, r.job, batch); err != nil {
		return fmt.Errorf("%s: record bytes %d to %d: %w", ingest.Printable(string(f.Path)), batch.From, batch.To, err)
	}
	return nil
}
