// Package dir keeps payloads in a local folder, one file each:
//
//	<root>/owner                               the identity of the catalogue that the store belongs to
//	<root>/sha256/ab/<64 hexadecimal digits>   payloads, by the first byte of their digest
//	<root>/tmp/<process>-<random>              payloads that are being written
//	<root>/trash/<process>-<random>/<digest>   payloads that a Delete has hidden
//	<root>/catalogs/<identity>                 of stores from before there was an owner: who used it
//
// A payload is written under a temporary name, synced, renamed to its digest,
// and then its folder is synced. So a file that has a digest for a name is whole
// and on the disk, and a crash at any instant leaves at most a temporary file
// and a payload that no row refers to. Payloads are private to the user.
//
// Nothing in the store is reached through a symbolic link below the root. The
// folder may be moved: addresses are relative to it.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

var _ ingest.FileStore = (*Store)(nil)

// Store is a folder of payloads. Any number of processes may use one folder at once.
type Store struct {
	root   string
	policy storage.Policy // how an operation is tried again
	// hook sees each change of the folder before and after it takes effect, and
	// can make it fail. It is nil but in tests.
	hook func(step, path string, done bool) error

	preparing sync.Mutex
	prepared  bool // the folders exist, durably
}

// Open returns the store in the folder at path. A folder that does not exist
// yet is made by the first Put or claim, so that a mere look creates nothing.
func Open(path string) (*Store, error) {
	if path == "" {
		return nil, errors.New("the store's folder has no name")
	}
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store folder %s: %w", path, err)
	}
	info, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Store{root: root}, nil
	case err != nil:
		return nil, fmt.Errorf("store folder: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("store folder %s: it is a file, not a folder", root)
	}
	f, err := os.Open(root)
	if err != nil {
		return nil, fmt.Errorf("store folder: %w", err)
	}
	return &Store{root: root}, f.Close()
}

// try runs op, and again where its error may pass.
func (s *Store) try(ctx context.Context, op func() error) error {
	return storage.Do(ctx, s.policy, func() error { return explain(op()) })
}

// Put stores payload; see ingest.Store.
func (s *Store) Put(ctx context.Context, key ingest.Key, payload []byte) (ingest.Address, error) {
	return s.store(ctx, key.Digest, payload, func() error {
		if err := s.prepare(); err != nil {
			return err
		}
		if s.holds(key.Digest, int64(len(payload))) || s.takeBack(key.Digest, int64(len(payload))) {
			// The process that wrote it may have been killed before the name was durable.
			return s.syncFolder(s.fanOut(key.Digest))
		}
		return s.write(key.Digest, payload, false)
	})
}

// Replace stores payload even where something has its digest for a name; see ingest.Store.
func (s *Store) Replace(
	ctx context.Context,
	digest ingest.Digest,
	_ ingest.Address,
	payload []byte,
) (ingest.Address, error) {
	return s.store(ctx, digest, payload, func() error {
		if err := s.prepare(); err != nil {
			return err
		}
		return s.write(digest, payload, true)
	})
}

// store runs op for a payload. If a folder has gone, the next call makes the folders again; this
// one is not tried a second time, for a store that vanishes in mid-run is to be noticed.
func (s *Store) store(
	ctx context.Context,
	digest ingest.Digest,
	payload []byte,
	op func() error,
) (ingest.Address, error) {
	err := s.try(ctx, op)
	if err == nil {
		return address(digest, len(payload)), nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		s.preparing.Lock()
		s.prepared = false
		s.preparing.Unlock()
	}
	return ingest.Address{}, fmt.Errorf("store payload %s: %w", digest.Short(), err)
}

// holds reports whether a file of this size has the digest for a name. One of
// another size is damaged, and a link is none of ours: both are written over.
func (s *Store) holds(digest ingest.Digest, bytes int64) bool {
	return isFile(s.payload(digest), bytes)
}

func isFile(path string, bytes int64) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == bytes
}
