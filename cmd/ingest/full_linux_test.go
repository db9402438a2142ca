package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallDisk mounts a file system of the given size, and returns a function that changes the size.
func smallDisk(t *testing.T, size string) (folder string, grow func(size string)) {
	t.Helper()
	folder = t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("cannot mount a file system, which takes root (%v); TestLargestFile limits files instead", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, 0); err != nil {
			t.Errorf("unmount %s: %v", folder, err)
		}
	})
	return folder, func(size string) {
		if err := syscall.Mount("tmpfs", folder, "tmpfs", syscall.MS_REMOUNT, "size="+size); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDiskFull fills the disk of the store, of the catalogue, and of payloads in rows. The run
// reports that and keeps its batches. With more room, the same command completes.
func TestDiskFull(t *testing.T) {
	smallDisk(t, "1m") // skips the test if it cannot mount
	if rerunWithoutRace(t) {
		return
	}
	s := newSources(t, map[string]func(string) error{"noise.gguf": noise("noise", 64<<20, 1),
		"small.gguf": manyTensors(3000)})
	for _, test := range []struct {
		name          string
		size          string
		inRows        bool
		catalog, full string // where the catalogue is; what the message says
	}{
		{"store", "40m", false, "elsewhere", "no space left on device"},
		{"catalogue", "600k", false, "disk", "disk is full"},
		{"rows", "40m", true, "disk", "disk is full"},
	} {
		t.Run(test.name, func(t *testing.T) {
			disk, grow := smallDisk(t, test.size)
			b := newBox(t, disk, test.inRows)
			switch {
			case test.catalog == "elsewhere":
				b.catalog = filepath.Join(t.TempDir(), "catalog.db")
			case !test.inRows:
				b.store = filepath.Join(t.TempDir(), "store")
			}
			wantFull(b, b.command("models", s.folder), test.full)
			grow("400m")
			b.audit(s.digests)
			b.must("models", s.folder)
			if after := b.audit(s.digests); after.open != 0 || after.recorded != s.bytes {
				t.Errorf("with room %d models are open, and %d of %d bytes recorded", after.open, after.recorded,
					s.bytes)
			}
			b.must("verify")
		})
	}
}

// wantFull runs a command that must end with code 1 and the reason, without a panic.
func wantFull(b box, c *exec.Cmd, reason string) {
	b.Helper()
	e := b.wait(startOf(b, c))
	if e.code != exitFailed || !strings.Contains(strings.ToLower(e.stderr), reason) ||
		strings.Contains(e.stderr, "goroutine") {
		b.Errorf("exit code %d, want %q in\n%s", e.code, reason, e.stderr)
	}
}

func startOf(b box, c *exec.Cmd) *exec.Cmd {
	b.Helper()
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	return c
}

// TestLargestFile limits the size of files instead of the disk, which needs no privilege. Payloads
// exceed the limit, and so does a catalogue that contains them.
func TestLargestFile(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"noise.gguf": noise("noise", 64<<20, 1)})
	for _, test := range []struct {
		name   string
		inRows bool
		reason string
	}{{"store", false, "file too large"}, {"rows", true, ""}} {
		t.Run(test.name, func(t *testing.T) {
			b := newBox(t, t.TempDir(), test.inRows)
			b.run("models", t.TempDir()) // an empty catalogue is below the limit
			c := b.command("models", s.folder)
			c.Path, c.Args = "/bin/sh", append([]string{"sh", "-c", `ulimit -f 2048; exec "$0" "$@"`}, c.Args...)
			wantFull(b, c, test.reason)
			b.audit(s.digests)
			b.must("models", s.folder)
			if after := b.audit(s.digests); after.open != 0 || after.recorded != s.bytes {
				t.Errorf("without the limit %d models are open, and %d of %d bytes recorded", after.open,
					after.recorded, s.bytes)
			}
			b.must("verify")
		})
	}
}

// TestExportFull exports to a full disk, and leaves nothing there.
func TestExportFull(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"noise.gguf": noise("noise", 32<<20, 1)})
	disk, grow := smallDisk(t, "10m")
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder)
	out := filepath.Join(disk, "out.gguf")
	wantFull(b, b.command("export", "noise", "-o", out), "no space left on device")
	if entries, err := os.ReadDir(disk); err != nil || len(entries) > 0 {
		t.Errorf("%v is left (%v)", entries, err)
	}
	for _, as := range exportLayouts {
		folder := filepath.Join(disk, "out")
		wantFull(b, b.command("export", "noise", "--as", as, "-o", folder), "no space left on device")
		for path := range contents(t, folder) {
			if path != "oci-layout" {
				t.Errorf("--as %s: %s is left", as, path)
			}
		}
	}
	grow("100m")
	b.must("export", "noise", "-o", out)
}

// TestBackupFull copies the catalogue to a full disk, and leaves nothing there.
func TestBackupFull(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"noise.gguf": noise("noise", 32<<20, 1)})
	disk, grow := smallDisk(t, "10m")
	b := newBox(t, t.TempDir(), true)
	b.must("models", s.folder)
	out := filepath.Join(disk, "copy.db")
	wantFull(b, b.command("backup", out), "disk is full")
	if entries, err := os.ReadDir(disk); err != nil || len(entries) > 0 {
		t.Errorf("%v is left (%v)", entries, err)
	}
	grow("100m")
	b.must("backup", out)
}
