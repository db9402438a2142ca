package reader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

func (w *fake) verify(t *testing.T, v *Verifier) []Damage {
	t.Helper()
	var all []Damage
	if err := v.Verify(t.Context(), w.file, func(d Damage) { all = append(all, d) }); err != nil {
		t.Fatal(err)
	}
	return all
}

// All kinds of damage are reported, and repaired only from a file with the right bytes.
func TestVerifyAndRepair(t *testing.T) {
	for name, corrupt := range corruptions {
		w := newFake(t, 50*kib)
		v := &Verifier{Reader: w.reader(t), Writer: w}
		for _, i := range []int{0, 1, 6, 7} {
			w.corrupt(i, corrupt)
			v.Repair = nil
			checkDamage(t, w.verify(t, v), w.rows[i], name == "missing", false)
			wrong := bytes.Clone(w.content)
			wrong[w.rows[i].Offset]++
			for _, source := range [][]byte{wrong, w.content[:w.rows[i].Offset], nil} {
				v.Repair = bytes.NewReader(source)
				all := w.verify(t, v)
				checkDamage(t, all, w.rows[i], name == "missing", false)
				if !strings.Contains(all[0].Reason.Error(), "right bytes") {
					t.Errorf("the reason does not say that the file cannot be used for repair: %v", all[0].Reason)
				}
			}
			v.Repair = bytes.NewReader(w.content)
			checkDamage(t, w.verify(t, v), w.rows[i], name == "missing", true)
			if all := w.verify(t, v); len(all) != 0 {
				t.Fatalf("%s, after repair: %v", name, all)
			}
			if got := w.replaced[w.rows[i].Offset]; w.rows[i].InStore() != (got.ETag == "2") {
				t.Errorf("%s %d: the row has the address %+v", name, i, got)
			}
		}
	}
}

func checkDamage(t *testing.T, all []Damage, s ingest.StoredSegment, missing, repaired bool) {
	t.Helper()
	if len(all) != 1 || all[0].Segment != s || all[0].Missing() != missing || all[0].Repaired != repaired {
		t.Errorf("damage %+v, want segment %+v, missing %v, repaired %v", all, s, missing, repaired)
	} else if text := all[0].Reason.Error(); strings.Count(text, "is damaged") > 1 {
		t.Errorf("the reason says it twice: %s", text)
	}
}

// Verify notices intact segments that are not the file together, and rows that cover too much or
// too little.
func TestVerifyWhole(t *testing.T) {
	w := newFake(t, 30*kib)
	v := &Verifier{Reader: w.reader(t)}
	w.file.Digest[0]++
	var mismatch *ingest.MismatchError
	if all := w.verify(t, v); len(all) != 1 || !errors.As(all[0].Reason, &mismatch) || all[0].Segment.Bytes != 0 {
		t.Errorf("another digest: %+v", all)
	}
	w.file.Digest[0]--
	w.file.Bytes--
	if all := w.verify(t, v); len(all) != 1 || !errors.Is(all[0].Reason, ingest.ErrIncomplete) {
		t.Errorf("a byte too many: %+v", all)
	}
	w.file.Bytes++
	lost := w.rows[2]
	w.rows = append(w.rows[:2:2], w.rows[3:]...)
	w.corrupt(4, corruptions["missing"])
	all := w.verify(t, v)
	if len(all) != 2 || !errors.Is(all[0].Reason, ingest.ErrIncomplete) || all[1].Segment != w.rows[4] {
		t.Errorf("without row %d, and with damage after it: %+v", lost.Ordinal, all)
	}
}

// Compare returns an error if the rows do not cover the file, also at its end.
func TestCompareMissingRows(t *testing.T) {
	w := newFake(t, 20*kib)
	rows := w.rows
	for missing := range rows {
		w.rows = slices.Delete(slices.Clone(rows), missing, missing+1)
		var at *ingest.SourceError
		_, err := Compare(t.Context(), w, w.file, "x", bytes.NewReader(w.content), make([]byte, kib), func(int64) {})
		if !errors.Is(err, ingest.ErrIncomplete) || !errors.As(err, &at) || at.Offset != rows[missing].Offset {
			t.Errorf("without row %d: %v", missing, err)
		}
	}
}

