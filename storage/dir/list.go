package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// listChunk is how many names of a folder are read at a time.
const listChunk = 512

// List yields the payloads, including hidden ones, and the temporary files; see ingest.Store. It
// ignores files with other names. It also yields files that another process is writing: their
// Modified is recent.
func (s *Store) List(ctx context.Context) iter.Seq2[ingest.Object, error] {
	return func(yield func(ingest.Object, error) bool) {
		if !s.listPayloads(ctx, yield) {
			return
		}
		for _, folder := range s.trashFolders() {
			more := s.listFolder(ctx, folder, yield, func(name string) (ingest.Object, bool) {
				p, ok := storage.ParsePayload(name)
				return ingest.Object{Digest: p.Digest, Name: hiddenName(filepath.Base(folder), p), Hidden: true}, ok
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

// listPayloads reports whether to continue the listing.
func (s *Store) listPayloads(ctx context.Context, yield func(ingest.Object, error) bool) bool {
	for i := range 256 {
		fanOut := fmt.Sprintf("%02x", i)
		path := filepath.Join(s.folder(payloads), fanOut)
		more := s.listFolder(ctx, path, yield, func(name string) (ingest.Object, bool) {
			p, ok := storage.ParsePayload(name)
			return ingest.Object{Digest: p.Digest, Name: p.Name()}, ok && s.fanOut(p) == path
		})
		if !more {
			return false
		}
	}
	return true
}

// listFolder yields the regular files of one folder whose name parse accepts.
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
		return true // renamed or deleted since the folder was read
	}
	if err != nil {
		yield(ingest.Object{}, fmt.Errorf("list the store: %w", err))
		return false
	}
	object.Bytes, object.Modified = info.Size(), info.ModTime()
	return yield(object, nil)
}

// objectPath returns the path of an object, or an error if its name is not one of this store.
func (s *Store) objectPath(object ingest.Object) (string, error) {
	if name, ok := strings.CutPrefix(object.Name, temporaries+"/"); ok && object.Digest.IsZero() && isTemporary(name) {
		return filepath.Join(s.folder(temporaries), name), nil
	}
	folder, name := path.Split(object.Name)
	token := path.Base(folder)
	p, ok := storage.ParsePayload(name)
	switch {
	case !ok || p.Digest != object.Digest:
	case !object.Hidden && object.Name == p.Name():
		return s.payload(p), nil
	case object.Hidden && object.Name == hiddenName(token, p) && isTemporary(token):
		return filepath.Join(s.folder(trash), token, name), nil
	}
	return "", errors.New("not a name of this store")
}

// hiddenName is the store's name for a payload that the Delete with this token has hidden.
func hiddenName(token string, p storage.Payload) string {
	return trash + "/" + token + "/" + p.String()
}

// foldersAreReal reports whether none of the paths is a link or another kind of file. A path that
// does not exist or cannot be read is left to the caller, who opens it.
func foldersAreReal(paths ...string) bool {
	for _, path := range paths {
		if info, err := os.Lstat(path); err == nil && !info.IsDir() {
			return false
		}
	}
	return true
}
