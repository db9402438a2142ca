package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
)

// errInUse says why the program's own files are skipped.
var errInUse = errors.New("the catalogue or the store in use")

// find searches paths for what the flags select. It skips the catalogue and
// the store in use: they change while they are read, and closing any handle of a SQLite file drops
// the process's locks on it.
func (p *program) find(ctx context.Context, f selectFlags, paths []string) (ingest.Found, error) {
	inUse, err := p.pathsInUse()
	if err != nil {
		return ingest.Found{}, err
	}
	finder := format.Finder{OpaqueFiles: f.others, Select: f.patterns, Skip: map[string]error{}}
	for _, used := range inUse {
		finder.Skip[used.path] = errInUse
	}
	end := p.announce("searching for models")
	found, err := finder.Find(ctx, paths)
	end()
	if err != nil {
		return found, err
	}
	found.Sources = slices.DeleteFunc(found.Sources, func(source ingest.Source) bool {
		for _, file := range source.Files {
			for _, used := range inUse {
				if used.contains(file.Path) {
					found.Skipped = append(found.Skipped, ingest.Note{Path: used.path, Reason: errInUse})
					return true
				}
			}
		}
		return false
	})
	slices.SortStableFunc(found.Skipped, func(a, b ingest.Note) int { return strings.Compare(a.Path, b.Path) })
	found.Skipped = slices.CompactFunc(found.Skipped, func(a, b ingest.Note) bool { return a == b })
	return found, nil
}

// requireFound returns an error if a search found nothing: at most it counted files.
func requireFound(found ingest.Found, paths []string) error {
	isFile := func(n ingest.Note) bool { _, counted := n.Reason.(format.Counted); return !counted }
	if len(found.Sources)+len(found.Refused) > 0 || slices.ContainsFunc(found.Skipped, isFile) {
		return nil
	}
	more := ""
	if len(paths) > 1 {
		more = fmt.Sprintf(", and %d more", len(paths)-1)
	}
	return usage("no models found under %s%s", ingest.Printable(paths[0]), more)
}

// pathInUse is a file or a folder that the program writes to.
type pathInUse struct {
	path string
	info os.FileInfo
}

func (p *program) pathsInUse() ([]pathInUse, error) {
	catalog, err := p.catalogPath()
	if err != nil {
		return nil, err
	}
	paths := []string{catalog, catalog + "-wal", catalog + "-shm"}
	if folder, ok := strings.CutPrefix(p.storeURL(catalog), "dir:"); ok {
		paths = append(paths, folder)
	}
	var inUse []pathInUse
	for _, path := range paths {
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		if info, err := os.Stat(path); err == nil {
			inUse = append(inUse, pathInUse{path, info})
		}
	}
	return inUse, nil
}

// contains reports whether path is p or is within it, also through links.
func (p pathInUse) contains(path string) bool {
	if path == p.path { // some systems refuse to open what SQLite has mapped
		return true
	}
	path, err := filepath.EvalSymlinks(path)
	for err == nil {
		if info, err := os.Stat(path); err == nil && os.SameFile(info, p.info) {
			return true
		}
		parent := filepath.Dir(path)
		if parent == path || !p.info.IsDir() {
			break
		}
		path = parent
	}
	return false
}
