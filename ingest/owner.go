package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// OptionStore is the key in a job's Options that has the address of the store that the job puts
// payloads into.
const OptionStore = "store"

// StoreRows is the address of the catalogue's own rows.
const StoreRows = "row"

// OwnerError says that a store belongs to another catalogue.
type OwnerError struct {
	Owner   string
	Catalog string // the one that was to use it
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf(
		"the store belongs to catalogue %s, and this is catalogue %s: give it a store of its own, another folder or container",
		Printable(e.Owner),
		Printable(e.Catalog),
	)
}

// SharedError says that several catalogues have put payloads into a store, before stores had
// owners.
type SharedError struct {
	Catalogs []string
	Where    string // the folder of their entries
}

func (e *SharedError) Error() string {
	var names []string
	for _, name := range e.Catalogs {
		names = append(names, Printable(name))
	}
	return fmt.Sprintf(
		"%d catalogues have used this store (%s), and a store belongs to one: remove the entries of those that no longer exist "+
			"from %s; of those that exist, all but one need a store of their own: export their models, and ingest them into another folder or container",
		len(e.Catalogs),
		strings.Join(names, ", "),
		e.Where,
	)
}

// ClaimStore makes catalog the owner of store, if nobody is. If another catalogue is, the error is
// an *OwnerError.
func ClaimStore(ctx context.Context, catalog Catalog, store Store) error {
	identity, err := catalog.Identity(ctx)
	if err != nil {
		return err
	}
	owner, err := store.Owner(ctx, identity)
	if err == nil && owner != identity {
		err = &OwnerError{owner, identity}
	}
	return err
}

// claimStore is ClaimStore for a run. It returns the other stores that the catalogue's jobs have
// put payloads into, if the run is the first one that puts any into this one.
func (in *Ingester) claimStore(ctx context.Context) (others []string, err error) {
	used, err := usedStores(ctx, in.Catalog)
	if err != nil {
		return nil, err
	}
	here := slices.IndexFunc(used, func(u UsedStore) bool { return u.Address == in.StoreAddress })
	if in.Store != nil {
		owner, err := in.Store.Owner(ctx, "")
		if err != nil {
			return nil, err
		}
		if owner == "" && here >= 0 { // it was to know of the catalogue: this is another one in its place
			return nil, &LostStoreError{used[here]}
		}
		if err := ClaimStore(ctx, in.Catalog, in.Store); err != nil {
			return nil, err
		}
	}
	if here < 0 {
		for _, u := range used {
			others = append(others, u.Address)
		}
	}
	return others, nil
}

// LostStoreError says that a store has no owner although a job put payloads into it: another one is
// in its place.
type LostStoreError struct{ UsedStore }

func (e *LostStoreError) Error() string {
	return fmt.Sprintf(
		"%s does not contain this catalogue's store, into which job %d put payloads: is the disk mounted?",
		Printable(e.Address),
		e.Job,
	)
}

// UsedStore is a store that a job has put payloads into.
type UsedStore struct {
	Address string
	Job     int64 // the first that did
}

// UsedStores returns the stores that the catalogue's jobs have put payloads into, each once, in the
// order of their first use. The catalogue's own rows are not among them.
func UsedStores(ctx context.Context, jobs Jobs) ([]UsedStore, error) {
	used, err := usedStores(ctx, jobs)
	return slices.DeleteFunc(used, func(u UsedStore) bool { return u.Address == StoreRows }), err
}

// usedStores are the stores, and the rows.
func usedStores(ctx context.Context, jobs Jobs) (used []UsedStore, err error) {
	for job, err := range jobs.AllJobs(ctx) {
		if err != nil {
			return nil, err
		}
		address := job.Options[OptionStore]
		known := slices.ContainsFunc(used, func(u UsedStore) bool { return u.Address == address })
		if address != "" && !known {
			used = append(used, UsedStore{address, job.ID})
		}
	}
	return used, nil
}
