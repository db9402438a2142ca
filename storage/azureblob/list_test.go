package azureblob

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestListPages lists several short pages, with faults, and with blobs of other programs.
func TestListPages(t *testing.T) {
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
	s := openStore(t, throughHost(t, p.host)+"/"+newContainer(), Settings{Policy: quick})
	for i := range 30 {
		payload := randomBytes(10, uint64(i))
		if _, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(payload)}, payload); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"sha256/readme.txt", "other/" + strings.Repeat("a", 64),
		"sha256/ab/" + strings.Repeat("f", 64), "1/2/3.bin",
	} {
		if _, err := s.send(t.Context(), newUpload(name, ingest.Sum(nil), nil, metadata{}), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Owner(t.Context(), "catalog"); err != nil {
		t.Fatal(err)
	}
	pages = 0
	s.pageSize = 7
	found := 0
	for _, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		found++
	}
	if found != 31 || pages < 5+2 {
		t.Errorf("%d payloads in %d pages", found, pages) // the 31st is by position
	}
}
