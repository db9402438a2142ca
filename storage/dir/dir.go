// Package dir stores payloads in a local folder, one file each:
//
//	<root>/owner                               the identity of the store's catalogue
//	<root>/sha256/ab/<digest>                  payloads, by the first byte of their digest
//	<root>/sha256/ab/<digest>-<digest>         encoded payloads
//	<root>/descriptions/<number>-<digest>      descriptions of models
//	<root>/tmp/<process>-<random>              payloads and descriptions being written
//	<root>/trash/<process>-<random>/<name>     payloads that a Delete has hidden
//	<root>/catalogs/<identity>                 in stores of earlier versions: a catalogue that used it
//
// The name of an encoded payload has the digest of the original bytes, and then that of the file.
//
// A payload is written under a temporary name, synced, and renamed to its digest; then its folder
// is synced. So a file named by a digest is whole and durable, and a crash leaves at most a
// temporary file and a payload that no row refers to. Payloads are private to the user.
//
// The store follows no symbolic link below the root. The folder may be moved: addresses are
// relative to it.
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
	policy storage.Policy // for retries
	// hook is called before and after each change of the folder, and can make it fail. Only tests
	// set it.
	hook func(step, path string, done bool) error

	preparing sync.Mutex
	prepared  bool // the folders exist, durably
}

// Open returns the store in the folder at path. It does not create the folder: the first Put or
// claim does.
func Open(path string) (*Store, error) {
	if path == "" {
		return nil, errors.New("store folder: the path is empty")
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

// try runs op, and retries transient errors.
func (s *Store) try(ctx context.Context, op func() error) error {
	return storage.Do(ctx, s.policy, func() error { return explain(op()) })
}

// Put stores payload; see ingest.Store.
func (s *Store) Put(ctx context.Context, key ingest.Key, payload []byte) (ingest.Address, error) {
	bytes := int64(len(payload))
	return s.store(ctx, key.Digest, key.Encoding, bytes, func(p storage.Payload) error {
		if found, err := s.find(p, bytes); found || err != nil {
			return err
		}
		return s.write(p, payload, false)
	})
}

// Reuse looks for the payload like Put; see ingest.Store.
func (s *Store) Reuse(
	ctx context.Context,
	digest ingest.Digest,
	address ingest.Address,
) (now ingest.Address, present bool, err error) {
	if !gives(storage.PayloadOf(digest, address.Encoding), address) {
		return ingest.Address{}, false, ctx.Err()
	}
	now, err = s.store(ctx, digest, address.Encoding, address.Bytes, func(p storage.Payload) (err error) {
		present, err = s.find(p, address.Bytes)
		return err
	})
	if err != nil || !present {
		return ingest.Address{}, false, err
	}
	return now, true, nil
}

// Replace stores payload even if a file has its name; see ingest.Store.
func (s *Store) Replace(
	ctx context.Context,
	digest ingest.Digest,
	address ingest.Address,
	payload []byte,
) (ingest.Address, error) {
	return s.store(ctx, digest, address.Encoding, int64(len(payload)), func(p storage.Payload) error {
		return s.write(p, payload, true)
	})
}

// store prepares the folders, runs op, and returns the address of the payload. If a folder has
// disappeared, it does not retry, because a store that disappears during a run must be noticed. The
// next call makes the folders again.
func (s *Store) store(
	ctx context.Context,
	digest ingest.Digest,
	encoding ingest.Encoding,
	bytes int64,
	op func(storage.Payload) error,
) (ingest.Address, error) {
	p := storage.PayloadOf(digest, encoding)
	err := s.try(ctx, func() error {
		if err := s.prepare(); err != nil {
			return err
		}
		return op(p)
	})
	if err == nil {
		return ingest.Address{URI: uri(p), Bytes: bytes, Encoding: encoding}, nil
	}
	s.unprepare(err)
	return ingest.Address{}, fmt.Errorf("store payload %s: %w", digest.Short(), err)
}

// unprepare makes the next call make the folders again, if err is that one has disappeared.
func (s *Store) unprepare(err error) {
	if errors.Is(err, fs.ErrNotExist) {
		s.preparing.Lock()
		s.prepared = false
		s.preparing.Unlock()
	}
}

// find reports whether the payload is in place with this size, durably. It takes a hidden one back.
func (s *Store) find(p storage.Payload, bytes int64) (bool, error) {
	if !s.holds(p, bytes) && !s.takeBack(p, bytes) {
		return false, nil
	}
	// The process that wrote it may have been killed before the name was durable.
	return true, s.syncFolder(s.fanOut(p))
}

// holds reports whether the payload's file exists and has this size. A file of another size is
// damaged, and a link is not the store's: both are overwritten.
func (s *Store) holds(p storage.Payload, bytes int64) bool {
	return isFile(s.payload(p), bytes)
}

func isFile(path string, bytes int64) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == bytes
}
