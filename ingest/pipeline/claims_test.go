package pipeline_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestClaims: content that is not what its name promises is refused, with both digests; where the right content is
// known, the reason says where the two differ.
func TestClaims(t *testing.T) {
	eachHome(t, func(t *testing.T, h *home) {
		folder := t.TempDir()
		good := create(t, filepath.Join(folder, "good.gguf"), motley())
		bad := copied(t, good, filepath.Join(folder, "bad.gguf")).Files[0].Path
		want := sum(t, good)
		const tensor, outside = 4_000_000, 2_600_000
		damage(t, bad, tensor)
		damage(t, bad, outside)
		reason := refusedClaim(t, h, bad, want)
		if len(reason.Parts) != 0 || len(h.models(t)) != 0 {
			t.Errorf("nothing is known of the right content, and the reason is %v; models %v", reason, h.models(t))
		}
		h.ingest(t, claimed(good, want))
		before := h.state(t)
		reason = refusedClaim(t, h, bad, want)
		var places []string
		for _, p := range h.pieces(t, onlyModel(t, h).Files[0]) {
			if p.Offset <= outside && outside < p.Offset+p.Bytes || p.Offset <= tensor && tensor < p.Offset+p.Bytes {
				places = append(places, p.Place())
			}
		}
		if got := strings.Join(reason.Parts, ", "); got != strings.Join(places, ", ") || len(places) != 2 {
			t.Errorf("it is said to differ in %s, want %s", got, places)
		}
		if text := reason.Error(); !strings.Contains(text, "tensor ") || !strings.Contains(text, places[0]) {
			t.Errorf("reason %s", text)
		}
		if h.memory == nil { // the store still has what was put for the bad file
			wantState(t, h.state(t), before)
		}
		h.check(t)
		h.ingest(t, claimed(good, want)) // is still there
	})
}

// refusedClaim takes in a file that is not what it claims to be.
func refusedClaim(t *testing.T, h *home, path string, want ingest.Digest) *ingest.MismatchError {
	t.Helper()
	report, err := run(t, t.Context(), h.ingester(few), claimed(path, want))
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

// TestManyParts: a reason names a few of many parts, and counts the others.
func TestManyParts(t *testing.T) {
	folder := t.TempDir()
	h := storeHome(t)
	good := blob(t, filepath.Join(folder, "good"), 9*mib, 1)
	bad := blob(t, filepath.Join(folder, "bad"), 9*mib, 2)
	h.ingest(t, file(good))
	reason := refusedClaim(t, h, bad, sum(t, good))
	if len(reason.Parts) != 6 || reason.Parts[5] != "and 4 more segments" {
		t.Errorf("parts %q", reason.Parts)
	}
}

// TestStoredContentDoesNotHideAClaim: a file that is stored is read again when its name comes to promise
// another content.
func TestStoredContentDoesNotHideAClaim(t *testing.T) {
	h := storeHome(t)
	path := blob(t, filepath.Join(t.TempDir(), "blob"), mib+1, 1)
	h.ingest(t, file(path))
	refusedClaim(t, h, path, ingest.Sum([]byte("another")))
	report := h.ingest(t, claimed(path, sum(t, path)))
	if report.BytesRead != 0 || len(report.Skipped) != 1 {
		t.Errorf("%+v", report)
	}
}
