package migrate_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// mergedFirst is a catalogue that refuses a payload for an atom while another one has its content.
type mergedFirst struct {
	ingest.Catalog
	payloads int
}

func (m *mergedFirst) PlaceAtom(ctx context.Context, lease ingest.Lease, atom ingest.FileAtom,
	place ingest.AtomPlace) (ingest.FileAtom, bool, error) {
	if place.Payload != nil {
		m.payloads++
		if other, err := m.FileAtomWithDigest(ctx, place.Digest); err != nil || other.ID != atom.ID {
			return atom, false, fmt.Errorf("atom %d has the content, too: %w", other.ID, err)
		}
	}
	return m.Catalog.PlaceAtom(ctx, lease, atom, place)
}

// TestMergeComesBeforeThePayload: two rows of the same content are merged before the payload is
// written into one of them.
func TestMergeComesBeforeThePayload(t *testing.T) {
	for _, claimed := range []bool{true, false} {
		w := newFixture(t)
		w.to = nil
		content := []byte("content")
		digest := ingest.Sum(content)
		path := filepath.Join(w.folder, "a")
		if claimed {
			path = filepath.Join(w.folder, "sha256-"+digest.String())
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		w.row(pathHash(path), path)
		w.exec(`INSERT INTO Atoms (ContentHash, Modality) VALUES (?, 'model')`, digest[:])
		c := &mergedFirst{Catalog: w.Catalog}
		w.Catalog = c
		if r := w.run(true); r.Moved.Rows != 1 || r.Merged != 1 || r.Corrected != 1 || r.Cleared.Rows != 1 ||
			c.payloads != 1 {
			t.Errorf("%+v, %d payloads, %v", r, c.payloads, w.problems)
		}
		if a, err := w.FileAtomWithDigest(t.Context(), digest); err != nil || !a.InRow {
			t.Errorf("%+v, %v", a, err)
		}
	}
}

// TestFileChangesBeforeTheMerge checks that rows are merged only if the file has the content.
func TestFileChangesBeforeTheMerge(t *testing.T) {
	w := newFixture(t)
	w.to = nil
	digest := ingest.Sum([]byte("content"))
	path := filepath.Join(w.folder, "sha256-"+digest.String())
	if err := os.WriteFile(path, []byte("CONTENT"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := w.row(pathHash(path), path)
	w.exec(`INSERT INTO Atoms (ContentHash, Modality) VALUES (?, 'model')`, digest[:])
	w.refused(w.run(false), "its name claims")
	if now := w.atom(a.ID); now.Digest != a.Digest {
		t.Errorf("%+v was merged", now)
	}
}
