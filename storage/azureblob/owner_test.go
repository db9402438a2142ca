package azureblob

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// entries makes a store of an earlier version, with these entries in catalogs/.
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

// A single entry is the owner. It is recorded when that catalogue claims the store.
func TestOwnerOfEarlierVersion(t *testing.T) {
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

// If there are several catalogues, none is the owner, and the error says what to do.
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

// The blob owner is in the account's own tier, whatever the tier of the payloads. An empty one is
// an error.
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
		t.Errorf("an empty record is owned by %q", owner)
	}
}
