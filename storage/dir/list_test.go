package dir

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

func TestListYieldsOnlyOurFiles(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	digest, _ := put(t, s, []byte("payload"))
	hex := digest.String()
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("tmp/17-0123456789abcdef") // left by an interrupted write
	other := ingest.Sum(nil).String()
	ignored := []string{
		"tmp/README", "tmp/17-0123456789ABCDEF", "tmp/-0123456789abcdef", "tmp/17-0123456789abcdef.bak",
		"note.txt", "sha256/note.txt", "sha256/" + hex, "sha256/00/" + hex, "sha256/00/short",
		"sha256/" + hex[:2] + "/" + hex + ".bak", "sha256/" + hex[:2] + "/.DS_Store",
		"sha256/" + hex[:2] + "/" + hex + "-", "sha256/" + hex[:2] + "/" + hex + "-" + hex[1:],
		"sha256/" + hex[:2] + "/" + hex + "-" + hex, "sha256/" + hex[:2] + "/" + hex + "-" + strings.ToUpper(other),
		"catalogs/other", "owner", "trash/note.txt", "trash/17-0123456789abcdef/note.txt",
	}
	for _, folder := range []string{"catalogs", "trash/17-0123456789abcdef"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range ignored {
		if name != "sha256/00/"+hex || hex[:2] != "00" {
			write(name)
		}
	}
	found := map[string]ingest.Object{}
	for object, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		found[object.Name] = object
	}
	if len(found) != 2 {
		t.Errorf("found %v", found)
	}
	if object := found[raw(digest).Name()]; object.Digest != digest || object.Bytes != 7 ||
		time.Since(object.Modified) > time.Hour {
		t.Errorf("payload: %+v", object)
	}
	if object, ok := found["tmp/17-0123456789abcdef"]; !ok || !object.Digest.IsZero() || object.Bytes != 1 {
		t.Errorf("temporary file: %+v", object)
	}
	for _, object := range found {
		if err := remove(t, s, object); err != nil {
			t.Error(err)
		}
	}
	for _, name := range ignored {
		if _, err := os.Lstat(filepath.Join(root, name)); err != nil {
			t.Errorf("a file that is not ours was deleted: %v", err)
		}
	}
}

func TestDeleteRefusesOtherNames(t *testing.T) {
	root := t.TempDir()
	s := open(t, filepath.Join(root, "store"))
	digest, _ := put(t, s, []byte("payload"))
	outside := filepath.Join(root, "17-0123456789abcdef")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, object := range []ingest.Object{
		{}, {Name: "."}, {Name: "tmp"}, {Name: "tmp/"}, {Name: "tmp/.."}, {Name: "sha256"},
		{Name: "tmp/../../17-0123456789abcdef"}, {Name: "../17-0123456789abcdef"}, {Name: outside},
		{Name: "tmp/../" + raw(digest).Name()}, {Name: raw(digest).Name()},
		{Digest: digest, Name: "tmp/17-0123456789abcdef"}, {Digest: digest, Name: "catalogs/c"}, {Digest: digest},
	} {
		if err := remove(t, s, object); err == nil {
			t.Errorf("Delete of %+v succeeded", object)
		}
	}
	if _, err := os.Lstat(outside); err != nil {
		t.Error(err)
	}
	if !s.holds(raw(digest), 7) {
		t.Error("the payload is gone")
	}
}

// A folder is read in several chunks.
func TestListOfManyFiles(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, nil)
	const files = 2*listChunk + 7
	for i := range files {
		name := fmt.Sprintf("ab%062x", i)
		if err := os.WriteFile(filepath.Join(s.root, "sha256", "ab", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[ingest.Digest]bool{}
	for object, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[object.Digest] {
			t.Errorf("%s was listed twice", object.Name)
		}
		seen[object.Digest] = true
	}
	if len(seen) != files+1 {
		t.Errorf("%d of %d files", len(seen), files+1)
	}
}

func TestListReportsAnUnreadableFolder(t *testing.T) {
	if os.Getuid() <= 0 {
		t.Skip("needs a user whom permission bits bind: not root, and not on Windows")
	}
	s := open(t, t.TempDir())
	put(t, s, nil)
	folder := filepath.Join(s.root, "sha256", "77")
	if err := os.Chmod(folder, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(folder, 0o700) }()
	var last error
	for _, err := range s.List(t.Context()) {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), folder) {
		t.Errorf("List ended with %v", last)
	}
}

// remove deletes one object and returns its error.
func remove(t *testing.T, s *Store, object ingest.Object) error {
	t.Helper()
	failed, err := s.Delete(t.Context(), []ingest.Object{object}, func(context.Context) error { return nil })
	if err != nil || len(failed) != 1 {
		t.Fatalf("%v, %v", failed, err)
	}
	return failed[0]
}
