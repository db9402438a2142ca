package reader

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// maxPart is how many bytes of a whole file are read at a time, at most.
const maxPart = 64 << 20

// HashAtom reads the bytes of a file atom, all of them, from its row if they are there, and else from the store, and
// returns their SHA-256.
func (r *Reader) HashAtom(ctx context.Context, atom ingest.FileAtom) (ingest.Digest, error) {
	read, size := r.Catalog.ReadAtom, atom.Bytes
	switch {
	case atom.InRow:
	case atom.Address.URI == "":
		return ingest.Digest{}, ingest.ErrNoPayload
	case r.Store == nil:
		return ingest.Digest{}, fmt.Errorf("%w: it is in a store (%s): name it with --store", ingest.ErrNoPayload,
			ingest.Printable(atom.Address.URI))
	default:
		size = atom.Address.Bytes
		read = func(ctx context.Context, atom ingest.FileAtom, offset int64, into []byte) error {
			return r.Store.Get(ctx, atom.Digest, atom.Address, offset, into)
		}
	}
	if size < 0 {
		return ingest.Digest{}, fmt.Errorf("the catalogue gives it %d bytes", size)
	}
	lease := r.Pool.Lease()
	defer lease.Close()
	buffer, err := lease.Get(ctx, max(1, min(size, r.Pool.Limit()/4, maxPart)))
	if err != nil {
		return ingest.Digest{}, err
	}
	whole := sha256.New()
	for offset := int64(0); offset < size || offset == 0; offset += int64(len(buffer)) { // an empty one is read too
		part := buffer[:min(int64(len(buffer)), size-offset)]
		if err := read(ctx, atom, offset, part); err != nil {
			return ingest.Digest{}, err
		}
		whole.Write(part)
		r.count(int64(len(part)))
	}
	return ingest.Digest(whole.Sum(nil)), nil
}