// Attested payloads are not read unless they were overwritten.
func TestVerifyAttested(t *testing.T) {
	w := newFake(t, 50*kib)
	v := &Verifier{Reader: w.reader(t), Attested: true, Writer: w}
	w.attested = true
	inRows := len(w.inRow)
	if all := w.verify(t, v); len(all) != 0 || w.got != inRows {
		t.Errorf("%d payloads were read, want the %d in rows: %+v", w.got, inRows, all)
	}
	now := ingest.Address{URI: "fake:new", ETag: "9", Bytes: w.rows[2].Bytes}
	w.stat[w.rows[2].Offset] = &ingest.RewrittenError{Was: "1", Now: now}
	if all := w.verify(t, v); len(all) != 0 || w.replaced[w.rows[2].Offset] != now {
		t.Errorf("overwritten and intact: %+v, row %+v", all, w.replaced[w.rows[2].Offset])
	}
	w.corrupt(2, corruptions["damaged"])
	checkDamage(t, w.verify(t, v), w.rows[2], false, false)
	delete(w.stat, w.rows[2].Offset)
	w.stat[w.rows[4].Offset] = errors.New("it has another digest")
	checkDamage(t, w.verify(t, v), w.rows[4], false, false) // row 2 is not read, so its damage is not found
	delete(w.stat, w.rows[4].Offset)
	w.corrupt(6, corruptions["missing"])
	checkDamage(t, w.verify(t, v), w.rows[6], true, false)
	w.attested = false
	if all := w.verify(t, v); len(all) != len(w.inStore)+1 {
		t.Errorf("a store that does not attest: %d of %d are reported", len(all), len(w.inStore)+1)
	}
}

// Verify calls Stat for payloads that it reads, too: rows of overwritten payloads get the new
// address.
func TestVerifyReadRewritten(t *testing.T) {
	w := newFake(t, 20*kib)
	now := ingest.Address{URI: "fake:new", ETag: "9"}
	w.stat[w.rows[2].Offset] = &ingest.RewrittenError{Was: "1", Now: now}
	if all := w.verify(t, &Verifier{Reader: w.reader(t), Writer: w}); len(all) != 0 ||
		w.replaced[w.rows[2].Offset] != now {
		t.Errorf("%+v, row %+v", all, w.replaced[w.rows[2].Offset])
	}
	clear(w.replaced)
	if all := w.verify(t, &Verifier{Reader: w.reader(t)}); len(all) != 0 || len(w.replaced) != 0 {
		t.Errorf("without a writer: %+v, rows %+v", all, w.replaced)
	}
}

func TestVerifyServer(t *testing.T) {
	w := newFake(t, 50*kib)
	v := &Verifier{Reader: w.reader(t), Server: true}
	if all := w.verify(t, v); len(all) != 0 || w.got != len(w.inStore) || v.Hashed.Load() == 0 {
		t.Errorf("%d payloads were read, the server hashed %d bytes: %+v", w.got, v.Hashed.Load(), all)
	}
	for name, corrupt := range corruptions {
		w := newFake(t, 50*kib)
		w.corrupt(5, corrupt)
		checkDamage(t, w.verify(t, &Verifier{Reader: w.reader(t), Server: true}), w.rows[5], name == "missing", false)
	}
}

// A verification that cannot finish returns an error, and does not report intact payloads as
// damaged.
func TestVerifyFails(t *testing.T) {
	never := func(d Damage) { t.Errorf("%+v", d) }
	w := newFake(t, 90*kib)
	ctx, cancel := context.WithCancel(t.Context())
	w.get = func(ingest.Digest) error { cancel(); return ctx.Err() }
	if err := (&Verifier{Reader: w.reader(t)}).Verify(ctx, w.file, never); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	w.get = func(ingest.Digest) error { return fmt.Errorf("no line: %w", ingest.ErrUnreachable) }
	if err := (&Verifier{Reader: w.reader(t)}).Verify(t.Context(), w.file, never); !errors.Is(err,
		ingest.ErrUnreachable) {
		t.Errorf("unreachable: %v", err)
	}
	w.get = nil
	w.corrupt(2, corruptions["missing"])
	v := &Verifier{Reader: w.reader(t), Repair: unreadable{}, Writer: w}
	if err := v.Verify(t.Context(), w.file, func(Damage) {}); !errors.Is(err, errUnreadable) {
		t.Errorf("with an unreadable copy: %v", err)
	}
	v = &Verifier{Reader: w.reader(t)}
	v.Store = nil
	if all := w.verify(t, v); len(all) != len(w.inStore)+1 || !strings.Contains(all[0].Reason.Error(), "--store") {
		t.Errorf("without the store: %+v", all)
	}
}

var errUnreadable = errors.New("unreadable")

type unreadable struct{}

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, errUnreadable }

var _ io.ReaderAt = unreadable{}
