// Package layout writes stored models in the layouts of other programs.
//
// A model is written under one of its names. Original, Ollama, HuggingFace and OCI say which files
// that takes, as a list of entries; they write nothing. A Writer writes the entries into a folder, in
// their order: a manifest or a list of models comes after the files that it names, so that an
// interrupted export does not look like a complete one.
//
// Names and paths come from a database, and are not trusted: see checkPath.
package layout

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// Model is a stored model under one of its names.
type Model struct {
	ingest.Summary
	Alias ingest.Alias
	Under []File // the files of the name; those that list others come last
}

// File is a file of a Model.
type File struct {
	ingest.StoredFile
	// Path is that of ingest.NamedFile. Files without a recorded one have their own name, or one made
	// from their digest.
	Path string
}

// Entry is a file to write.
type Entry struct {
	Path   string // relative, with slashes
	Stored *ingest.StoredFile
	// Content is that of a small file that is made, without Stored.
	Content []byte
	// Merge returns the content of a small file that lists models, given the content that it has; nil
	// for a file that does not exist.
	Merge func(present []byte) ([]byte, error)
}

// Layout is a list of files to write.
type Layout struct {
	// Name of the model in the layout; nil if it has none there. A tag is known when its list is written:
	// another model may have it.
	Name    *string
	Entries []Entry
	// Left are the files of the model that have no place in the layout, and why.
	Left []ingest.Note
}

// Read returns the content of a small stored file, such as a manifest.
type Read func(ingest.StoredFile) ([]byte, error)

// Of returns a model under a name.
func Of(m ingest.Summary, name ingest.Name) Model {
	model := Model{Summary: m, Alias: name.Alias}
	taken := map[string]bool{}
	for _, f := range m.FilesOf(name) {
		model.Under = append(model.Under, File{StoredFile: f, Path: m.PathOf(name, f.ID)})
		taken[model.Under[len(model.Under)-1].Path] = true
	}
	slices.SortStableFunc(model.Under, func(a, b File) int { return orderOf(a.Role) - orderOf(b.Role) })
	for i := range model.Under {
		f := &model.Under[i]
		if f.Path != "" {
			continue
		}
		if f.Path = FileName(f.StoredFile); taken[f.Path] {
			f.Path = fmt.Sprintf("%d-%s", f.Index, f.Digest)
		}
		taken[f.Path] = true
	}
	return model
}

// orderOf is 1 for a file that lists others.
func orderOf(role ingest.Role) int {
	if role == ingest.Manifest || role == "index" {
		return 1
	}
	return 0
}

// FileName returns the last element of a file's name, which comes from a database; its digest if
// there is none.
func FileName(f ingest.StoredFile) string {
	name := filepath.Base(filepath.Clean("/" + f.Name)) // on Windows, a backslash separates, too
	if name == string(filepath.Separator) {
		return f.Digest.String()
	}
	return name
}

// stored returns the entry of a stored file.
func stored(path string, f *ingest.StoredFile) Entry { return Entry{Path: path, Stored: f} }

// made returns the entry of a file that is made.
func made(path string, content []byte) Entry { return Entry{Path: path, Content: content} }

// withRole returns the files with a role.
func (m *Model) withRole(role ingest.Role) (files []*File) {
	for i := range m.Under {
		if m.Under[i].Role == role {
			files = append(files, &m.Under[i])
		}
	}
	return files
}

// withDigest returns a file by its content; nil for none.
func (m *Model) withDigest(digest ingest.Digest) *File {
	i := slices.IndexFunc(m.Under, func(f File) bool { return f.Digest == digest })
	if i < 0 {
		return nil
	}
	return &m.Under[i]
}

// leave adds a file that has no place in the layout.
func (l *Layout) leave(f *File, reason string, args ...any) {
	l.Left = append(l.Left, ingest.Note{Path: f.Path, Reason: fmt.Errorf(reason, args...)})
}
