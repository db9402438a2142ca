package azureblob

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// isMark matches requests that hide a blob or put it back.
func isMark(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Get("comp") == "metadata"
}

func isDelete(r *http.Request) bool {
	return r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/sha256/")
}

// filled returns a store behind a proxy, with one payload, and the payload's address.
func filled(t *testing.T, choose func(*http.Request) deed) (*Store, []byte, ingest.Address) {
	t.Helper()
	s := through(t, newProxy(t, choose), Settings{})
	p := randomBytes(100_000, 21)
	a, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p)
	if err != nil {
		t.Fatal(err)
	}
	return s, p, a
}

// A blob is hidden, put back or deleted although an answer is lost.
func TestDeleteThroughFaults(t *testing.T) {
	refused := errors.New("refused")
	for name, fault := range map[string]deed{
		"reset": cut, "the answer is lost": dropAnswer,
		"503": say(503, "ServerBusy"), "503 after it landed": after(say(503, "ServerBusy")),
	} {
		for what, matches := range map[string]func(*http.Request) bool{"mark": isMark, "delete": isDelete} {
			s, p, a := filled(t, firstOf(3, matches, fault))
			for _, answer := range []error{refused, nil} {
				failed, err := s.Delete(t.Context(), objects(t, s), func(context.Context) error { return answer })
				if err != answer || len(failed) != 1 || failed[0] != nil {
					t.Errorf("%s, %s, refused with %v: %v, %v", what, name, answer, failed, err)
				}
				left := objects(t, s)
				if answer == nil && len(left) != 0 || answer != nil && (len(left) != 1 || left[0].Hidden) {
					t.Errorf("%s, %s, refused with %v: left are %+v", what, name, answer, left)
				}
				if answer != nil {
					wantStored(t, s, ingest.Address{URI: a.URI, Name: a.Name, Bytes: a.Bytes}, p)
				}
			}
		}
	}
}

// A blob that cannot be hidden or deleted is reported, and the others are deleted.
func TestDeleteIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		matches func(*http.Request) bool
		d       deed
		unasked bool // the error says nothing about the blob itself
	}{
		"leased": {isMark, say(412, "LeaseIdMissing"), false}, "archived": {isMark, say(409, "BlobArchived"), false},
		"protected":   {isDelete, say(409, "BlobImmutableDueToPolicy"), false},
		"not allowed": {isDelete, say(403, "AuthorizationPermissionMismatch"), true},
	} {
		first := ""
		s, _, _ := filled(t, func(r *http.Request) deed {
			if test.matches(r) && (first == "" || first == r.URL.Path) {
				first = r.URL.Path
				return test.d
			}
			return nil
		})
		s.workers = 1
		other := randomBytes(100, 22)
		if _, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(other)}, other); err != nil {
			t.Fatal(err)
		}
		failed, err := s.Delete(t.Context(), objects(t, s), func(context.Context) error { return nil })
		if err != nil || len(failed) != 2 {
			t.Fatalf("%s: %v, %v", name, failed, err)
		}
		i := slices.IndexFunc(failed, func(err error) bool { return err != nil })
		if i < 0 || failed[1-i] != nil || errors.Is(failed[i], ingest.ErrUnreachable) != test.unasked ||
			len(objects(t, s)) != 1 {
			t.Errorf("%s: %v, left are %+v", name, failed, objects(t, s))
		}
	}
}

// A blob that is put back keeps its metadata.
func TestDeleteKeepsMetadata(t *testing.T) {
	clearEnvironment(t)
	s := openStore(t, azurite(t)+"/"+newContainer(), Settings{Layout: ByPosition})
	if _, err := s.Owner(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	p := randomBytes(100, 23)
	a, err := s.Put(
		t.Context(),
		ingest.Key{Digest: ingest.Sum(p), Model: 7, File: 3, Layer: 12, Ordinal: 2, Type: "Q4_K"},
		p,
	)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"ModelId":          "7",
		"LayerId":          "12",
		"SegmentOrdinal":   "2",
		"QuantizationType": "Q4_K",
		"Catalog":          "first",
		"Sha256":           ingest.Sum(p).String(),
	}
	refused := errors.New("refused")
	_, err = s.Delete(t.Context(), objects(t, s), func(context.Context) error {
		wantMetadata(t, s, a, want)
		return refused
	})
	if err != refused {
		t.Fatal(err)
	}
	want["Hidden"] = ""
	wantMetadata(t, s, a, want)
}

// Delete refuses blobs whose names are not the store's.
func TestDeleteRefusesOtherNames(t *testing.T) {
	s, _, a := filled(t, func(*http.Request) deed { return nil })
	for _, name := range []string{"", "x", "owner", "catalogs/first", "1/2/3.tmp", a.Name + "x"} {
		for _, hidden := range []bool{false, true} {
			object := ingest.Object{Name: name, Modified: a.Modified, Tag: a.ETag, Hidden: hidden}
			if err := remove(t, s, object); !errors.Is(err, errNoName) {
				t.Errorf("Delete of %q: %v", name, err)
			}
		}
	}
}
