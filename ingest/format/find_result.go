package format

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/source"
)

// result returns what was found.
func (f *finder) result() ingest.Found {
	var found ingest.Found
	for _, s := range f.manifests {
		found.Sources = append(found.Sources, s)
	}
	parts, blobs := map[string]bool{}, map[string]bool{}
	for _, s := range found.Sources {
		for _, file := range s.Files {
			if file.Role == ingest.Weights {
				blobs[place{real: source.Real(file.Path)}.key()] = true
			}
		}
	}
	for _, m := range f.found {
		if len(m.weights) > 1 {
			for _, at := range m.weights {
				parts[at.key()] = true
			}
		}
	}
	for key, m := range f.found {
		first := m.weights[0]
		_, ok := f.manifests[key]
		if ok || m.name == "" && len(m.weights) == 1 && (parts[first.key()] ||
			blobs[first.key()] && contentName.MatchString(filepath.Base(first.path))) {
			continue
		}
		found.Sources = append(found.Sources, m.source())
	}
	f.nameFiles(found.Sources)
	slices.SortFunc(found.Sources, func(a, b ingest.Source) int {
		return cmp.Or(cmp.Compare(a.URI, b.URI), cmp.Compare(a.Files[0].Path, b.Files[0].Path))
	})
	for path, n := range f.counts {
		if n.others > 0 {
			f.skip(path, otherFiles(n.others))
		}
		if n.hidden > 0 {
			f.skip(path, hiddenFiles(n.hidden))
		}
	}
	for path, n := range f.left {
		f.skip(path, leftOut(n))
	}
	found.Skipped, found.Refused = sorted(f.skipped), sorted(f.refused)
	return found
}

// Counted is the reason of a note that counts files of a given folder, which are not found.
type Counted string

// Error returns the reason.
func (c Counted) Error() string { return string(c) }

// otherFiles counts the files of a folder that are not models.
func otherFiles(n int) error {
	if n == 1 {
		return Counted("1 other file is not a model (--opaque-files stores it)")
	}
	return Counted(fmt.Sprintf("%d other files are not models (--opaque-files stores them)", n))
}

// hiddenFiles counts the files of a folder that are hidden, and its logs.
func hiddenFiles(n int) error { return Counted(fmt.Sprintf("hidden files and logs: %d", n)) }

// errLeftOut is for a file that is not selected.
var errLeftOut = errors.New("left out by --include or --exclude")

// leftOut is the note about n files that were not selected.
func leftOut(n int) error {
	if n == 1 {
		return Counted("1 file was left out by --include or --exclude")
	}
	return Counted(fmt.Sprintf("%d files were left out by --include or --exclude", n))
}

// sorted sorts notes by path and removes duplicates.
func sorted(notes []ingest.Note) []ingest.Note {
	slices.SortFunc(notes, func(a, b ingest.Note) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Reason.Error(), b.Reason.Error()))
	})
	return slices.CompactFunc(notes, func(a, b ingest.Note) bool {
		return a.Path == b.Path && a.Reason.Error() == b.Reason.Error()
	})
}
