package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/durable"
)

// Export writes file to path with WriteFile.
func (r *Reader) Export(ctx context.Context, file ingest.StoredFile, path string, overwrite bool) error {
	return WriteFile(path, overwrite, func(w io.Writer) error {
		_, err := r.Open(ctx, file).WriteTo(w)
		return err
	})
}

// WriteFile creates the file at path with the content from write, with CreateFile. It does not overwrite a
// database of SQLite, which may be a catalogue.
func WriteFile(path string, overwrite bool, write func(io.Writer) error) error {
	if overwrite && isDatabase(path) {
		return fmt.Errorf("%s is a database of SQLite, perhaps a catalogue, which is not replaced: delete it, or name "+
			"another file", ingest.Printable(path))
	}
	return CreateFile("export", path, overwrite, func(f *os.File) error { return write(f) })
}

// isDatabase reports whether the file at path begins like a database of SQLite:
// https://www.sqlite.org/fileformat.html#the_database_header.
func isDatabase(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() { // opening a pipe would wait for a writer
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	header := make([]byte, 16)
	_, err = io.ReadFull(f, header)
	return err == nil && string(header) == "SQLite format 3\x00"
}

// CreateFile creates the file at path with what write writes to it. It creates a temporary file in the
// same folder, syncs it and renames it, so path is never a partial file. If path exists, it is an error
// unless overwrite is set; a folder is an error in any case. After an error, which begins with act,
// CreateFile deletes the temporary file.
func CreateFile(act, path string, overwrite bool, write func(*os.File) error) error {
	switch info, err := os.Lstat(path); {
	case err != nil:
	case info.IsDir():
		return fmt.Errorf("%s is a folder, which is not replaced: name a file", ingest.Printable(path))
	case !overwrite:
		return fmt.Errorf("%s exists: --force replaces it", ingest.Printable(path))
	}
	temporary, err := createPartial(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("folder %s does not exist", ingest.Printable(filepath.Dir(path)))
	}
	if err != nil {
		return err
	}
	err = write(temporary)
	if err == nil {
		err = temporary.Sync()
	}
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = rename(temporary.Name(), path, overwrite)
	}
	if err == nil {
		return durable.SyncFolder(filepath.Dir(path))
	}
	return fmt.Errorf("%s %s: %w", act, ingest.Printable(path), errors.Join(err, os.Remove(temporary.Name())))
}

// rename renames a file. It replaces an existing file only if overwrite is set: it may have been
// created in the hours since WriteFile checked.
func rename(from, to string, overwrite bool) error {
	if overwrite {
		return os.Rename(from, to)
	}
	if err := os.Link(from, to); err == nil {
		return os.Remove(from)
	}
	if _, err := os.Lstat(to); err == nil {
		return errors.New("it exists now: --force replaces it")
	}
	return os.Rename(from, to) // the file system has no hard links
}
