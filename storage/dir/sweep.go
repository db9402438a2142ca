package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// sweepChunk is how many names of a folder are held at a time.
const sweepChunk = 512

// Sweep yields the payloads and the temporary files of the store; see
// ingest.Sweeper. It ends at the first error. Files under names that the store
// does not give are not ours: they are not yielded. A write that another
// process is busy with is yielded too: its Modified tells it from an old one.
func (s *Store) Sweep(ctx context.Context) iter.Seq2[ingest.Object, error] {
	return func(yield func(ingest.Object, error) bool) {
		if !s.sweepPayloads(ctx, yield) {
			return
		}
		s.sweepFolder(ctx, s.folder(temporaries), yield, func(name string) (ingest.Object, bool) {
			return ingest.Object{Name: temporaries + "/" + name}, isTemporary(name)
		})
	}
}

// sweepPayloads reports whether the sweep goes on.
func (s *Store) sweepPayloads(ctx context.Context, yield func(ingest.Object, error) bool) bool {
	for i := range 256 {
		fanOut := fmt.Sprintf("%02x", i)
		path := filepath.Join(s.folder(payloads), fanOut)
		more := s.sweepFolder(ctx, path, yield, func(name string) (ingest.Object, bool) {
			digest, ok := payloadDigest(fanOut, name)
			return ingest.Object{Digest: digest, Name: payloads + "/" + fanOut + "/" + name}, ok
		})
		if !more {
			return false
		}
	}
	return true
}

// sweepFolder yields the regular files of one folder that parse knows.
func (s *Store) sweepFolder(ctx context.Context, path string, yield func(ingest.Object, error) bool,
	parse func(name string) (ingest.Object, bool)) bool {
	if !foldersAreReal(filepath.Dir(path), path) {
		return true
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		yield(ingest.Object{}, fmt.Errorf("sweep: %w", err))
		return false
	}
	defer f.Close()
	for {
		if err := ctx.Err(); err != nil {
			yield(ingest.Object{}, err)
			return false
		}
		entries, err := f.ReadDir(sweepChunk)
		for _, entry := range entries {
			if !yieldEntry(entry, yield, parse) {
				return false
			}
		}
		if err == io.EOF {
			return true
		}
		if err != nil {
			yield(ingest.Object{}, fmt.Errorf("sweep: %w", err))
			return false
		}
	}
}

func yieldEntry(entry fs.DirEntry, yield func(ingest.Object, error) bool,
	parse func(name string) (ingest.Object, bool)) bool {
	stray, ours := parse(entry.Name())
	if !ours || !entry.Type().IsRegular() {
		return true
	}
	info, err := entry.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return true // renamed or removed since the folder was read
	}
	if err != nil {
		yield(ingest.Object{}, fmt.Errorf("sweep: %w", err))
		return false
	}
	stray.Bytes, stray.Modified = info.Size(), info.ModTime()
	return yield(stray, nil)
}

// Remove deletes a payload or a temporary file; see ingest.Sweeper. It refuses
// any name that Sweep does not yield. That the name is gone is not made durable:
// after a power cut the file may be back, and the next gc finds it.
func (s *Store) Remove(ctx context.Context, stray ingest.Object) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path, err := s.strayPath(stray)
	if err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove: %w", explain(err))
	}
	if !info.Mode().IsRegular() || !foldersAreReal(filepath.Dir(filepath.Dir(path)), filepath.Dir(path)) {
		return fmt.Errorf("remove %s: it is not a file of this store", path)
	}
	err = s.do("remove", path, func() error { return os.Remove(path) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove: %w", explain(err))
	}
	return nil
}

// strayPath returns where stray lies, if the store could have named it so.
func (s *Store) strayPath(stray ingest.Object) (string, error) {
	if name, ok := strings.CutPrefix(stray.Name, temporaries+"/"); ok && stray.Digest.IsZero() && isTemporary(name) {
		return filepath.Join(s.folder(temporaries), name), nil
	}
	if stray.Name == payloadName(stray.Digest) {
		return s.payload(stray.Digest), nil
	}
	return "", fmt.Errorf("remove %q: it is not a name of this store", stray.Name)
}

// foldersAreReal reports whether none of the paths is a link or another stand-in.
// One that is missing, or that cannot be looked at, is left to whoever opens it.
func foldersAreReal(paths ...string) bool {
	for _, path := range paths {
		if info, err := os.Lstat(path); err == nil && !info.IsDir() {
			return false
		}
	}
	return true
}
