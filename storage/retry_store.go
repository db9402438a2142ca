package storage

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// Retry returns store with every verb tried again by policy. The result has the
// abilities of store (ingest.Sweeper, Claimer, Placer, Prober, Announcer, FilePutter) and no other. A
// sweep itself is not tried again, as what it has yielded cannot be taken back; nor is PutFile, which does so by itself.
func Retry(store ingest.Store, policy Policy) ingest.Store {
	return withAbilitiesOf(store, &retried{store, policy})
}

// retried passes every verb on to store, which may not have it: withAbilitiesOf sees to that.
type retried struct {
	store  ingest.Store
	policy Policy
}

func (r *retried) Put(ctx context.Context, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	return again(ctx, r.policy, func() (ingest.Address, error) { return r.store.Put(ctx, digest, payload) })
}

func (r *retried) Replace(ctx context.Context, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	return again(ctx, r.policy, func() (ingest.Address, error) { return r.store.Replace(ctx, digest, payload) })
}

func (r *retried) Get(ctx context.Context, digest ingest.Digest, address ingest.Address, buffer []byte) ([]byte, error) {
	return again(ctx, r.policy, func() ([]byte, error) { return r.store.Get(ctx, digest, address, buffer) })
}

func (r *retried) Sweep(ctx context.Context) iter.Seq2[ingest.Object, error] {
	return r.store.(ingest.Sweeper).Sweep(ctx)
}

func (r *retried) Remove(ctx context.Context, stray ingest.Object) error {
	return Do(ctx, r.policy, func() error { return r.store.(ingest.Sweeper).Remove(ctx, stray) })
}

func (r *retried) Claim(ctx context.Context, catalog string) ([]string, error) {
	return again(ctx, r.policy, func() ([]string, error) { return r.store.(ingest.Claimer).Claim(ctx, catalog) })
}

func (r *retried) Claims(ctx context.Context) ([]string, error) {
	return again(ctx, r.policy, func() ([]string, error) { return r.store.(ingest.Claimer).Claims(ctx) })
}

func (r *retried) PutAt(ctx context.Context, position ingest.Position, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	return again(ctx, r.policy, func() (ingest.Address, error) {
		return r.store.(ingest.Placer).PutAt(ctx, position, digest, payload)
	})
}

func (r *retried) ReplaceAt(ctx context.Context, address ingest.Address, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	return again(ctx, r.policy, func() (ingest.Address, error) {
		return r.store.(ingest.Placer).ReplaceAt(ctx, address, digest, payload)
	})
}

func (r *retried) Probe(ctx context.Context, digest ingest.Digest, address ingest.Address) error {
	return Do(ctx, r.policy, func() error { return r.store.(ingest.Prober).Probe(ctx, digest, address) })
}

func (r *retried) Announce(ctx context.Context, catalog string) (time.Time, error) {
	return again(ctx, r.policy, func() (time.Time, error) { return r.store.(ingest.Announcer).Announce(ctx, catalog) })
}

func (r *retried) Withdraw(ctx context.Context, catalog string, since time.Time) error {
	return Do(ctx, r.policy, func() error { return r.store.(ingest.Announcer).Withdraw(ctx, catalog, since) })
}

func (r *retried) PutFile(ctx context.Context, digest ingest.Digest, file io.ReaderAt, size int64) (ingest.Address, error) {
	return r.store.(ingest.FilePutter).PutFile(ctx, digest, file, size)
}

// again is Do for an operation that has a result. With an error there is none.
func again[T any](ctx context.Context, policy Policy, op func() (T, error)) (T, error) {
	var result, none T
	err := Do(ctx, policy, func() (err error) {
		result, err = op()
		return err
	})
	if err != nil {
		return none, err
	}
	return result, nil
}
