package azureblob

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// entries makes a store as it was before stores had an owner, used by catalogues with these
// entries.
func entries(t *testing.T, names ...string) *Store {
	t.Helper()
	s := fresh(t, Settings{})
	for _, name := range names {
		if _, err := s.send(t.Context(), newUpload(catalogs+name, ingest.Sum(nil), nil, metadata{}), nil); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestOwnerOfAnOlderStore: its only entry is the owner, which is recorded when that catalogue
// claims the store.
func TestOwnerOfAnOlderStore(t *testing.T) {
	s := entries(t, "a~2Fb")
	recorded := func() bool { there, err := s.look(t.Context(), ownerRecord); return err == nil && there != nil }
	for claim, record := range map[string]bool{"": false, "another": false} {
		if owner, err := s.Owner(t.Context(), claim); err != nil || owner != "a/b" || recorded() != record {
			t.Errorf("claimed by %q: the owner is %q, %v", claim, owner, err)
		}
	}
	if owner, err := s.Owner(t.Context(), "a/b"); err != nil || owner != "a/b" || !recorded() {
		t.Errorf("the owner is %q, %v", owner, err)
	}
}

// TestSharedStore: of several catalogues none is the owner, and the way out is named.
func TestSharedStore(t *testing.T) {
	s := entries(t, "one", "two")
	for _, claim := range []string{"", "one", "three"} {
		_, err := s.Owner(t.Context(), claim)
		var shared *ingest.SharedError
		if !errors.As(err, &shared) || !slices.Equal(shared.Catalogs, []string{"one", "two"}) ||
			!strings.Contains(err.Error(), s.urlOf(catalogs)) {
			t.Errorf("claimed by %q: %v", claim, err)
		}
	}
}

// TestRecordIsReadable: in whatever tier the payloads are, the record is in the account's own, and
// an empty one is nobody.
func TestRecordIsReadable(t *testing.T) {
	s := fresh(t, Settings{Tier: "archive"})
	if owner, err := s.Owner(t.Context(), "mine"); err != nil || owner != "mine" {
		t.Fatalf("%q, %v", owner, err)
	}
	p, err := s.container.NewBlobClient(ownerRecord).GetProperties(t.Context(), nil)
	if err != nil || p.AccessTier != nil && strings.EqualFold(*p.AccessTier, "archive") {
		t.Errorf("the record is in the tier %v, %v", p.AccessTier, err)
	}
	if _, err := s.send(t.Context(), newUpload(ownerRecord, ingest.Sum(nil), nil, metadata{}), nil); err != nil {
		t.Fatal(err)
	}
	if owner, err := s.Owner(t.Context(), "mine"); err == nil {
		t.Errorf("an empty record is that of %q", owner)
	}
}
