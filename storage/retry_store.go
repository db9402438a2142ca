package storage

import (
	"context"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// Retry returns store with every verb tried again by policy. The result has the
// abilities of store (ingest.Sweeper, Claimer, Placer, Prober) and no other. A
// sweep itself is not tried again: what it has yielded cannot be taken back.
func Retry(store ingest.Store, policy Policy) ingest.Store {
	sweeper, sweeps := store.(ingest.Sweeper)
	claimer, claims := store.(ingest.Claimer)
	placer, places := store.(ingest.Placer)
	prober, probes := store.(ingest.Prober)
	verbs := &retryStore{store, policy}
	sweep, claim := retrySweeper{sweeper, policy}, retryClaimer{claimer, policy}
	place, probe := retryPlacer{placer, policy}, retryProber{prober, policy}
	// Methods belong to a type, so each set of abilities is a type of its own.
	// These are the sets that there are; a new one must not lose an ability unseen.
	switch [4]bool{sweeps, claims, places, probes} {
	case [4]bool{}:
		return verbs
	case [4]bool{true, true, false, false}:
		return struct {
			*retryStore
			retrySweeper
			retryClaimer
		}{verbs, sweep, claim}
	case [4]bool{true, true, false, true}:
		return struct {
			*retryStore
			retrySweeper
			retryClaimer
			retryProber
		}{verbs, sweep, claim, probe}
	case [4]bool{true, true, true, true}:
		return struct {
			*retryStore
			retrySweeper
			retryClaimer
			retryPlacer
			retryProber
		}{verbs, sweep, claim, place, probe}
	default:
		panic(fmt.Sprintf("storage.Retry does not know the abilities of %T: sweeps %v, claims %v, places %v, probes %v",
			store, sweeps, claims, places, probes))
	}
}

type retryStore struct {
	store  ingest.Store
	policy Policy
}

func (r *retryStore) Put(ctx context.Context, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	return again(ctx, r.policy, func() (ingest.Address, error) { return r.store.Put(ctx, digest, payload) })
}

func (r *retryStore) Replace(ctx context.Context, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	return again(ctx, r.policy, func() (ingest.Address, error) { return r.store.Replace(ctx, digest, payload) })
}

func (r *retryStore) Get(ctx context.Context, digest ingest.Digest, address ingest.Address, buffer []byte) ([]byte, error) {
	return again(ctx, r.policy, func() ([]byte, error) { return r.store.Get(ctx, digest, address, buffer) })
}

type retrySweeper struct {
	ingest.Sweeper
	policy Policy
}

func (r retrySweeper) Remove(ctx context.Context, stray ingest.Stray) error {
	return Do(ctx, r.policy, func() error { return r.Sweeper.Remove(ctx, stray) })
}

type retryClaimer struct {
	claimer ingest.Claimer
	policy  Policy
}

func (r retryClaimer) Claim(ctx context.Context, catalog string) ([]string, error) {
	return again(ctx, r.policy, func() ([]string, error) { return r.claimer.Claim(ctx, catalog) })
}

type retryPlacer struct {
	placer ingest.Placer
	policy Policy
}

func (r retryPlacer) PutAt(ctx context.Context, position ingest.Position, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	return again(ctx, r.policy, func() (ingest.Address, error) { return r.placer.PutAt(ctx, position, digest, payload) })
}

func (r retryPlacer) ReplaceAt(ctx context.Context, address ingest.Address, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	return again(ctx, r.policy, func() (ingest.Address, error) { return r.placer.ReplaceAt(ctx, address, digest, payload) })
}

type retryProber struct {
	prober ingest.Prober
	policy Policy
}

func (r retryProber) Probe(ctx context.Context, digest ingest.Digest, address ingest.Address) error {
	return Do(ctx, r.policy, func() error { return r.prober.Probe(ctx, digest, address) })
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
