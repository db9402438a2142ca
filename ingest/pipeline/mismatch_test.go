package pipeline_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestMismatch: a file without the expected digest is refused. The reason has both digests and, if
// a file with the expected digest is stored, where the two differ.
func TestMismatch(t *testing.T) {
	eachHome(t, func(t *testing.T, h *home) {
		folder := t.TempDir()
		good := create(t, filepath.Join(folder, "good.gguf"), mixed())
		bad := copied(t, good, filepath.Join(folder, "bad.gguf")).Files[0].Path
		want := sum(t, good)
		const tensor, outside = 4_000_000, 2_600_000
		damage(t, bad, tensor)
		damage(t, bad, outside)
		reason := refusedMismatch(t, h, bad, want)
		if len(reason.Parts) != 0 || len(h.models(t)) != 0 {
			t.Errorf("no file with the expected digest is stored, but the reason is %v; models %v", reason, h.models(t))
		}
		h.ingest(t, expecting(good, want))
		before := h.state(t)
		reason = refusedMismatch(t, h, bad, want)
		var places []string
		for _, p := range h.segments(t, onlyModel(t, h).Files[0]) {
			if p.Offset <= outside && outside < p.Offset+p.Bytes || p.Offset <= tensor && tensor < p.Offset+p.Bytes {
				places = append(places, p.Place())
			}
		}
		if got := strings.Join(reason.Parts, ", "); got != strings.Join(places, ", ") || len(places) != 2 {
			t.Errorf("parts %s, want %s", got, places)
		}
		if text := reason.Error(); !strings.Contains(text, "tensor ") || !strings.Contains(text, places[0]) {
			t.Errorf("reason %s", text)
		}
		if h.memory == nil { // a store keeps the payloads of the bad file until gc
			checkState(t, h.state(t), before)
		}
		h.check(t)
		h.ingest(t, expecting(good, want)) // is still present
	})
}

// refusedMismatch runs over a file whose digest is not want, and returns why it was refused.
func refusedMismatch(t *testing.T, h *home, path string, want ingest.Digest) *ingest.MismatchError {
	t.Helper()
	report, err := run(t, t.Context(), h.ingester(small), expecting(path, want))
	if err != nil || len(report.Ingested)+len(report.Skipped) != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	reason := refusal(t, report, path)
	var mismatch *ingest.MismatchError
	if !errors.As(reason, &mismatch) || mismatch.Want != want || mismatch.Got != sum(t, path) {
		t.Fatalf("reason %v", reason)
	}
	if text := reason.Error(); !strings.Contains(text, want.String()) ||
		!strings.Contains(text, mismatch.Got.String()) {
		t.Errorf("the reason does not name both digests: %s", text)
	}
	return mismatch
}

// TestMismatchParts: the reason names five parts and counts the others.
func TestMismatchParts(t *testing.T) {
	folder := t.TempDir()
	h := storeHome(t)
	good := blob(t, filepath.Join(folder, "good"), 9*mib, 1)
	bad := blob(t, filepath.Join(folder, "bad"), 9*mib, 2)
	h.ingest(t, file(good))
	reason := refusedMismatch(t, h, bad, sum(t, good))
	if len(reason.Parts) != 6 || reason.Parts[5] != "and 4 more" {
		t.Errorf("parts %q", reason.Parts)
	}
}

// TestExpectedDigestOfStoredFile: a stored file is read again if its expected digest is not the
// stored one.
func TestExpectedDigestOfStoredFile(t *testing.T) {
	h := storeHome(t)
	path := blob(t, filepath.Join(t.TempDir(), "blob"), mib+1, 1)
	h.ingest(t, file(path))
	refusedMismatch(t, h, path, ingest.Sum([]byte("another")))
	report := h.ingest(t, expecting(path, sum(t, path)))
	if report.BytesRead != 0 || len(report.Skipped) != 1 {
		t.Errorf("%+v", report)
	}
}
