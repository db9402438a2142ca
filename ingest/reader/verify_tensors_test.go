package reader

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
)

// newUnfiled returns the segments of newFake as those of a tensor that belongs to no file.
func newUnfiled(t *testing.T) *fake {
	t.Helper()
	w := newFake(t, 50*kib)
	w.file = ingest.StoredFile{Model: 5}
	for i := range w.rows {
		w.rows[i].File, w.rows[i].Offset = 0, 0
	}
	return w
}

// Segments that belong to no file are verified one by one, and those without a digest are counted.
func TestVerifyTensors(t *testing.T) {
	w := newUnfiled(t)
	v := &Verifier{Reader: w.reader(t)}
	if all := w.verify(t, v); len(all) != 0 {
		t.Fatalf("intact: %v", all)
	}
	for name, corrupt := range corruptions {
		w := newUnfiled(t)
		v := &Verifier{Reader: w.reader(t)}
		w.corrupt(4, corrupt)
		checkDamage(t, w.verify(t, v), w.rows[4], name == "missing", false)
		w.rows[1].Digest, w.rows[3].Digest = ingest.Digest{}, ingest.Digest{}
		var all []Damage
		err := v.Verify(t.Context(), w.file, func(d Damage) { all = append(all, d) })
		checkDamage(t, all, w.rows[4], name == "missing", false)
		var lacking *NoDigestError
		if !errors.As(err, &lacking) || *lacking != (NoDigestError{2, int64(len(w.rows))}) {
			t.Errorf("error is %v", err)
		}
	}
	w.rows = nil
	var lacking *NoDigestError
	if err := v.Verify(t.Context(), w.file, nil); !errors.As(err, &lacking) || *lacking != (NoDigestError{}) {
		t.Errorf("error for no segments is %v", err)
	}
}

// A payload that does not fit into the memory is not damaged; the others are verified.
func TestVerifyLargeTensor(t *testing.T) {
	w := newUnfiled(t)
	v := &Verifier{Reader: w.reader(t)}
	w.rows[2].Bytes, w.rows[2].Address.Bytes = 25*kib, 25*kib
	w.rows[3].Bytes = 7 * kib // with the driver's copies
	w.corrupt(4, corruptions["missing"])
	var all []Damage
	err := v.Verify(t.Context(), w.file, func(d Damage) { all = append(all, d) })
	checkDamage(t, all, w.rows[4], true, false)
	var small *buffer.TooSmallError
	if !errors.As(err, &small) || small.Need != 28*kib+buffer.Reserved {
		t.Errorf("error is %v", err)
	}
}

// Attested payloads of any size are read if they were overwritten.
func TestVerifyRewrittenTensors(t *testing.T) {
	w := newUnfiled(t)
	v := &Verifier{Reader: w.reader(t), Attested: true, Writer: w}
	w.attested = true
	if all := w.verify(t, v); len(all) != 0 || w.got != len(w.inRow) {
		t.Fatalf("%d payloads were read, %v", w.got, all)
	}
	w.got = 0
	w.stat[0] = &ingest.RewrittenError{Now: ingest.Address{ETag: "3"}}
	w.corrupt(2, corruptions["missing"])
	checkDamage(t, w.verify(t, v), w.rows[2], true, false)
	if w.got != len(w.rows) || w.replaced[0].ETag != "3" {
		t.Errorf("%d of %d payloads were read, and the new address is %+v", w.got, len(w.rows), w.replaced[0])
	}
}

// While a payload that belongs to no file may be written to its row, the driver's copies are
// reserved, wherever it was read.
func TestEachReservesCopies(t *testing.T) {
	w := newUnfiled(t)
	r := w.reader(t)
	for _, row := range w.rows[:2] {
		w.rows = []ingest.StoredSegment{row}
		err := r.Each(t.Context(), w.file, Selection{Done: func(s ingest.StoredSegment, _ []byte, err error) error {
			free := r.Pool.Limit() - (1+buffer.RowCopies)*s.Bytes
			lease := r.Pool.Lease()
			defer lease.Close()
			if lease.Try(free+1) != nil || lease.Try(free) == nil {
				t.Errorf("in the store: %v: other than %d bytes are free", s.InStore(), free)
			}
			return err
		}})
		if err != nil {
			t.Error(err)
		}
	}
}

// The memory for the driver's copies is free again after each segment that belongs to no file.
func TestEachReleasesCopies(t *testing.T) {
	w := newUnfiled(t)
	w.rows = slices.Repeat(w.rows[:2], 100)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, errors.New("no memory is free any more"))
	defer cancel()
	err := w.reader(t).Each(ctx, w.file, Selection{Done: func(_ ingest.StoredSegment, _ []byte, err error) error {
		return err
	}})
	if err != nil {
		t.Error(err)
	}
}

// Work has only the payload of a file's segment in memory, not the driver's copies.
func TestWorkBeginsWithoutCopies(t *testing.T) {
	w := newFake(t, 50*kib)
	r := w.reader(t)
	for _, row := range w.rows[:2] {
		w.rows = []ingest.StoredSegment{row}
		err := r.Each(t.Context(), w.file, Selection{
			Work: func(context.Context, *ingest.StoredSegment, []byte) error {
				free := r.Pool.Limit() - w.file.SegmentBytes
				lease := r.Pool.Lease()
				defer lease.Close()
				if lease.Try(free+1) != nil || lease.Try(free) == nil {
					t.Errorf("in the store: %v: other than %d bytes are free", row.InStore(), free)
				}
				return nil
			},
			Done: func(_ ingest.StoredSegment, _ []byte, err error) error { return err },
		})
		if err != nil {
			t.Error(err)
		}
	}
}
