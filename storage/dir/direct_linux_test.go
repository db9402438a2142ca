package dir

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hartonomous/ingest/ingest"
)

// isDirect reports whether the file's writes bypass the page cache.
func isDirect(t *testing.T, f *os.File) bool {
	t.Helper()
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.O_DIRECT != 0
}

func TestDirectWrites(t *testing.T) {
	folder := t.TempDir()
	probe, err := os.OpenFile(filepath.Join(folder, "probe"), os.O_CREATE|os.O_WRONLY|unix.O_DIRECT, 0o600)
	if err != nil {
		t.Skip("this file system does not support O_DIRECT:", err)
	}
	probe.Close()
	for name, test := range map[string]struct {
		payload []byte
		direct  bool
	}{
		"whole pages": {payload(1 << 20), true},
		"with a tail": {payload(1<<20 + 4096 + 17), true},
		"small":       {payload(directMin - 1), false},
		"unaligned":   {payload(1<<20 + 1)[1:], false},
		"empty":       {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder, name)
			f, direct, err := create(path, test.payload)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if direct != test.direct || isDirect(t, f) != test.direct {
				t.Errorf("direct %v, want %v", direct, test.direct)
			}
			if err := writeAll(f, test.payload, direct); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, test.payload) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// A file system may accept O_DIRECT but refuse the write. Unaligned memory has that effect on one
// that supports it.
func TestRefusedDirectWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, direct, err := create(path, payload(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unaligned := payload(1<<20 + 1)[1:]
	if err := writeAll(f, unaligned, direct); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, unaligned) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// The disk has 3 MiB.
func TestSmallDisk(t *testing.T) {
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=3m"); err != nil {
		t.Skip("needs root, to mount a small file system:", err)
	}
	defer func() { _ = unix.Unmount(root, unix.MNT_DETACH) }()
	s := open(t, root)
	digest, address := put(t, s, payload(1<<20))
	for _, p := range [][]byte{payload(8 << 20), payload(8<<20 + 1)[1:]} {
		_, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p)
		if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "disk full") ||
			!strings.Contains(err.Error(), root) {
			t.Errorf("Put on a full disk: %v", err)
		}
		if left, _ := os.ReadDir(s.folder(temporaries)); len(left) != 0 {
			t.Errorf("temporary files: %v", left)
		}
	}
	if _, err := get(t, s, digest, address); err != nil {
		t.Errorf("the payload stored before: %v", err)
	}
	put(t, s, payload(1<<20+5))
}
