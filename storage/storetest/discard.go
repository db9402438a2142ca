package storetest

import (
	"context"
	"fmt"
	"iter"

	"github.com/hartonomous/ingest/ingest"
)

var _ ingest.Store = Discard{}

// Discard accepts every payload and stores none, for runs that only hash. It returns each claim as
// its owner.
type Discard struct{}

// Owner returns claim.
func (Discard) Owner(ctx context.Context, claim string) (string, error) { return claim, ctx.Err() }

// Put drops payload.
func (Discard) Put(ctx context.Context, key ingest.Key, payload []byte) (ingest.Address, error) {
	return ingest.Address{URI: "discard:", Bytes: int64(len(payload)), Encoding: key.Encoding}, ctx.Err()
}

// Reuse finds nothing.
func (Discard) Reuse(ctx context.Context, _ ingest.Digest, _ ingest.Address) (now ingest.Address, present bool,
	err error) {
	return ingest.Address{}, false, ctx.Err()
}

// Replace drops payload.
func (d Discard) Replace(ctx context.Context, digest ingest.Digest, address ingest.Address,
	payload []byte) (ingest.Address, error) {
	return d.Put(ctx, ingest.Key{Digest: digest, Encoding: address.Encoding}, payload)
}

// Get finds nothing.
func (Discard) Get(_ context.Context, digest ingest.Digest, _ ingest.Address, _ int64, _ []byte) error {
	return fmt.Errorf("%s was not stored: %w", digest.Short(), ingest.ErrNoPayload)
}

// Stat finds nothing.
func (d Discard) Stat(ctx context.Context, digest ingest.Digest, address ingest.Address) (bool, error) {
	return false, d.Get(ctx, digest, address, 0, nil)
}

// Holds reports that nothing is stored.
func (Discard) Holds(ctx context.Context, _ ingest.Digest, _ ingest.Address) (bool, error) {
	return false, ctx.Err()
}

// List yields nothing.
func (Discard) List(context.Context) iter.Seq2[ingest.Object, error] {
	return func(func(ingest.Object, error) bool) {}
}

// Delete has nothing to delete.
func (Discard) Delete(ctx context.Context, objects []ingest.Object, _ func(context.Context) error) ([]error, error) {
	return make([]error, len(objects)), ctx.Err()
}
