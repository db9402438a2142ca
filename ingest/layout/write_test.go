package layout

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// written is what a test's Writer has written.
type written []string

func newWriter(t *testing.T, force bool) (*Writer, *written) {
	var all written
	w := &Writer{Folder: filepath.Join(t.TempDir(), "out"), Force: force, Done: func(w Written) {
		word := "wrote "
		if w.Present {
			word = "kept "
		}
		all = append(all, word+filepath.Base(w.Path))
	}}
	return w, &all
}

func (w *Writer) read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(w.Folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestWriterKeepsFiles(t *testing.T) {
	w, all := newWriter(t, false)
	entries := []Entry{made("b/x", []byte("one")), made("y", nil)}
	for range 2 {
		if err := w.Write(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		w = &Writer{Folder: w.Folder, Done: w.Done}
	}
	if got := strings.Join(*all, ", "); got != "wrote x, wrote y, kept x, kept y" {
		t.Errorf("%s", got)
	}
	err := w.Write(t.Context(), []Entry{made("b/x", []byte("two"))})
	if err == nil || !strings.Contains(err.Error(), "exists with other content: --force replaces it") {
		t.Errorf("error is %v", err)
	}
	if got := w.read(t, "b/x"); got != "one" {
		t.Errorf("the file has %q", got)
	}
	w.Force = true
	if err := (&Writer{Folder: w.Folder, Force: true, Done: w.Done}).Write(t.Context(),
		[]Entry{made("b/x", []byte("two"))}); err != nil || w.read(t, "b/x") != "two" {
		t.Errorf("forced: %v", err)
	}
}

func TestWriterRefusesPathsBeforeItWrites(t *testing.T) {
	w, _ := newWriter(t, true)
	for _, path := range []string{"../x", "/x", "a/../../x", ""} {
		if err := w.Write(t.Context(), []Entry{made("first", nil), made(path, nil)}); err == nil {
			t.Errorf("%q was written", path)
		}
		if _, err := os.Stat(w.Folder); err == nil {
			t.Errorf("%q: a file was written", path)
		}
	}
}

func TestWriterDoesNotOverwriteItself(t *testing.T) {
	w, _ := newWriter(t, true)
	write := func(path, content string) error { return w.Write(t.Context(), []Entry{made(path, []byte(content))}) }
	if err := write("x", "one"); err != nil {
		t.Fatal(err)
	}
	if err := write("x", "one"); err != nil {
		t.Errorf("the same file twice: %v", err)
	}
	if err := write("x", "two"); err == nil || !strings.Contains(err.Error(), "two different files") {
		t.Errorf("another file: %v", err)
	}
	// A hard link stands for a file system that takes two paths for one.
	if err := os.Link(filepath.Join(w.Folder, "x"), filepath.Join(w.Folder, "X")); os.IsExist(err) {
		t.Log("upper and lower case are one here")
	} else if err != nil {
		t.Skip("no hard links here:", err)
	}
	if err := write("X", "two"); err == nil || !strings.Contains(err.Error(), "are one path on this file system") {
		t.Errorf("the same path in another case: %v", err)
	}
	if got := w.read(t, "x"); got != "one" {
		t.Errorf("the file has %q", got)
	}
}

func TestWritersMergeOneAfterTheOther(t *testing.T) {
	w, _ := newWriter(t, false)
	names := strings.Split("abcdefghijklmnop", "")
	var group sync.WaitGroup
	for _, name := range names {
		group.Go(func() {
			w := &Writer{Folder: w.Folder, Done: func(Written) {}}
			entries := []Entry{made("blobs/x", []byte("the same")), imageLayout(""),
				imageIndex("", name, descriptor{Digest: "sha256:12345678"}, new(string))}
			if err := w.Write(t.Context(), entries); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	index := w.read(t, "index.json")
	for _, name := range names {
		if !strings.Contains(index, `"org.opencontainers.image.ref.name":"`+name+`"`) {
			t.Errorf("%s is not in the list", name)
		}
	}
}

func TestWriterDoesNotLeaveThroughLinks(t *testing.T) {
	w, _ := newWriter(t, true)
	outside := t.TempDir()
	if err := os.MkdirAll(filepath.Join(w.Folder, "inside"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"out": outside, "blobs": outside, "in": "inside",
		"up": "../out/inside"} {
		if err := os.Symlink(target, filepath.Join(w.Folder, name)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	blob := "sha256-" + ingest.Sum(nil).String()
	for path, ok := range map[string]bool{"out/x": false, "out/new/x": false, "out/" + blob: false, "blobs/x": false,
		"blobs/" + blob: true, "in/x": true, "up/new/x": true} {
		err := w.Write(t.Context(), []Entry{made(path, nil)})
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "leads out of") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside are %v, %v", entries, err)
	}
}

func TestWriterRefusesAHugeList(t *testing.T) {
	w, _ := newWriter(t, true)
	list := []Entry{imageIndex("", "a", descriptor{}, new(string))}
	if err := w.Write(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.Folder, "index.json")
	if err := os.Truncate(path, maxListBytes+1); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), list); err == nil || !strings.Contains(err.Error(), "has more than 16777216 bytes") {
		t.Errorf("error is %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != maxListBytes+1 {
		t.Errorf("the list was replaced: %v, %v", info, err)
	}
}
