// Package format finds models in files and folders (Find) and reads their headers (Parser). A file of
// an unknown format is a model without tensors.
package format

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/source"
)

// Finder searches files and folders for models:
//
//   - A folder in which another program keeps its models has the models that the program shows, with
//     their names: see layouts.
//   - Weights in any other folder are a model, together with the files that belong to them: see
//     group.
//   - Any file that is a given path is a model, or stands for the one to which it belongs.
//
// In folders, Find skips hidden and unfinished files, keys, logs and histories, and counts the files
// that are not models. It looks at names, and reads manifests, indexes, and the start of files whose
// names do not tell what they are.
type Finder struct {
	// OpaqueFiles finds files in folders that are not models, too.
	OpaqueFiles bool
	// Select selects files in folders. A file that is a given path is always found.
	Select Selection
	// Skip are files and folders that are not opened, and why.
	Skip map[string]error
}

// Find searches with the zero Finder.
func Find(ctx context.Context, paths []string) (ingest.Found, error) {
	return Finder{}.Find(ctx, paths)
}

// Find searches paths, which are files or folders. It adds what cannot be ingested to Refused and
// continues; the only error is that of ctx. The order of the results does not depend on the order
// of paths.
func (s Finder) Find(ctx context.Context, paths []string) (ingest.Found, error) {
	f := newFinder(ctx, treeOf(paths), s.OpaqueFiles)
	f.selection = s.Select
	for path, reason := range s.Skip {
		f.closed[place{real: source.Real(path)}.key()] = reason
	}
	for _, path := range paths {
		if err := f.find(path); err != nil {
			return ingest.Found{}, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.beside)) {
		if err := f.withNeighbours(f.beside[key]); err != nil {
			return ingest.Found{}, err
		}
	}
	return f.result(), nil
}

// finder collects the results of a search. It finds a file with two paths once, unless a layout has
// two names for it.
type finder struct {
	ctx       context.Context
	given     tree
	opaque    bool
	closed    map[string]error         // by real path, files and folders that are not opened
	found     map[string]model         // by name and real paths of the weights
	manifests map[string]ingest.Source // by name and real path of the first weights
	beside    map[string][]place       // given files to find with those beside them: see besideKey
	namings   map[naming]bool          // for the names of files
	counts    map[string]*count        // by given path
	selection Selection
	left      map[string]int // files that are not selected, by given path
	skipped   []ingest.Note
	refused   []ingest.Note
}

func newFinder(ctx context.Context, given tree, opaque bool) *finder {
	return &finder{ctx: ctx, given: given, opaque: opaque, closed: map[string]error{},
		found: map[string]model{}, manifests: map[string]ingest.Source{}, counts: map[string]*count{},
		left: map[string]int{}, beside: map[string][]place{}, namings: map[naming]bool{}}
}

func (f *finder) skip(path string, reason error) {
	f.skipped = append(f.skipped, ingest.Note{Path: path, Reason: reason})
}

func (f *finder) refuse(path string, reason error) {
	f.refused = append(f.refused, ingest.Note{Path: path, Reason: withoutPath(reason)})
}

// isClosed reports whether a file or folder is not opened, and adds the note.
func (f *finder) isClosed(at place) bool {
	for real := at.real; ; real = filepath.Dir(real) {
		if reason := f.closed[place{real: real}.key()]; reason != nil {
			f.skip(at.path, reason)
			return true
		}
		if at.info == nil || len(f.closed) == 0 || real == filepath.Dir(real) { // the folders above were found
			return false
		}
	}
}

// count counts the files under a given path that are not found and have no note of their own.
type count struct {
	others int // files that are not models
	hidden int // hidden files and logs
}

func (f *finder) countOf(path string) *count {
	f.counts[path] = new(count) // a second search of the path counts the same files
	return f.counts[path]
}

// withoutPath removes the path from an error of package os, because the note has it.
func withoutPath(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) && errors.Is(err, fs.ErrNotExist) {
		return errNotFound
	}
	if p, ok := err.(*fs.PathError); ok {
		return p.Err
	}
	return err
}

var errNotFound = errors.New("there is no such file or folder")

// find searches one of the given paths. Only a given path may be a link to anywhere.
func (f *finder) find(path string) error {
	if path == "" {
		f.refuse(path, errNotFound)
		return nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		f.refuse(path, err)
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		f.refuse(path, err)
		return nil
	}
	at := place{path: path, real: source.Real(path), info: info}
	at.root = at.real
	if !info.IsDir() {
		if err := source.CheckRegular(info.Mode()); err != nil {
			f.refuse(path, err)
			return nil
		}
		at.root = filepath.Dir(at.real) // the file may be a link that the user named
	}
	if f.isClosed(at) {
		return nil
	}
	if done, err := f.partOfLayout(at); done || err != nil {
		return err
	}
	if !info.IsDir() {
		return f.file(at)
	}
	if slices.Contains(keyFolders, filepath.Base(at.path)) || slices.Contains(keyFolders, filepath.Base(at.real)) {
		f.refuse(at.path, errKeys)
		return nil
	}
	f.nameBelow(at.path)
	w := f.walkFrom(at, f.given)
	return w.all(func() error { return w.folder(at) })
}

// add adds a model without a manifest. Of several paths to its weights, it keeps the best.
func (f *finder) add(m model) {
	if m.name == "" {
		m.name, m.uri = studioName(m.weights)
	}
	key := m.name
	for _, at := range m.weights {
		key += "\x00" + at.key()
	}
	if other, ok := f.found[key]; !ok || m.weights[0].better(other.weights[0]) {
		f.found[key] = m
	}
}

// addManifest adds a model that has a manifest.
func (f *finder) addManifest(s ingest.Source) {
	f.manifests[s.Name+"\x00"+place{real: source.Real(s.Files[0].Path)}.key()] = s
}
