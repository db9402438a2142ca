package storetest

import (
	"context"
	"iter"

	"github.com/hartonomous/ingest/ingest"
)

var _ ingest.Store = (*Faulty)(nil)

// Call is one call of the Hook of a Faulty store.
type Call struct {
	Verb   string        // "Owner", "Put", "Reuse", "Get", "Stat", "Holds", "Replace", "List" or "Delete"
	Digest ingest.Digest // zero for Owner, List and Delete
	// Done is false before the effect and true after it.
	Done bool
}

// Faulty passes calls on to a store, and calls Hook before the effect of each verb and again after
// it. If the first call of Hook returns an error, the verb has no effect; if the second does, the
// verb has had its effect and its result is lost. List calls Hook before its first object and after
// its last.
type Faulty struct {
	Store ingest.Store
	// Hook must be set, and may be called by many goroutines at once. It may block.
	Hook func(ctx context.Context, call Call) error
}

// around returns a zero result with an error, because callers must not use another.
func around[T any](ctx context.Context, f *Faulty, call Call, act func() (T, error)) (result T, err error) {
	var nothing T
	if err := f.Hook(ctx, call); err != nil {
		return nothing, err
	}
	if result, err = act(); err != nil {
		return nothing, err
	}
	call.Done = true
	if err := f.Hook(ctx, call); err != nil {
		return nothing, err
	}
	return result, nil
}

// Owner satisfies ingest.Store.
func (f *Faulty) Owner(ctx context.Context, claim string) (string, error) {
	return around(ctx, f, Call{Verb: "Owner"}, func() (string, error) { return f.Store.Owner(ctx, claim) })
}

// Put satisfies ingest.Store.
func (f *Faulty) Put(ctx context.Context, key ingest.Key, payload []byte) (ingest.Address, error) {
	return around(ctx, f, Call{Verb: "Put", Digest: key.Digest}, func() (ingest.Address, error) {
		return f.Store.Put(ctx, key, payload)
	})
}

// Reuse satisfies ingest.Store.
func (f *Faulty) Reuse(ctx context.Context, digest ingest.Digest, address ingest.Address) (now ingest.Address,
	present bool, err error) {
	now, err = around(ctx, f, Call{Verb: "Reuse", Digest: digest}, func() (now ingest.Address, err error) {
		now, present, err = f.Store.Reuse(ctx, digest, address)
		return now, err
	})
	return now, present && err == nil, err
}

// Replace satisfies ingest.Store.
func (f *Faulty) Replace(ctx context.Context, digest ingest.Digest, address ingest.Address,
	payload []byte) (ingest.Address, error) {
	return around(ctx, f, Call{Verb: "Replace", Digest: digest}, func() (ingest.Address, error) {
		return f.Store.Replace(ctx, digest, address, payload)
	})
}

// Get satisfies ingest.Store.
func (f *Faulty) Get(ctx context.Context, digest ingest.Digest, address ingest.Address, offset int64,
	into []byte) error {
	_, err := around(ctx, f, Call{Verb: "Get", Digest: digest}, func() (struct{}, error) {
		return struct{}{}, f.Store.Get(ctx, digest, address, offset, into)
	})
	return err
}

// Stat satisfies ingest.Store.
func (f *Faulty) Stat(ctx context.Context, digest ingest.Digest, address ingest.Address) (bool, error) {
	return around(ctx, f, Call{Verb: "Stat", Digest: digest}, func() (bool, error) {
		return f.Store.Stat(ctx, digest, address)
	})
}

// Holds satisfies ingest.Store.
func (f *Faulty) Holds(ctx context.Context, digest ingest.Digest, address ingest.Address) (bool, error) {
	return around(ctx, f, Call{Verb: "Holds", Digest: digest}, func() (bool, error) {
		return f.Store.Holds(ctx, digest, address)
	})
}

// List satisfies ingest.Store.
func (f *Faulty) List(ctx context.Context) iter.Seq2[ingest.Object, error] {
	return func(yield func(ingest.Object, error) bool) {
		stopped := false
		_, err := around(ctx, f, Call{Verb: "List"}, func() (struct{}, error) {
			for object, err := range f.Store.List(ctx) {
				if !yield(object, err) {
					stopped = true
					break
				}
			}
			return struct{}{}, nil
		})
		if err != nil && !stopped {
			yield(ingest.Object{}, err)
		}
	}
}

// Delete satisfies ingest.Store.
func (f *Faulty) Delete(ctx context.Context, objects []ingest.Object,
	confirm func(context.Context) error) ([]error, error) {
	var failed []error
	_, err := around(ctx, f, Call{Verb: "Delete"}, func() (_ struct{}, err error) {
		failed, err = f.Store.Delete(ctx, objects, confirm)
		return struct{}{}, err
	})
	return failed, err
}
