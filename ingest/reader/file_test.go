package reader

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hartonomous/ingest/ingest"
)

// corruptions change a payload.
var corruptions = map[string]func([]byte) []byte{
	"damaged":   func(p []byte) []byte { p[len(p)/2] ^= 1; return p },
	"truncated": func(p []byte) []byte { return p[:len(p)-1] },
	"longer":    func(p []byte) []byte { return append(p, 0) },
	"missing":   func([]byte) []byte { return nil },
}

func TestWriteTo(t *testing.T) {
	for _, size := range []int{0, 1, 4 * kib, 100*kib + 3} {
		w := newFake(t, size)
		r := w.reader(t)
		var out bytes.Buffer
		n, err := r.Open(t.Context(), w.file).WriteTo(&out)
		if err != nil || n != int64(size) || !bytes.Equal(out.Bytes(), w.content) ||
			r.Progress.BytesRecorded.Load() != int64(size) {
			t.Errorf("%d bytes: wrote %d of %d, %v", size, n, out.Len(), err)
		}
	}
}

// WriteTo stops before it writes any byte of a damaged segment.
func TestWriteToDamaged(t *testing.T) {
	for name, corrupt := range corruptions {
		for _, i := range []int{0, 1, 6, 7} {
			w := newFake(t, 50*kib)
			w.corrupt(i, corrupt)
			var out bytes.Buffer
			n, err := w.reader(t).Open(t.Context(), w.file).WriteTo(&out)
			if err == nil || !strings.Contains(err.Error(), w.rows[i].Place()) ||
				errors.Is(err, ingest.ErrNoPayload) != (name == "missing") {
				t.Errorf("%s %d: %v", name, i, err)
			}
			if n != w.rows[i].Offset || !bytes.Equal(out.Bytes(), w.content[:n]) {
				t.Errorf("%s %d: %d bytes were written, the segment starts at %d", name, i, n, w.rows[i].Offset)
			}
		}
	}
}

func TestWriteToOtherFile(t *testing.T) {
	w := newFake(t, 9*kib)
	w.file.Digest[0]++
	var mismatch *ingest.MismatchError
	if _, err := w.reader(t).Open(t.Context(), w.file).WriteTo(io.Discard); !errors.As(err, &mismatch) ||
		mismatch.Want != w.file.Digest {
		t.Errorf("a file with intact segments and another digest: %v", err)
	}
	w.file.Digest = ingest.Digest{}
	if _, err := w.reader(t).Open(t.Context(), w.file).WriteTo(io.Discard); err == nil ||
		!strings.Contains(err.Error(), "not complete") {
		t.Errorf("a file that is not complete: %v", err)
	}
}

// A stopped reader returns the context's error and reports no damage.
func TestWriteToStopped(t *testing.T) {
	w := newFake(t, 90*kib)
	ctx, cancel := context.WithCancel(t.Context())
	w.get = func(ingest.Digest) error { cancel(); return ctx.Err() }
	if _, err := w.reader(t).Open(ctx, w.file).WriteTo(io.Discard); !errors.Is(err, context.Canceled) ||
		strings.Contains(err.Error(), "damage") {
		t.Errorf("stopped: %v", err)
	}
	full := errors.New("disk full")
	if _, err := newFake(t, 90*kib).reader(t).Open(t.Context(),
		newFake(t, 90*kib).file).WriteTo(iotest.TruncateWriter(failing{full}, 0)); err != nil {
		t.Errorf("a writer that discards everything: %v", err)
	}
	if _, err := newFake(t, 90*kib).reader(t).Open(t.Context(),
		newFake(t, 90*kib).file).WriteTo(failing{full}); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestWriteRange(t *testing.T) {
	w := newFake(t, 60*kib)
	f := w.reader(t).Open(t.Context(), w.file)
	for range 300 {
		from := rand.Int64N(w.file.Bytes + 1)
		to := from + rand.Int64N(w.file.Bytes-from+1)
		var out bytes.Buffer
		n, err := f.WriteRange(&out, from, to)
		if err != nil || n != to-from || !bytes.Equal(out.Bytes(), w.content[from:to]) {
			t.Fatalf("bytes %d to %d: %d of %d, %v", from, to, n, to-from, err)
		}
	}
	// Only the segments that contain the bytes are read.
	before := w.got
	s := w.rows[5]
	if _, err := f.WriteRange(io.Discard, s.Offset, s.Offset+s.Bytes); err != nil || w.got != before+1 {
		t.Errorf("one segment: %d were read, %v", w.got-before, err)
	}
	for _, bad := range [][2]int64{{-1, 3}, {3, 2}, {0, w.file.Bytes + 1}, {1 << 62, 1 << 62}} {
		if _, err := f.WriteRange(io.Discard, bad[0], bad[1]); err == nil {
			t.Errorf("bytes %v were written", bad)
		}
	}
}

// Rows can claim anything. They never make the reader exceed its pool, and inconsistent rows are
// errors.
func TestHostileRows(t *testing.T) {
	for name, change := range map[string]func(*fake){
		"a huge segment":       func(w *fake) { w.rows[4].Bytes = 1 << 60 },
		"a negative segment":   func(w *fake) { w.rows[4].Bytes = -1 },
		"an empty segment":     func(w *fake) { w.rows[4].Bytes = 0 },
		"another size stored":  func(w *fake) { w.rows[4].Address.Bytes++ },
		"a gap":                func(w *fake) { w.rows = append(w.rows[:4:4], w.rows[5:]...) },
		"the end is missing":   func(w *fake) { w.rows = w.rows[:len(w.rows)-1] },
		"the start is missing": func(w *fake) { w.rows = w.rows[1:] },
		"an overlap":           func(w *fake) { w.rows[4].Offset -= 3 },
		"huge segments":        func(w *fake) { w.file.SegmentBytes = 1 << 50 },
		"no segment size":      func(w *fake) { w.file.SegmentBytes = 0 },
		"more than the pool":   func(w *fake) { w.file.SegmentBytes = 32 << 20 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newFake(t, 40*kib)
			change(w)
			r := w.reader(t)
			var out bytes.Buffer
			n, err := r.Open(t.Context(), w.file).WriteTo(&out)
			if err == nil || n > int64(len(w.content)) || !bytes.Equal(out.Bytes(), w.content[:n]) {
				t.Errorf("%d bytes were written, %v", n, err)
			}
			damages := 0
			v := &Verifier{Reader: r}
			if err := v.Verify(t.Context(), w.file, func(Damage) { damages++ }); err == nil && damages == 0 {
				t.Error("verify found nothing")
			}
		})
	}
}
