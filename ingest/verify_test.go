package ingest_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// change runs a statement on the home's database, as another program could.
func (h *home) change(t *testing.T, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", h.path)
	must(t, err)
	result, err := db.Exec(statement, args...)
	must(t, err)
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed %d rows, %v", statement, n, err)
	}
	must(t, db.Close())
}

// spoil puts payload in the place of a piece's; nil removes it.
func (h *home) spoil(t *testing.T, p ingest.StoredSegment, payload []byte) {
	t.Helper()
	if h.memory != nil {
		h.memory.Damage(p.Digest, payload)
		return
	}
	if payload == nil {
		payload = []byte{}
	}
	if p.Layer == 0 {
		h.change(t, `UPDATE FileSegments SET RawPayload = ? WHERE FileSegmentId = ?`, payload, p.RowID)
	} else {
		h.change(t, `UPDATE LayerTensorSegments SET RawPayload = ? WHERE LayerTensorSegmentId = ?`, payload, p.RowID)
	}
}

// verify returns what is wrong with a file. repair may be nil.
func (h *home) verify(t *testing.T, f ingest.StoredFile, repair io.ReaderAt) []ingest.Damage {
	t.Helper()
	progress := &ingest.Progress{}
	v := ingest.Verifier{Catalog: h.catalog, Payloads: h.payloads(), Options: few, Repair: repair, Progress: progress}
	var all []ingest.Damage
	if err := v.Verify(t.Context(), f, func(d ingest.Damage) { all = append(all, d) }); err != nil {
		t.Fatal(err)
	}
	if n := progress.BytesRecorded.Load(); len(all) == 0 && n != f.Bytes {
		t.Errorf("%d bytes verified of %d", n, f.Bytes)
	}
	return all
}

// spoils are the ways in which a payload goes bad.
var spoils = map[string]func([]byte) []byte{
	"damaged":   func(p []byte) []byte { p[len(p)/2] ^= 1; return p },
	"truncated": func(p []byte) []byte { return p[:len(p)-1] },
	"longer":    func(p []byte) []byte { return append(p, 0) },
	"missing":   func([]byte) []byte { return nil },
}

// TestVerifyAndRepair: whatever is wrong with a payload is named by tensor, ordinal and offset, and is written again from a
// file that has the right bytes there, and from no other.
func TestVerifyAndRepair(t *testing.T) {
	path := create(t, filepath.Join(t.TempDir(), "motley.gguf"), motley())
	content, err := os.ReadFile(path)
	must(t, err)
	eachHome(t, func(t *testing.T, h *home) {
		h.take(t, file(path))
		f := onlyModel(t, h).Files[0]
		if all := h.verify(t, f, nil); len(all) != 0 {
			t.Fatalf("a good file has %v", all)
		}
		before := h.state(t)
		pieces := h.pieces(t, f)
		for name, spoil := range spoils {
			places := []int{0, 2, 3, len(pieces) - 1}
			if underRace || testing.Short() {
				places = places[1:2]
			}
			for _, i := range places {
				p := pieces[i]
				payload := bytes.Clone(content[p.Offset : p.Offset+p.Bytes])
				bad := spoil(bytes.Clone(payload))
				h.spoil(t, p, bad)
				wantDamage(t, h.verify(t, f, nil), p, name == "missing", false)
				wrong := bytes.Clone(content)
				wrong[p.Offset]++
				for _, source := range []io.ReaderAt{bytes.NewReader(wrong), bytes.NewReader(content[:p.Offset]), bytes.NewReader(nil)} {
					all := h.verify(t, f, source)
					wantDamage(t, all, p, name == "missing", false)
					if !strings.Contains(all[0].Reason.Error(), "right bytes") {
						t.Errorf("the reason does not say that the file is no good for repair: %v", all[0].Reason)
					}
				}
				wantDamage(t, h.verify(t, f, nil), p, name == "missing", false)
				wantDamage(t, h.verify(t, f, bytes.NewReader(content)), p, name == "missing", true)
				if all := h.verify(t, f, nil); len(all) != 0 {
					t.Fatalf("%s, after repair: %v", name, all)
				}
			}
		}
		wantState(t, h.state(t), before)
		h.giveBack(t)
	})
}

