package layout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/durable"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/ingest/source"
)

// maxListBytes limits the size of a list of models that is merged.
const maxListBytes = 16 << 20

// Writer writes entries into a folder.
type Writer struct {
	Reader *reader.Reader
	Folder string
	Force  bool // replaces files with other content
	// Done is called for each file that was written, or is there with the right content.
	Done func(Written)

	paths map[string]string // of the entries that were written, by their path in lower case
	sums  map[string]ingest.Digest
}

// Written is a file of a layout.
type Written struct {
	Path    string
	Digest  ingest.Digest
	Bytes   int64
	Present bool // it was there
}

// Check returns an error for a path that cannot be written, or that a link in the folder leads out of it.
func (w *Writer) Check(entries []Entry) error {
	for _, e := range entries {
		if err := checkPath(e.Path); err != nil {
			return err
		}
		if err := checkLinks(w.Folder, e.Path); err != nil {
			return err
		}
	}
	return nil
}

// Write writes the entries of a layout. It checks all paths first. A file with the right content is
// left as it is; one with other content is an error unless Force is set.
func (w *Writer) Write(ctx context.Context, entries []Entry) error {
	if err := w.Check(entries); err != nil {
		return err
	}
	if err := durable.MkdirAll(w.Folder, 0o755); err != nil {
		return err
	}
	if w.paths == nil {
		w.paths, w.sums = map[string]string{}, map[string]ingest.Digest{}
	}
	for i := range entries {
		if err := w.entry(ctx, &entries[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) entry(ctx context.Context, e *Entry) error {
	path := filepath.Join(w.Folder, filepath.FromSlash(e.Path))
	if e.Merge != nil {
		return w.merge(path, e)
	}
	written := Written{Path: path, Digest: ingest.Sum(e.Content), Bytes: int64(len(e.Content))}
	if e.Stored != nil {
		written.Digest, written.Bytes = e.Stored.Digest, e.Stored.Bytes
	}
	if twice, err := w.isTwice(e.Path, path, written.Digest); twice || err != nil {
		return err
	}
	present, err := hasContent(ctx, path, written.Bytes, written.Digest)
	switch {
	case err != nil:
		return err
	case present:
		written.Present = true
	case exists(path) && !w.Force:
		return fmt.Errorf("%s exists with other content: --force replaces it", ingest.Printable(path))
	default:
		err := w.create(ctx, path, e)
		if err != nil { // another export may have written it
			written.Present, _ = hasContent(ctx, path, written.Bytes, written.Digest)
		}
		if err != nil && !written.Present {
			return err
		}
	}
	w.Done(written)
	return nil
}

// create writes a file.
func (w *Writer) create(ctx context.Context, path string, e *Entry) error {
	if err := durable.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if e.Stored != nil {
		return w.Reader.Export(ctx, *e.Stored, path, w.Force)
	}
	return writeContent(path, e.Content, w.Force)
}

func writeContent(path string, content []byte, overwrite bool) error {
	return reader.WriteFile(path, overwrite, func(to io.Writer) error {
		_, err := to.Write(content)
		return err
	})
}

// isTwice reports whether an entry with this path was written already. It is an error if that has
// other content, also if the file system takes two paths for one.
func (w *Writer) isTwice(name, path string, digest ingest.Digest) (bool, error) {
	if sum, ok := w.sums[name]; ok && sum == digest {
		return true, nil
	} else if ok {
		return false, fmt.Errorf("%s: two different files have this path: export them into two folders",
			ingest.Printable(path))
	}
	lower := strings.ToLower(name)
	if other, ok := w.paths[lower]; ok {
		here, err := os.Stat(path)
		there, otherErr := os.Stat(filepath.Join(w.Folder, filepath.FromSlash(other)))
		if err == nil && otherErr == nil && os.SameFile(here, there) {
			return false, fmt.Errorf("%s and %s are one path on this file system: export them into two folders",
				ingest.Printable(path), ingest.Printable(other))
		}
	}
	w.paths[lower], w.sums[name] = name, digest
	return false, nil
}

// merge writes a list of models that also has those that are there. Two exports to a folder do it one
// after the other.
func (w *Writer) merge(path string, e *Entry) error {
	unlock, err := lock(w.Folder)
	if err != nil {
		return err
	}
	defer unlock()
	present, err := readSmall(path)
	if err != nil {
		return err
	}
	content, err := e.Merge(present)
	if err != nil {
		return fmt.Errorf("%s: %w", ingest.Printable(path), err)
	}
	written := Written{Path: path, Digest: ingest.Sum(content), Bytes: int64(len(content))}
	if written.Present = present != nil && string(present) == string(content); !written.Present {
		if err := durable.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := writeContent(path, content, present != nil); err != nil {
			return err
		}
	}
	w.Done(written)
	return nil
}

// readSmall returns the content of a list of models; nil if the file does not exist.
func readSmall(path string) ([]byte, error) {
	file, err := source.Open(path, "") // which does not wait at a pipe
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ingest.Printable(path), err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxListBytes+1))
	if err == nil && len(content) > maxListBytes {
		err = fmt.Errorf("%s has more than %d bytes", ingest.Printable(path), maxListBytes)
	}
	if content == nil {
		content = []byte{}
	}
	return content, err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// hasContent reports whether a path is a regular file, or a link to one, with this content.
func hasContent(ctx context.Context, path string, bytes int64, digest ingest.Digest) (bool, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != bytes {
		return false, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	sum, err := source.Hash(ctx, file, path, bytes, func(int64) {})
	return err == nil && sum == digest, err
}
