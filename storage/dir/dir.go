// Package dir keeps payloads in a local folder, one file each:
//
//	<root>/sha256/ab/<64 hexadecimal digits>   payloads, by the first byte of their digest
//	<root>/tmp/<process>-<random>              payloads that are being written
//	<root>/catalogs/<identity>                 one empty file for each catalogue that refers here
//
// A payload is written under a temporary name, synced, renamed to its digest,
// and then its folder is synced. So whatever has a digest for a name is whole
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
)

var (
	_ ingest.Store   = (*Store)(nil)
	_ ingest.Sweeper = (*Store)(nil)
	_ ingest.Claimer = (*Store)(nil)
)

// Store is a folder of payloads. Any number of processes may use one folder at once.
type Store struct {
	root string
	// hook sees each change of the folder before and after it takes effect, and
	// can make it fail. It is nil but in tests.
	hook func(step, path string, done bool) error

	preparing sync.Mutex
	prepared  bool // the folders exist, durably
}

// Open returns the store in the folder at path. A folder that does not exist
// yet is made by the first Put or Claim, so that a mere look creates nothing.
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

// Put stores payload; see ingest.Store.
func (s *Store) Put(ctx context.Context, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	if err := ctx.Err(); err != nil {
		return ingest.Address{}, err
	}
	if err := s.prepare(); err != nil {
		return ingest.Address{}, s.putError(digest, err)
	}
	if s.holds(digest, int64(len(payload))) {
		// Whoever wrote it may have been killed before the name was durable.
		if err := s.syncFolder(s.fanOut(digest)); err != nil {
			return ingest.Address{}, s.putError(digest, err)
		}
		return address(digest, len(payload)), nil
	}
	if err := s.write(digest, payload, false); err != nil {
		return ingest.Address{}, s.putError(digest, err)
	}
	return address(digest, len(payload)), nil
}

// Replace stores payload even where something lies under its digest; see ingest.Store.
func (s *Store) Replace(ctx context.Context, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	if err := ctx.Err(); err != nil {
		return ingest.Address{}, err
	}
	if err := s.prepare(); err != nil {
		return ingest.Address{}, s.putError(digest, err)
	}
	if err := s.write(digest, payload, true); err != nil {
		return ingest.Address{}, s.putError(digest, err)
	}
	return address(digest, len(payload)), nil
}

// holds reports whether a file of this size has the digest for a name. One of
// another size is damaged, and a link is none of ours: both are written anew.
func (s *Store) holds(digest ingest.Digest, bytes int64) bool {
	info, err := os.Lstat(s.payload(digest))
	return err == nil && info.Mode().IsRegular() && info.Size() == bytes
}

// putError adds the digest. If a folder has gone, the next Put makes the folders again; this one is not tried a second
// time, for a store that vanishes in mid-run is to be noticed.
func (s *Store) putError(digest ingest.Digest, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		s.preparing.Lock()
		s.prepared = false
		s.preparing.Unlock()
	}
	return fmt.Errorf("store payload %s: %w", digest.Short(), explain(err))
}
