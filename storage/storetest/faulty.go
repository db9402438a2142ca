package storetest

import (
	"context"
	"errors"
	"iter"

	"github.com/hartonomous/ingest/ingest"
)

var (
	_ ingest.Store   = (*Faulty)(nil)
	_ ingest.Sweeper = (*Faulty)(nil)
	_ ingest.Claimer = (*Faulty)(nil)
)

// Call is one moment of a call to a Faulty store.
type Call struct {
	Verb   string        // "Put", "Get", "Replace", "Sweep", "Remove", "Claim" or "Claims"
	Digest ingest.Digest // zero for Sweep and Claim
	// Done is unset before the effect and set after it.
	Done bool
}

// Faulty passes calls on to a store, and asks Hook before the effect of each
// verb and again after it. An error of the first kind is a call that failed; one
// of the second a call that only looks so: its effect is there. Sweep asks before
// its first stray and after its last.
type Faulty struct {
	Store ingest.Store
	// Hook must be set, and may be called by many goroutines at once. It may wait.
	Hook func(ctx context.Context, call Call) error
}

func (f *Faulty) around(ctx context.Context, call Call, act func() error) error {
	if err := f.Hook(ctx, call); err != nil {
		return err
	}
	if err := act(); err != nil {
		return err
	}
	call.Done = true
	return f.Hook(ctx, call)
}

// Put satisfies ingest.Store.
func (f *Faulty) Put(ctx context.Context, digest ingest.Digest, payload []byte) (address ingest.Address, err error) {
	err = f.around(ctx, Call{Verb: "Put", Digest: digest}, func() (err error) {
		address, err = f.Store.Put(ctx, digest, payload)
		return err
	})
	return orNothing(address, err), err
}

// Replace satisfies ingest.Store.
func (f *Faulty) Replace(ctx context.Context, digest ingest.Digest, payload []byte) (address ingest.Address, err error) {
	err = f.around(ctx, Call{Verb: "Replace", Digest: digest}, func() (err error) {
		address, err = f.Store.Replace(ctx, digest, payload)
		return err
	})
	return orNothing(address, err), err
}

// orNothing keeps a caller from using what came with an error.
func orNothing(address ingest.Address, err error) ingest.Address {
	if err != nil {
		return ingest.Address{}
	}
	return address
}

// Get satisfies ingest.Store.
func (f *Faulty) Get(ctx context.Context, digest ingest.Digest, address ingest.Address, buffer []byte) (payload []byte, err error) {
	err = f.around(ctx, Call{Verb: "Get", Digest: digest}, func() (err error) {
		payload, err = f.Store.Get(ctx, digest, address, buffer)
		return err
	})
	if err != nil {
		return nil, err
	}
	return payload, nil
}

// errNoAbility is what the verbs of Sweeper and Claimer return where the store has them not.
var errNoAbility = errors.New("the store behind storetest.Faulty cannot do this")

// Sweep satisfies ingest.Sweeper.
func (f *Faulty) Sweep(ctx context.Context) iter.Seq2[ingest.Object, error] {
	return func(yield func(ingest.Object, error) bool) {
		stopped := false
		err := f.around(ctx, Call{Verb: "Sweep"}, func() error {
			sweeper, ok := f.Store.(ingest.Sweeper)
			if !ok {
				return errNoAbility
			}
			for stray, err := range sweeper.Sweep(ctx) {
				if !yield(stray, err) {
					stopped = true
					break
				}
			}
			return nil
		})
		if err != nil && !stopped {
			yield(ingest.Object{}, err)
		}
	}
}

// Remove satisfies ingest.Sweeper.
func (f *Faulty) Remove(ctx context.Context, stray ingest.Object) error {
	return f.around(ctx, Call{Verb: "Remove", Digest: stray.Digest}, func() error {
		sweeper, ok := f.Store.(ingest.Sweeper)
		if !ok {
			return errNoAbility
		}
		return sweeper.Remove(ctx, stray)
	})
}

// Claims satisfies ingest.Claimer.
func (f *Faulty) Claims(ctx context.Context) (identities []string, err error) {
	err = f.around(ctx, Call{Verb: "Claims"}, func() (err error) {
		claimer, ok := f.Store.(ingest.Claimer)
		if !ok {
			return errNoAbility
		}
		identities, err = claimer.Claims(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return identities, nil
}

// Claim satisfies ingest.Claimer.
func (f *Faulty) Claim(ctx context.Context, catalog string) (identities []string, err error) {
	err = f.around(ctx, Call{Verb: "Claim"}, func() (err error) {
		claimer, ok := f.Store.(ingest.Claimer)
		if !ok {
			return errNoAbility
		}
		identities, err = claimer.Claim(ctx, catalog)
		return err
	})
	if err != nil {
		return nil, err
	}
	return identities, nil
}
