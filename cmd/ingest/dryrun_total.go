package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

// dryTotals count what a run would do.
type dryTotals struct {
	catalog       ingest.Catalog // nil if there is none
	seen          map[string]bool
	models, files int
	bytes         int64
	fresh, known  fileCount // to ingest; stored already and unchanged, or found under another name, too
	segments      int64     // of fresh files
}

type fileCount struct {
	files int
	bytes int64
}

func (c *fileCount) add(bytes int64) {
	c.files++
	c.bytes += bytes
}

// isPresent reports whether a file is stored and unchanged, or was counted for another model.
func (t *dryTotals) isPresent(ctx context.Context, f *ingest.File) (bool, error) {
	if t.seen[f.Path] {
		return true, nil
	}
	t.seen[f.Path] = true
	if t.catalog == nil {
		return false, nil
	}
	stored, err := t.catalog.Unchanged(ctx, f.Path, f.Bytes, f.Modified.UnixNano())
	if errors.Is(err, ingest.ErrNotFound) {
		return false, nil
	}
	return err == nil && stored.Role == f.Role && (f.Expected.IsZero() || f.Expected == stored.Digest), err
}

// count adds a file to the totals.
func (t *dryTotals) count(f *ingest.File, present bool, segments int64) {
	t.files++
	t.bytes += f.Bytes
	if present {
		t.known.add(f.Bytes)
		return
	}
	t.fresh.add(f.Bytes)
	t.segments += segments
}

// rowBytes is what the rows of a segment take in a SQLite catalogue, at most.
const rowBytes = 1 << 10

// diskUse is what a run writes to one disk at most.
type diskUse struct {
	what   string // the store's folder, the catalogue, or both
	folder string // that exists
	needed int64
	free   int64
}

// disks returns the disks of a store in a folder, and of a SQLite catalogue: one if both are on the same.
func (p *program) disks(t *dryTotals) ([]diskUse, error) {
	catalog, err := p.catalogPath()
	if err != nil {
		return nil, err
	}
	rows := diskUse{what: "catalogue " + ingest.Printable(catalog), folder: catalog, needed: t.segments * rowBytes}
	address := p.storeURL(catalog)
	if address == inRows {
		rows.needed += t.fresh.bytes
	}
	var all []diskUse
	if folder, ok := strings.CutPrefix(address, "dir:"); ok {
		all = append(all, diskUse{what: "store " + ingest.Printable(address), folder: folder, needed: t.fresh.bytes})
	}
	if !sqlserver.IsAddress(p.catalog) {
		all = append(all, rows)
	}
	names := make([]string, len(all))
	for i := range all {
		d := &all[i]
		if d.folder, err = existing(d.folder); err == nil {
			names[i], d.free, err = diskOf(d.folder)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.what, err)
		}
	}
	if len(all) == 2 && names[0] == names[1] {
		all[0].what += " and " + all[1].what
		all[0].needed += all[1].needed
		all = all[:1]
	}
	return all, nil
}

// existing returns the first folder above a path, or the path itself, that exists.
func existing(path string) (string, error) {
	path, err := filepath.Abs(path)
	for err == nil {
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() || path == filepath.Dir(path) {
			break
		}
		path = filepath.Dir(path)
	}
	return path, err
}

func (t *dryTotals) summary(skipped, refused int) dryRunSummary {
	return dryRunSummary{newSummary(), t.models, t.files, t.bytes, t.fresh.files, t.fresh.bytes, t.known.files,
		t.known.bytes, skipped, refused, nil, nil}
}

// printTotals prints the totals, and warns of a disk that may be too small. It returns the error of the
// look at the disks as a warning.
func (p *program) printTotals(t *dryTotals, skipped, refused int) {
	disks, err := p.disks(t)
	if err != nil {
		fmt.Fprintf(p.stderr, "ingest: warning: free space was not checked: %s\n", terminalSafe(err.Error()))
	}
	needed, free, known := int64(0), int64(0), len(disks) > 0
	for i, d := range disks {
		needed += d.needed
		if i == 0 || d.free < free {
			free = d.free
		}
		if d.needed > d.free {
			fmt.Fprintf(p.stderr, "ingest: warning: %s: %s are free, and the run may need %s: name another disk, or "+
				"free space first (compression and shared content may save some)\n", d.what, human(d.free),
				human(d.needed))
		}
	}
	if p.json {
		o := t.summary(skipped, refused)
		if known {
			o.BytesNeeded, o.BytesFree = &needed, &free
		}
		p.printJSON(o)
		return
	}
	text := ""
	if known {
		text = fmt.Sprintf("; at most %s of disk needed, %s free", human(needed), human(free))
	}
	p.printf("would ingest: %s, %s, %s: %s in %s new, %s in %s already present; %d skipped, %d refused%s\n",
		plural(t.models, "model"), plural(t.files, "file"), human(t.bytes), human(t.fresh.bytes),
		plural(t.fresh.files, "file"), human(t.known.bytes), plural(t.known.files, "file"), skipped, refused, text)
}
