package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/durable"
)

// Export writes file to path, as WriteFile does.
func (r *Reader) Export(ctx context.Context, file ingest.StoredFile, path string, overwrite bool) error {
	return WriteFile(path, overwrite, func(w io.Writer) error {
		_, err := r.Open(ctx, file).WriteTo(w)
		return err
	})
}

// WriteFile has write fill a file, and gives it the name path once it is whole. It is written under a temporary name in
// the same folder, made durable, and then renamed: path is never a part of a file. An existing path is an error
// unless overwrite is set. After an error nothing is left behind.
func WriteFile(path string, overwrite bool, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil && !overwrite {
		return fmt.Errorf("%s exists: --force replaces it", ingest.Printable(path))
	}
	temporary, err := createPartial(path)
	if err != nil {
		return err
	}
	err = write(temporary)
	if err == nil {
		err = temporary.Sync()
	}
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = giveName(temporary.Name(), path, overwrite)
	}
	if err == nil {
		return durable.SyncFolder(filepath.Dir(path))
	}
	return fmt.Errorf("export %s: %w", ingest.Printable(path), errors.Join(err, os.Remove(temporary.Name())))
}

// giveName renames a whole file. It replaces a file only if overwrite is set: hours may have passed since it was
// first looked for.
func giveName(from, to string, overwrite bool) error {
	if overwrite {
		return os.Rename(from, to)
	}
	if err := os.Link(from, to); err == nil {
		return os.Remove(from)
	}
	if _, err := os.Lstat(to); err == nil {
		return errors.New("it exists by now: --force replaces it")
	}
	return os.Rename(from, to) // a file system without links
}

// createPartial makes the file that is written first, beside path, under a name that says what it is where a kill has
// left it behind. Two exports never share one.
func createPartial(path string) (*os.File, error) {
	name := fmt.Sprintf("ingest-%d-%08x.partial", os.Getpid(), rand.Uint32())
	return os.OpenFile(filepath.Join(filepath.Dir(path), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}
