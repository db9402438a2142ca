package reader

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
)

// NoDigestError says how many segments of a model have no digest, so that they cannot be verified.
type NoDigestError struct{ Without, Segments int64 }

func (e *NoDigestError) Error() string {
	if e.Without == e.Segments {
		return "another program wrote it, and no digest is recorded"
	}
	return fmt.Sprintf("another program wrote it, and no digest is recorded for %d of its %d segments", e.Without,
		e.Segments)
}

// verifyTensors is Verify for tensors that belong to no file. There is no whole file to check. If
// segments lack a digest, or if there are none, the error is a *NoDigestError after all others have
// been checked.
func (v *Verifier) verifyTensors(ctx context.Context, file ingest.StoredFile, found func(Damage)) error {
	p, err := v.pass(file, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	w := &verification{Verifier: v, file: file, found: found, whole: sha256.New()}
	p.fetch, p.reads = w.check, w.reads
	lacking := &NoDigestError{}
	p.want = func(s *ingest.StoredSegment) bool {
		lacking.Segments++
		if s.Digest.IsZero() {
			lacking.Without++
			return false
		}
		if v.Progress != nil {
			v.Progress.BytesTotal.Add(s.Bytes)
		}
		return true
	}
	var large tooLarge
	var rewritten []fetched
	err = p.each(ctx, func(f fetched) error {
		switch {
		case large.add(f):
			return nil
		case f.rewritten != nil && f.buffer == nil: // check did not read it
			rewritten = append(rewritten, f)
			return nil
		}
		return w.visitTensor(ctx, f)
	})
	for _, f := range rewritten { // now that the pass does not use the pool
		if err == nil {
			err = w.reread(ctx, f, &large)
		}
	}
	switch {
	case err != nil:
		return err
	case large.payloads > 0:
		return &large
	case lacking.Without > 0 || lacking.Segments == 0:
		return lacking
	}
	return nil
}

func (w *verification) visitTensor(ctx context.Context, f fetched) error {
	w.at = f.Offset
	return w.visit(ctx, f)
}

// reread reads and checks a payload that was overwritten.
func (w *verification) reread(ctx context.Context, f fetched, large *tooLarge) error {
	if f.err = w.Pool.Check(f.Bytes); large.add(f) {
		return nil
	}
	lease := w.Pool.Lease()
	defer lease.Close()
	size := f.Bytes
	if f.Address.Codec != "" {
		size *= 2
	}
	into, err := lease.Get(ctx, size)
	if err != nil {
		return err
	}
	again := w.read(ctx, f.StoredSegment, into)
	again.buffer, again.rewritten = into, f.rewritten
	return w.visitTensor(ctx, again)
}

// tooLarge is the error for payloads that do not fit into the memory.
type tooLarge struct {
	payloads int
	place    string                // of the one that needs most memory
	most     *buffer.TooSmallError // of that
}

// add adds a payload, and reports whether it does not fit.
func (e *tooLarge) add(f fetched) bool {
	var small *buffer.TooSmallError
	if !errors.As(f.err, &small) {
		return false
	}
	e.payloads++
	if e.most == nil || small.Need > e.most.Need {
		e.place, e.most = f.Place(), small
	}
	return true
}

func (e *tooLarge) Error() string {
	return fmt.Sprintf("payloads that were not verified: %d, such as %s: %v", e.payloads, e.place, e.most)
}

func (e *tooLarge) Unwrap() error { return e.most }
