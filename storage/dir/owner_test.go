package dir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// entries makes a store of an earlier version, with these entries in catalogs.
func entries(t *testing.T, names ...string) *Store {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, catalogs), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(root, catalogs, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, root)
}

// A single entry is the owner. It is recorded when that catalogue claims the store.
func TestOwnerOfEarlierVersion(t *testing.T) {
	for name, identity := range map[string]string{
		"0f8fad5b-d9cb": "0f8fad5b-d9cb", "%2E%2E%2Fx": "../x", "%41": "A", "a%25b": "a%b",
		"%C3%BC": "ü", "%": "%", "%4": "%4", "%zz": "%zz",
	} {
		s := entries(t, name, ".DS_Store")
		for _, claim := range []string{"", "another", identity, "another", ""} {
			if owner, err := s.Owner(t.Context(), claim); err != nil || owner != identity {
				t.Errorf("entry %s, claimed by %q: the owner is %q, %v", name, claim, owner, err)
			}
			record, err := os.ReadFile(s.folder(ownerRecord))
			if claim == identity && err != nil || err == nil && string(record) != identity+"\n" ||
				claim == "another" && record != nil && len(record) != len(identity)+1 {
				t.Errorf("entry %s, claimed by %q: the record is %q, %v", name, claim, record, err)
			}
		}
		if err := os.RemoveAll(s.folder(catalogs)); err != nil {
			t.Fatal(err)
		}
		if owner, err := s.Owner(t.Context(), ""); err != nil || owner != identity {
			t.Errorf("without its entry %s: the owner is %q, %v", name, owner, err)
		}
	}
}

// If there are several catalogues, none is the owner, and the error says what to do.
func TestSharedStore(t *testing.T) {
	s := entries(t, "one", "two")
	for _, claim := range []string{"", "one", "three"} {
		_, err := s.Owner(t.Context(), claim)
		var shared *ingest.SharedError
		if !errors.As(err, &shared) || !slices.Equal(shared.Catalogs, []string{"one", "two"}) ||
			!strings.Contains(err.Error(), s.folder(catalogs)) {
			t.Errorf("claimed by %q: %v", claim, err)
		}
	}
	if err := os.Remove(filepath.Join(s.folder(catalogs), "one")); err != nil {
		t.Fatal(err)
	}
	if owner, err := s.Owner(t.Context(), "two"); err != nil || owner != "two" {
		t.Errorf("once one entry is gone: %q, %v", owner, err)
	}
}

// An invalid record is an error, not "no owner".
func TestBrokenRecord(t *testing.T) {
	for _, text := range []string{"", "\n", "half", strings.Repeat("x", maxOwner+1) + "\n"} {
		s := open(t, t.TempDir())
		if err := os.WriteFile(s.folder(ownerRecord), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if owner, err := s.Owner(t.Context(), "mine"); err == nil ||
			!strings.Contains(err.Error(), s.folder(ownerRecord)) {
			t.Errorf("of a record of %d bytes the owner is %q, %v", len(text), owner, err)
		}
	}
}

// withoutLinks returns a store in a file system without links.
func withoutLinks(t *testing.T) *Store {
	s := open(t, t.TempDir())
	s.hook = func(step, _ string, done bool) error {
		if step == "link" && !done {
			return errors.New("no links here")
		}
		return nil
	}
	return s
}

func TestWithoutLinks(t *testing.T) {
	s := withoutLinks(t)
	for _, claim := range []string{"first", "second", ""} {
		if owner, err := s.Owner(t.Context(), claim); err != nil || owner != "first" {
			t.Errorf("claimed by %q, the owner is %q, %v", claim, owner, err)
		}
	}
	p := payload(5000)
	digest, address := put(t, s, p)
	refused := errors.New("refused")
	for name, confirm := range map[string]func(context.Context) error{
		"put back":   func(context.Context) error { return refused },
		"taken back": func(context.Context) error { put(t, s, p); return nil },
	} {
		failed, err := s.Delete(t.Context(), listed(t, s), confirm)
		if failed[0] != nil || err != nil && err != refused {
			t.Errorf("%s: %v, %v", name, failed, err)
		}
		_, err = get(t, s, digest, address)
		if err != nil || !s.holds(raw(digest), 5000) || len(s.trashFolders()) != 0 {
			t.Errorf("%s: %v, left %q", name, err, s.trashFolders())
		}
	}
}

func listed(t *testing.T, s *Store) (all []ingest.Object) {
	t.Helper()
	for object, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, object)
	}
	return all
}

