package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/migrate"
	"github.com/hartonomous/ingest/storage/azureblob"
)

// fileStores are the stores of whole files.
type fileStores struct {
	name    string                    // of the target, for messages
	targets map[string]migrate.Target // by modality; "" for all others
	rows    bool
	reads   []ingest.Store
}

// openFileStores opens the target, and --store, which may have earlier copies.
func (p *program) openFileStores(ctx context.Context, f *locatorFlags) (*fileStores, error) {
	s := &fileStores{name: inRows, targets: map[string]migrate.Target{}, rows: f.to == inRows}
	if f.split {
		p.store = f.to
	}
	if p.store != "" && p.store != inRows && p.store != f.to && !f.split {
		if err := p.openContainers(ctx, s, p.store); err != nil {
			return nil, err
		}
	}
	if !s.rows && !f.split {
		if err := p.blobs.rejectUnused(f.to); err != nil {
			return nil, err
		}
		if err := p.openContainers(ctx, s, f.to); err != nil {
			return nil, err
		}
		p.store = f.to
	}
	if !s.rows {
		var err error
		if s.name, err = p.storeName(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// openContainers opens the store at an address. Without a container in the address, models and
// other files have separate containers.
func (p *program) openContainers(ctx context.Context, s *fileStores, address string) error {
	for modality, container := range map[string]string{"model": "models", "": "atoms"} {
		t, err := p.openTarget(ctx, address, container)
		if err != nil {
			return err
		}
		s.targets[modality] = t
		s.reads = append(s.reads, t.Store)
	}
	return nil
}

func (p *program) openTarget(ctx context.Context, address, container string) (t migrate.Target, err error) {
	if isBlobs(address) {
		if address, err = azureblob.InContainer(address, container); err != nil {
			return t, err
		}
	}
	if t.Store, err = p.openStore(ctx, address); err != nil {
		return t, err
	}
	t.Address, _, _ = strings.Cut(address, "?")
	if path, ok := strings.CutPrefix(address, "dir:"); ok {
		path, err = filepath.Abs(path)
		t.Address = "dir:" + path
	}
	return t, err
}

// to returns the target for the file of an atom.
func (s *fileStores) to(atom ingest.FileAtom) migrate.Target {
	if s.rows {
		return migrate.Target{Address: inRows}
	}
	if t, known := s.targets[atom.Modality]; known {
		return t
	}
	return s.targets[""]
}

// at returns the store of the address in an atom's row, as far as the address tells.
func (s *fileStores) at(atom ingest.FileAtom) (found ingest.Store, err error) {
	for _, store := range s.reads {
		prefix := "dir:"
		if blobs, ok := store.(*azureblob.Store); ok {
			prefix = blobs.String() + "/"
		}
		if strings.HasPrefix(atom.Address.URI, prefix) {
			found = store // the last match, which is --to
		}
	}
	if found == nil {
		return nil, fmt.Errorf("its copy is at %s, which is not in the named store",
			ingest.Printable(atom.Address.URI))
	}
	return found, nil
}

// holder returns the store that holds the address in an atom's row.
func (s *fileStores) holder(ctx context.Context, atom ingest.FileAtom) (ingest.Store, error) {
	for _, store := range slices.Backward(s.reads) { // --to first
		if held, err := store.Holds(ctx, atom.Digest, atom.Address); held || err != nil {
			return store, err
		}
	}
	return nil, fmt.Errorf("its copy %s is not in the named store, or is missing there (--back removes the "+
		"address if the file is intact)", ingest.Printable(atom.Address.URI))
}
