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

// listChunk is how many names of a folder are held at a time.
const listChunk = 512

// List yields the payloads, the hidden ones too, and the temporary files of the
// store; see ingest.Store. Files under names that the store does not give are
// not ours: they are not yielded. A write that another process is busy with is
// yielded too: its Modified tells it from an old one.
func (s *Store) List(ctx context.Context) iter.Seq2[ingest.Object, error] {
	return func(yield func(ingest.Object, error) bool) {
		if !s.listPayloads(ctx, yield) {
			return
		}
		for _, folder := range s.trashFolders() {
			more := s.listFolder(ctx, folder, yield, func(name string) (ingest.Object, bool) {
				var digest ingest.Digest
				err := digest.UnmarshalText([]byte(name))
				return ingest.Object{
					Digest: digest,
					Name:   hiddenName(filepath.Base(folder), digest),
					Hidden: true,
				}, err == nil
			})
			if !more {
				return
			}
		}
		s.listFolder(ctx, s.folder(temporaries), yield, func(name string) (ingest.Object, bool) {
			return ingest.Object{Name: temporaries + "/" + name}, isTemporary(name)
		})
	}
}

// listPayloads reports whether the listing goes on.
func (s *Store) listPayloads(ctx context.Context, yield func(ingest.Object, error) bool) bool {
	for i := range 256 {
		fanOut := fmt.Sprintf("%02x", i)
		path := filepath.Join(s.folder(payloads), fanOut)
		more := s.listFolder(ctx, path, yield, func(name string) (ingest.Object, bool) {
			digest, ok := payloadDigest(fanOut, name)
			return ingest.Object{Digest: digest, Name: payloads + "/" + fanOut + "/" + name}, ok
		})
		if !more {
			return false
		}
	}
	return true
}

// listFolder yields the regular files of one folder that parse knows.
func (s *Store) listFolder(ctx context.Context, path string, yield func(ingest.Object, error) bool,
	parse func(name string) (ingest.Object, bool)) bool {
	if !foldersAreReal(filepath.Dir(path), path) {
		return true
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		yield(ingest.Object{}, fmt.Errorf("list the store: %w", err))
		return false
	}
	defer f.Close()
	for {
		if err := ctx.Err(); err != nil {
			yield(ingest.Object{}, err)
			return false
		}
		entries, err := f.ReadDir(listChunk)
		for _, entry := range entries {
			if !yieldEntry(entry, yield, parse) {
				return false
			}
		}
		if err == io.EOF {
			return true
		}
		if err != nil {
			yield(ingest.Object{}, fmt.Errorf("list the store: %w", err))
			return false
		}
	}
}

func yieldEntry(entry fs.DirEntry, yield func(ingest.Object, error) bool,
	parse func(name string) (ingest.Object, bool)) bool {
	object, ours := parse(entry.Name())
	if !ours || !entry.Type().IsRegular() {
		return true
	}
	info, err := entry.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return true // renamed or removed since the folder was read
	}
	if err != nil {
		yield(ingest.Object{}, fmt.Errorf("list the store: %w", err))
		return false
	}
	object.Bytes, object.Modified = info.Size(), info.ModTime()
	return yield(object, nil)
}

// objectPath returns where an object is, if the store could have named it so.
func (s *Store) objectPath(object ingest.Object) (string, error) {
	if name, ok := strings.CutPrefix(object.Name, temporaries+"/"); ok && object.Digest.IsZero() && isTemporary(name) {
		return filepath.Join(s.folder(temporaries), name), nil
	}
	if !object.Hidden && object.Name == payloadName(object.Digest) {
		return s.payload(object.Digest), nil
	}
	token, ok := strings.CutSuffix(strings.TrimPrefix(object.Name, trash+"/"), "/"+object.Digest.String())
	if ok && object.Hidden && object.Name == hiddenName(token, object.Digest) && isTemporary(token) {
		return filepath.Join(s.folder(trash), token, object.Digest.String()), nil
	}
	return "", errors.New("it is not a name of this store")
}

// hiddenName is the store's own name for a payload that the Delete with this token has hidden.
func hiddenName(token string, d ingest.Digest) string { return trash + "/" + token + "/" + d.String() }

// foldersAreReal reports whether none of the paths is a link or another stand-in.
// One that is missing, or that cannot be looked at, is left to the caller that opens it.
func foldersAreReal(paths ...string) bool {
	for _, path := range paths {
		if info, err := os.Lstat(path); err == nil && !info.IsDir() {
			return false
		}
	}
	return true
}
