package storetest

import (
	"context"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

var _ ingest.Store = Discard{}

// Discard takes every payload and keeps none: for runs that only hash.
type Discard struct{}

// Put forgets payload.
func (Discard) Put(ctx context.Context, _ ingest.Digest, payload []byte) (ingest.Address, error) {
	return ingest.Address{URI: "discard:", Bytes: int64(len(payload))}, ctx.Err()
}

// Replace forgets payload.
func (d Discard) Replace(ctx context.Context, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	return d.Put(ctx, digest, payload)
}

// Get finds nothing.
func (Discard) Get(_ context.Context, digest ingest.Digest, _ ingest.Address, _ []byte) ([]byte, error) {
	return nil, fmt.Errorf("nothing was kept of %s: %w", digest.Short(), ingest.ErrNoPayload)
}
