package dir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// record returns a store in root and the steps that it completes. Paths are relative to root, with
// "*" for names of temporary files and names in the trash.
func record(t *testing.T, root string) (*Store, *[]string) {
	s := open(t, root)
	var steps []string
	s.hook = func(step, path string, done bool) error {
		if !done {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for _, folder := range []string{"tmp", "trash"} {
			if rel = filepath.ToSlash(rel); strings.HasPrefix(rel, folder+"/") {
				rel = folder + "/*"
			}
		}
		steps = append(steps, step+" "+rel)
		return nil
	}
	return s, &steps
}

func TestOrderOfSteps(t *testing.T) {
	root := filepath.Join(t.TempDir(), "new")
	s, steps := record(t, root)
	p := payload(100_000)
	digest, address := put(t, s, p)
	fanOut := "sha256/" + digest.String()[:2]
	write := []string{
		"create tmp/*",
		"write tmp/*",
		"sync tmp/*",
		"rename " + fanOut + "/" + digest.String(),
		"syncdir " + fanOut,
	}

	// The root and its parents are durable before its folders are used.
	folders := []string{"mkdirall .", "mkdir sha256", "mkdir tmp", "mkdir descriptions", "syncdir ."}
	for i := range 256 {
		folders = append(folders, fmt.Sprintf("mkdir sha256/%02x", i))
	}
	folders = append(folders, "syncdir sha256")
	if want := slices.Concat(folders, write); !slices.Equal(*steps, want) {
		t.Errorf("first Put:\n got %q\nwant %q", *steps, want)
	}

	*steps = nil
	put(t, s, p)
	if want := []string{"syncdir " + fanOut}; !slices.Equal(*steps, want) {
		t.Errorf("Put of a present payload: %q, want only its name synced: %q", *steps, want)
	}
	*steps = nil
	if _, present, err := s.Reuse(t.Context(), digest, address); !present || err != nil {
		t.Fatal(present, err)
	}
	if want := []string{"syncdir " + fanOut}; !slices.Equal(*steps, want) {
		t.Errorf("Reuse of a present payload: %q, want only its name synced: %q", *steps, want)
	}
	*steps = nil
	if _, err := s.Replace(t.Context(), digest, ingest.Address{}, p); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(*steps, write) {
		t.Errorf("Replace: %q, want %q", *steps, write)
	}
	*steps = nil
	if _, err := s.Owner(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	want := []string{"create tmp/*", "write tmp/*", "sync tmp/*", "link owner", "remove tmp/*", "syncdir ."}
	if !slices.Equal(*steps, want) {
		t.Errorf("Owner: %q, want %q", *steps, want)
	}
}

// A new process syncs folders that a killed process may not have synced.
func TestFoldersOfKilledProcessAreSynced(t *testing.T) {
	root := t.TempDir()
	digest, address := put(t, open(t, root), payload(1))
	for verb, call := range map[string]func(s *Store){
		"Put": func(s *Store) { put(t, s, payload(2)) },
		"Reuse": func(s *Store) {
			if _, present, err := s.Reuse(t.Context(), digest, address); !present || err != nil {
				t.Error(present, err)
			}
		},
	} {
		s, steps := record(t, root)
		call(s)
		for _, want := range []string{"mkdirall .", "syncdir .", "syncdir sha256"} {
			if !slices.Contains(*steps, want) {
				t.Errorf("%q is not among the first steps of a new process that calls %s", want, verb)
			}
		}
	}
}

// A payload whose name may not be durable is not reused.
func TestReuseFaults(t *testing.T) {
	fault := errors.New("fault")
	for _, step := range []string{"mkdirall", "mkdir", "syncdir"} {
		for _, done := range []bool{false, true} {
			root := t.TempDir()
			digest, address := put(t, open(t, root), payload(5000))
			s := open(t, root)
			s.hook = func(at, path string, d bool) error {
				if at == step && d == done {
					return fault
				}
				return nil
			}
			if now, present, err := s.Reuse(t.Context(), digest, address); !errors.Is(err, fault) || present ||
				now != (ingest.Address{}) {
				t.Errorf("%s fails, done=%v: %+v, %v, %v", step, done, now, present, err)
			}
		}
	}
}

// Every step of Put fails, before or after its effect. No fault leaves a partial payload, and
// another Put succeeds.
func TestFaults(t *testing.T) {
	fault := errors.New("fault")
	for _, step := range []string{"mkdir", "create", "write", "sync", "rename", "syncdir"} {
		for _, done := range []bool{false, true} {
			for _, leave := range []bool{false, true} { // removing the temporary file fails, too
				t.Run(fmt.Sprintf("%s done=%v leave=%v", step, done, leave), func(t *testing.T) {
					s := open(t, t.TempDir())
					s.hook = func(at, path string, d bool) error {
						if at == step && d == done || leave && at == "remove" {
							return fault
						}
						return nil
					}
					p := payload(100_000)
					digest := ingest.Sum(p)
					_, err := s.Put(t.Context(), ingest.Key{Digest: digest}, p)
					// A rename that took effect has stored the payload, even if it returned an
					// error.
					if renamed := step == "rename" && done; renamed != (err == nil) {
						t.Fatalf("Put: %v", err)
					}
					if err != nil && !errors.Is(err, fault) {
						t.Fatalf("Put hides the fault: %v", err)
					}
					s.hook = nil
					onlyWhole(t, s, digest, p, leave)
					_, address := put(t, s, p)
					if got, err := get(t, s, digest, address); err != nil || !bytes.Equal(got, p) {
						t.Errorf("after putting again: %d bytes, %v", len(got), err)
					}
				})
			}
		}
	}
}

// onlyWhole checks that a file named by a digest is whole.
func onlyWhole(t *testing.T, s *Store, digest ingest.Digest, p []byte, mayLeave bool) {
	t.Helper()
	for object, err := range s.List(t.Context()) {
		switch {
		case err != nil:
			t.Error(err)
		case object.Digest.IsZero() && !mayLeave:
			t.Errorf("temporary file %s", object.Name)
		case object.Digest == digest:
			if got, err := os.ReadFile(s.payload(raw(digest))); err != nil || !bytes.Equal(got, p) {
				t.Errorf("a partial payload: %d of %d bytes, %v", len(got), len(p), err)
			}
		}
	}
}

// An old payload in place does not make Replace succeed.
func TestReplaceReportsFailedRename(t *testing.T) {
	fault := errors.New("fault")
	s := open(t, t.TempDir())
	p := payload(5000)
	digest, _ := put(t, s, p)
	s.hook = func(step, _ string, done bool) error {
		if step == "rename" && !done {
			return fault
		}
		return nil
	}
	if _, err := s.Replace(t.Context(), digest, ingest.Address{}, p); !errors.Is(err, fault) {
		t.Errorf("Replace: %v", err)
	}
}

func TestDiskFull(t *testing.T) {
	s := open(t, t.TempDir())
	full := os.NewSyscallError("write", diskFull)
	s.hook = func(step, path string, done bool) error {
		if step == "write" && !done {
			return &fs.PathError{Op: "write", Path: path, Err: full}
		}
		return nil
	}
	_, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum([]byte("x"))}, []byte("x"))
	if err == nil || !strings.Contains(err.Error(), "disk full") ||
		!strings.Contains(err.Error(), s.folder(temporaries)) {
		t.Errorf("%v: want \"disk full\" and the file's name", err)
	}
	if transient(err) {
		t.Error("a full disk was called transient")
	}
	for object := range s.List(t.Context()) {
		t.Errorf("file %s", object.Name)
	}
}

