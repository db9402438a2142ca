package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPeakMemory: with its defaults, the program stays below 100 MiB with files of 1 GiB and 512 MiB. The
// payloads of the second are encoded.
func TestPeakMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it writes 5 GiB")
	}
	s := newSources(t, map[string]func(string) error{"noise.gguf": noise("noise", 1<<30, 1),
		"weights.gguf": encodable("weights", 512<<20, 1)})
	rows := []string{"--store", inRows, "--catalog", "sqlite:" + filepath.Join(t.TempDir(), "rows.db")}
	b := newBox(t, t.TempDir(), false)
	for _, args := range [][]string{
		{"models", s.folder},
		{"models", s.folder, "--recheck"},
		{"gc"},
		{"verify"},
		{"export", "noise", "-o", filepath.Join(t.TempDir(), "out.gguf")},
		{"export", "weights", "-o", filepath.Join(t.TempDir(), "out.gguf")},
		{"recompress", "weights", "--compress", "off"},
		{"recompress", "weights", "--compress", "max"},
		{"rm", "noise", "--yes"},
		{"models", s.folder}, // its content is present
		append([]string{"models", s.folder}, rows...),
		append([]string{"verify"}, rows...),
	} {
		peak := b.peak(args...)
		t.Logf("%d MiB: %v", peak>>20, args)
		if peak >= 100<<20 {
			t.Errorf("%v: peak of %d MiB", args, peak>>20)
		}
	}
}

// peak runs the program and returns its peak memory. It does not use getrusage, whose maximum for a
// child starts with the memory of its parent.
func (b box) peak(args ...string) (bytes int64) {
	b.Helper()
	c := b.command(args...)
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	waited := make(chan result)
	go func() { c.Wait(); waited <- b.result(c) }()
	for {
		select {
		case e := <-waited:
			if e.code != exitDone {
				b.Fatalf("ingest %v: exit code %d\n%s", args, e.code, e.stderr)
			}
			return bytes
		case <-time.After(5 * time.Millisecond):
			bytes = max(bytes, highWater(c.Process.Pid))
		}
	}
}

// highWater returns the peak memory of a process so far; 0 if it has ended.
func highWater(pid int) (bytes int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &bytes); n == 1 {
			return bytes << 10
		}
	}
	return 0
}

// TestPeakMemoryOfLocators checks the same limit for `migrate locators`, with a file of 5 GiB for
// a folder, and smaller ones for blobs and a row.
func TestPeakMemoryOfLocators(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it writes 5 GiB")
	}
	for to, bytes := range map[string]int64{"dir": 5 << 30, inRows: 13 << 20,
		os.Getenv("INGEST_TEST_AZURITE"): 150 << 20} {
		if to == "" {
			continue // other tests report that Azurite is missing
		}
		r := newRegistry(t, to)
		path, digest := r.sparse("sparse", bytes)
		r.add(&content{digest, moves, []*otherAtom{{hash: pathHash(path), modality: "model", locator: path}}})
		for _, more := range []string{"--read-back", "--clear-locators"} {
			args := r.migrate(more)
			peak := r.peak(args...)
			t.Logf("%d MiB: %v", peak>>20, args)
			if peak >= 100<<20 {
				t.Errorf("%v: peak of %d MiB", args, peak>>20)
			}
		}
		r.final(true)
	}
}

// TestPeakMemoryOfLargeRows: rows of other programs with a large payload or large metadata are
// listed without reading those.
func TestPeakMemoryOfLargeRows(t *testing.T) {
	r := newRegistry(t, "dir")
	r.exec(`INSERT INTO Atoms (ContentHash, Modality, PayloadLocator, Payload)
		VALUES (zeroblob(32), 'text', '/none', zeroblob(200000000))`)
	r.exec(`INSERT INTO Atoms (ContentHash, Modality, PayloadLocator, BlobUri, Metadata)
		VALUES (randomblob(32), 'text', '/none', 'x', CAST(zeroblob(200000000) AS TEXT))`)
	peak := r.peak(r.migrate("--dry-run")...)
	t.Logf("%d MiB", peak>>20)
	if peak >= 100<<20 {
		t.Errorf("peak of %d MiB", peak>>20)
	}
}