// If a payload was written while one was hidden, the intact one stays.
func TestPutBackIfNameIsTaken(t *testing.T) {
	p := payload(5000)
	for name, written := range map[string][]byte{"intact": p, "damaged": make([]byte, len(p)), "short": p[:10]} {
		s := open(t, t.TempDir())
		digest, address := put(t, s, p)
		original := ingest.Sum([]byte("original"))
		encoded, encodedAddress := putEncoded(t, s, original, p)
		refused := errors.New("refused")
		failed, err := s.Delete(t.Context(), listed(t, s), func(context.Context) error {
			return errors.Join(os.WriteFile(s.payload(raw(digest)), written, 0o600),
				os.WriteFile(s.payload(encoded), written, 0o600), refused)
		})
		if !errors.Is(err, refused) || errors.Join(failed...) != nil {
			t.Errorf("%s: %v, %v", name, failed, err)
		}
		if got, err := get(t, s, digest, address); err != nil || ingest.Sum(got) != digest {
			t.Errorf("%s: the payload is damaged, %v", name, err)
		}
		if got, err := get(t, s, original, encodedAddress); err != nil || ingest.Sum(got) != digest {
			t.Errorf("%s: the encoded payload is damaged, %v", name, err)
		}
		if left := listed(t, s); len(left) != 2 || left[0].Hidden || left[1].Hidden {
			t.Errorf("%s: left are %+v", name, left)
		}
	}
}

// If the hidden payload and the one in place are both damaged, the one in place stays: Replace may
// repair it at any time.
func TestPutBackDamaged(t *testing.T) {
	s := open(t, t.TempDir())
	digest, address := put(t, s, payload(5000))
	inPlace := make([]byte, 5000)
	refused := errors.New("refused")
	failed, err := s.Delete(t.Context(), listed(t, s), func(context.Context) error {
		return errors.Join(os.WriteFile(s.hidden(raw(digest))[0], payload(5000)[1:], 0o600),
			os.WriteFile(s.payload(raw(digest)), inPlace, 0o600), refused)
	})
	if !errors.Is(err, refused) || failed[0] != nil {
		t.Errorf("%v, %v", failed, err)
	}
	if got, err := get(t, s, digest, address); err != nil || string(got) != string(inPlace) || len(listed(t, s)) != 1 {
		t.Errorf("the payload in place is not the one that was there, %v; left are %+v", err, listed(t, s))
	}
}

// A payload that is written again between Delete's check and its hiding stays, and is reported.
func TestModifiedWhileHidden(t *testing.T) {
	s := open(t, t.TempDir())
	p := payload(5000)
	digest, address := put(t, s, p)
	objects := listed(t, s)
	s.hook = func(step, _ string, done bool) error {
		if step == "hide" && !done {
			return errors.Join(os.Remove(s.payload(raw(digest))), os.WriteFile(s.payload(raw(digest)), p, 0o600),
				os.Chtimes(s.payload(raw(digest)), time.Time{}, objects[0].Modified.Add(time.Second)))
		}
		return nil
	}
	failed, err := s.Delete(t.Context(), objects, func(context.Context) error { return nil })
	if err != nil || !errors.Is(failed[0], ingest.ErrModified) {
		t.Errorf("%v, %v", failed, err)
	}
	if _, err := get(t, s, digest, address); err != nil {
		t.Error(err)
	}
	if left := listed(t, s); len(left) != 1 || left[0].Hidden {
		t.Errorf("left are %+v", left)
	}
}

// The trash is durable before anything is renamed into it, and a payload that is put back is
// durable in place before its hidden name is removed.
func TestOrderOfDelete(t *testing.T) {
	root := t.TempDir()
	s, steps := record(t, root)
	digest, _ := put(t, s, payload(5000))
	fanOut := "sha256/" + digest.String()[:2]
	for _, refusal := range []error{errors.New("refused"), nil} {
		*steps = nil
		_, err := s.Delete(t.Context(), listed(t, s), func(context.Context) error {
			*steps = append(*steps, "confirm")
			return refusal
		})
		if err != refusal {
			t.Fatal(err)
		}
		want := []string{
			"mkdir trash",
			"mkdir trash/*",
			"syncdir trash",
			"syncdir .",
			"hide trash/*",
			"confirm",
			"remove trash/*",
		}
		if refusal != nil {
			want = slices.Insert(want, 6, "link "+fanOut+"/"+digest.String(), "syncdir "+fanOut)
		}
		if !slices.Equal(*steps, want) {
			t.Errorf("refused with %v:\n got %q\nwant %q", refusal, *steps, want)
		}
	}
}