func transient(err error) bool {
	var e interface{ Transient() bool }
	return errors.As(err, &e) && e.Transient()
}

// Transient errors are retried, others are not.
func TestTransient(t *testing.T) {
	s := open(t, t.TempDir())
	s.policy = storage.Policy{Attempts: 3, First: time.Microsecond, Longest: time.Microsecond}
	for err, passes := range map[error]bool{
		syscall.EINTR: true, syscall.EMFILE: true, syscall.EACCES: isHeld(syscall.EACCES), syscall.EIO: false,
	} {
		attempts, want := 0, 1
		if passes {
			want = 3
		}
		s.hook = func(step, path string, done bool) error {
			attempts++
			return &fs.PathError{Op: step, Path: path, Err: err}
		}
		_, got := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, nil)
		if !errors.Is(got, err) || attempts != want {
			t.Errorf("%v: %d attempts, want %d", got, attempts, want)
		}
	}
	fails := 2
	s.hook = func(step, path string, done bool) error {
		if fails--; fails >= 0 {
			return &fs.PathError{Op: step, Path: path, Err: syscall.EINTR}
		}
		return nil
	}
	if _, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, nil); err != nil {
		t.Errorf("after two interruptions: %v", err)
	}
}

// Two stores, as in two processes, replace one payload while it is read: every read returns the
// whole payload.
func TestRenameIsAtomic(t *testing.T) {
	root := t.TempDir()
	p := payload(300_001)
	digest, address := put(t, open(t, root), p)
	var writers sync.WaitGroup
	for range 2 {
		s := open(t, root)
		writers.Go(func() {
			for range 20 {
				if _, err := s.Replace(t.Context(), digest, ingest.Address{}, p); err != nil && !transient(err) {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	reader := open(t, root)
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		if got, err := get(t, reader, digest, address); !transient(err) && (err != nil || !bytes.Equal(got, p)) {
			t.Fatalf("a reader got %d bytes, %v", len(got), err)
		}
	}
}
