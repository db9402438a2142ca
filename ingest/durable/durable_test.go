package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// logged returns a system that logs each call, with paths relative to root.
func logged(t *testing.T, root string) (system, *[]string) {
	var steps []string
	log := func(step, path string) {
		rel, err := filepath.Rel(root, path)
		if err != nil {
			t.Error(err)
		}
		steps = append(steps, step+" "+filepath.ToSlash(rel))
	}
	return system{
		mkdir: func(path string, mode fs.FileMode) error { log("mkdir", path); return os.Mkdir(path, mode) },
		sync:  func(path string) error { log("sync", path); return SyncFolder(path) },
	}, &steps
}

// TestOrder: each new folder is durable before the next is created, and so is the lowest existing
// one.
func TestOrder(t *testing.T) {
	root := t.TempDir()
	s, steps := logged(t, root)
	path := filepath.Join(root, "a", "b", "c")
	if err := s.mkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	want := []string{"sync ..", "mkdir a", "sync .", "mkdir a/b", "sync a", "mkdir a/b/c", "sync a/b"}
	if !slices.Equal(*steps, want) {
		t.Errorf("%q, want %q", *steps, want)
	}
	*steps = nil
	if err := s.mkdirAll(path, 0o700); err != nil || !slices.Equal(*steps, []string{"sync a/b"}) {
		t.Errorf("an existing folder: %q, %v", *steps, err)
	}
}

// TestFaults: a failed step is an error, and the next call creates the folder.
func TestFaults(t *testing.T) {
	fault := errors.New("fault")
	for at := range 7 {
		root := t.TempDir()
		path := filepath.Join(root, "a", "b", "c")
		step := 0
		failing := func(act error) error {
			if step++; step == at+1 {
				return fault
			}
			return act
		}
		s := system{
			mkdir: func(path string, mode fs.FileMode) error { return failing(os.Mkdir(path, mode)) },
			sync:  func(path string) error { return failing(SyncFolder(path)) },
		}
		if err := s.mkdirAll(path, 0o700); !errors.Is(err, fault) {
			t.Errorf("step %d failed, but the error is %v", at, err)
		}
		if err := s.mkdirAll(path, 0o700); err != nil {
			t.Errorf("after step %d failed: %v", at, err)
		}
	}
}

func TestNotAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if err := MkdirAll(path, 0o700); err == nil {
			t.Errorf("%s was created", path)
		}
	}
}