func wantDamage(t *testing.T, all []ingest.Damage, p ingest.StoredSegment, missing, repaired bool) {
	t.Helper()
	if len(all) != 1 {
		t.Fatalf("%d things are wrong, want one: %v", len(all), all)
	}
	d := all[0]
	if d.Piece.Tensor != p.Tensor || d.Piece.Ordinal != p.Ordinal || d.Piece.Offset != p.Offset || d.Missing() != missing || d.Repaired != repaired {
		t.Errorf("damage %+v, want piece %+v, missing %v, repaired %v", d, p, missing, repaired)
	}
}

// TestVerifyRows: rows that do not cover the file are noticed, wherever one is missing, and hide no other damage.
func TestVerifyRows(t *testing.T) {
	path := blob(t, filepath.Join(t.TempDir(), "blob"), 4*mib+9, 1)
	for name, row := range map[string]int{"first": 0, "middle": 2, "last": 4} {
		t.Run(name, func(t *testing.T) {
			h := storeHome(t)
			h.take(t, file(path))
			f := onlyModel(t, h).Files[0]
			pieces := h.pieces(t, f)
			h.change(t, `DELETE FROM FileSegments WHERE FileSegmentId = ?`, pieces[row].RowID)
			all := h.verify(t, f, nil)
			if len(all) != 1 || !errors.Is(all[0].Reason, ingest.ErrIncomplete) || all[0].Piece.Bytes != 0 {
				t.Fatalf("damage %+v", all)
			}
			if row == 2 {
				h.spoil(t, pieces[3], nil)
				if all := h.verify(t, f, nil); len(all) != 2 || !all[1].Missing() || all[1].Piece.Ordinal != 3 {
					t.Errorf("damage %+v", all)
				}
			}
			exporter := ingest.Exporter{Catalog: h.catalog, Payloads: h.payloads(), Options: few}
			if err := exporter.Export(t.Context(), f, filepath.Join(t.TempDir(), "out"), false); !errors.Is(err, ingest.ErrIncomplete) && row != 2 {
				t.Errorf("export: %v", err)
			}
		})
	}
}

// TestVerifyWhole: segments that are each what their rows say, and together not the file, are noticed.
func TestVerifyWhole(t *testing.T) {
	h := storeHome(t)
	h.take(t, file(blob(t, filepath.Join(t.TempDir(), "blob"), 2*mib, 1)))
	f := onlyModel(t, h).Files[0]
	f.Digest[0]++
	var mismatch *ingest.MismatchError
	if all := h.verify(t, f, nil); len(all) != 1 || !errors.As(all[0].Reason, &mismatch) || mismatch.Want != f.Digest || all[0].Piece.Bytes != 0 {
		t.Errorf("damage %+v", all)
	}
}

// TestVerifyFails: a verification that could not go on says so, and does not call good payloads damaged.
func TestVerifyFails(t *testing.T) {
	h := storeHome(t)
	h.take(t, file(blob(t, filepath.Join(t.TempDir(), "blob"), 6*mib, 1)))
	f := onlyModel(t, h).Files[0]
	ctx, cancel := context.WithCancel(t.Context())
	payloads := h.payloads()
	payloads.Store = &storetest.Faulty{Store: h.memory, Hook: func(context.Context, storetest.Call) error { cancel(); return nil }}
	v := ingest.Verifier{Catalog: h.catalog, Payloads: payloads, Options: few}
	if err := v.Verify(ctx, f, func(d ingest.Damage) { t.Errorf("%+v", d) }); !errors.Is(err, context.Canceled) {
		t.Errorf("a verification that was stopped ended with %v", err)
	}
	h.spoil(t, h.pieces(t, f)[1], nil)
	v.Repair = failing{}
	v.Payloads = h.payloads()
	if err := v.Verify(t.Context(), f, func(ingest.Damage) {}); !errors.Is(err, errFault) {
		t.Errorf("with a file for repair that cannot be read: %v", err)
	}
	v.Repair, v.Payloads.Store = nil, nil
	named := 0
	if err := v.Verify(t.Context(), f, func(d ingest.Damage) {
		if strings.Contains(d.Reason.Error(), "--store") {
			named++
		}
	}); err != nil || named != 6 {
		t.Errorf("without the store, %d of 6 payloads say where they are: %v", named, err)
	}
}

// failing is a file that cannot be read.
type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, errFault }
