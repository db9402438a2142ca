package main

import (
	"path/filepath"
	"testing"
)

// TestDryRunOnOneDisk: a store and a catalogue on the same disk need the space of both.
func TestDryRunOnOneDisk(t *testing.T) {
	folder := t.TempDir()
	p := &program{catalog: "sqlite:" + filepath.Join(folder, "catalog.db"),
		store: "dir:" + filepath.Join(folder, "new", "store")}
	disks, err := p.disks(&dryTotals{fresh: fileCount{files: 1, bytes: 5000}, segments: 3})
	if err != nil || len(disks) != 1 || disks[0].needed != 5000+3*rowBytes {
		t.Errorf("%+v, %v", disks, err)
	}
}
