package azureblob

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// TestRemoveSparesWhatWasWrittenAgain and refuses what is not the store's.
func TestRemoveSparesWhatWasWrittenAgain(t *testing.T) {
	s := fresh(t, Settings{})
	p := randomBytes(100, 8)
	a, err := s.Put(t.Context(), ingest.Sum(p), p)
	if err != nil {
		t.Fatal(err)
	}
	seen := ingest.Object{Digest: ingest.Sum(p), Name: a.Name, Bytes: a.Bytes, Modified: a.Modified, Tag: a.ETag}
	if a, err = s.Replace(t.Context(), ingest.Sum(p), p); err != nil { // within the same second
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), seen); !errors.Is(err, ingest.ErrModified) {
		t.Fatalf("Remove of another write: %v", err)
	}
	wantStored(t, s, a, p)
	for _, name := range []string{"", "x", "catalogs/first", "sweeps/first", "1/2/3.tmp", a.Name + "x"} {
		if err := s.Remove(t.Context(), ingest.Object{Name: name, Modified: time.Now(), Tag: a.ETag}); !errors.Is(err, errNoName) {
			t.Errorf("Remove %q: %v", name, err)
		}
	}
	for seen = range s.Sweep(t.Context()) { // as it is listed
		if seen.Name != a.Name || seen.Tag != a.ETag {
			t.Errorf("listed as %+v, want %+v", seen, a)
		}
	}
	if err := s.Remove(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context(), ingest.Sum(p), a); !errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("after Remove: %v", err)
	}
}

// TestSweepPages makes the service answer in short pages, two of them not at once, and puts blobs of others beside ours.
func TestSweepPages(t *testing.T) {
	clearEnvironment(t)
	pages := 0
	p := newProxy(t, func(r *http.Request) deed {
		if r.URL.Query().Get("comp") == "list" {
			if pages++; pages == 2 || pages == 3 {
				return say(503, "ServerBusy")
			}
		}
		return nil
	})
	s := contentOf(openStore(t, throughHost(t, p.host)+"/"+newContainer(), Settings{Policy: quick}))
	for i := range 30 {
		payload := randomBytes(10, uint64(i))
		if _, err := s.Put(t.Context(), ingest.Sum(payload), payload); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sha256/readme.txt", "other/" + strings.Repeat("a", 64), "sha256/ab/" + strings.Repeat("f", 64), "1/2/3.bin"} {
		if _, err := s.send(t.Context(), newUpload(name, ingest.Sum(nil), nil, metadata{}), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Claim(t.Context(), "catalog"); err != nil {
		t.Fatal(err)
	}
	pages = 0
	s.pageSize = 7
	found := 0
	for _, err := range s.Sweep(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		found++
	}
	if found != 31 || pages < 5+2 {
		t.Errorf("%d payloads in %d pages", found, pages) // the 31st lies by position
	}
}
