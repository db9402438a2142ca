// Package format finds models in files and folders (Find) and reads their headers (Parser). A file of
// an unknown format is a model without tensors.
package format

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/ollama"
	"github.com/hartonomous/ingest/ingest/source"
)

// Find searches paths, which are files or folders, for models:
//
//   - An Ollama models folder, at any depth, has a source for each manifest, and one for each blob
//     that no manifest names.
//   - The parts of a split GGUF (name-00001-of-00003.gguf) are one source. Any part stands for all.
//   - Any other regular file is a source. In folders, Find skips hidden and unfinished files, keys,
//     logs and histories.
//
// It only looks at names and reads manifests. It adds what cannot be ingested to Refused and
// continues; the only error is that of ctx. The order of the results does not depend on the order
// of paths.
func Find(ctx context.Context, paths []string) (ingest.Found, error) {
	f := finder{ctx: ctx, given: treeOf(paths), plain: map[string]place{}, named: map[string]bool{},
		models: map[string]ingest.Source{}, names: map[string]string{}}
	for _, path := range paths {
		if err := f.find(path); err != nil {
			return ingest.Found{}, err
		}
	}
	return f.found(), nil
}

// finder collects the results of a search. The keys of its maps are real paths, so that it finds a
// file with two paths once.
type finder struct {
	ctx     context.Context
	given   tree
	plain   map[string]place         // files that are a source or a part of a split model
	named   map[string]bool          // blobs that a manifest names
	models  map[string]ingest.Source // by manifest and name
	names   map[string]string        // model names of plain files
	skipped []ingest.Note
	refused []ingest.Note
}

func (f *finder) skip(path string, reason error) {
	f.skipped = append(f.skipped, ingest.Note{Path: path, Reason: reason})
}

func (f *finder) refuse(path string, reason error) {
	f.refused = append(f.refused, ingest.Note{Path: path, Reason: withoutPath(reason)})
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
	if part, ok := partOf(at); ok {
		return f.ollamaPart(part)
	}
	if info.IsDir() {
		return f.walkAll(at)
	}
	return f.file(at)
}

// file adds a file that is a given path.
func (f *finder) file(at place) error {
	if isUnfinished(filepath.Base(at.path)) {
		f.refuse(at.path, errUnfinished)
		return nil
	}
	f.add(at)
	if name := f.modelOfBlob(at); name != "" {
		f.names[at.key()] = name
	}
	return f.siblings(at)
}

// add adds a plain file. Of several paths to it, it keeps the best.
func (f *finder) add(at place) {
	if other, ok := f.plain[at.key()]; !ok || at.better(other) {
		f.plain[at.key()] = at
	}
}

// found returns the result.
func (f *finder) found() ingest.Found {
	var found ingest.Found
	for _, source := range f.models {
		found.Sources = append(found.Sources, source)
	}
	for key := range f.named {
		delete(f.plain, key)
	}
	for _, set := range f.extractSplits() {
		source, err := set.source()
		if err != nil {
			f.refuse(set.first(), err)
			continue
		}
		found.Sources = append(found.Sources, source)
	}
	for key, at := range f.plain {
		found.Sources = append(found.Sources, plainSource(at, f.names[key]))
	}
	slices.SortFunc(found.Sources, func(a, b ingest.Source) int {
		return cmp.Or(cmp.Compare(a.URI, b.URI), cmp.Compare(a.Files[0].Path, b.Files[0].Path))
	})
	found.Skipped, found.Refused = sorted(f.skipped), sorted(f.refused)
	return found
}

func plainSource(at place, name string) ingest.Source {
	source := ingest.Source{Name: name, URI: fileURI(at.path), Files: []ingest.SourceFile{sourceFile(at)}}
	if name != "" {
		source.URI = ollama.URI(name)
	}
	return source
}

// sourceFile returns a file that no manifest names. Its expected digest comes from its name or that
// of the link's target.
func sourceFile(at place) ingest.SourceFile {
	file := ingest.SourceFile{Path: at.path, Root: at.root, Role: ingest.Weights, ExpectedBytes: -1}
	for _, path := range []string{at.path, at.real} {
		if digest, ok := ollama.BlobDigest(filepath.Base(path)); ok {
			file.Expected = digest
			break
		}
	}
	return file
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
