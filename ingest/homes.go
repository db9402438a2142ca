package ingest

import (
	"context"
	"fmt"
	"slices"
)

// OptionStore is the key in a job's Options that has the run's Home.
const OptionStore = "store"

// HomeRows is the Home of payloads in the catalogue's own rows.
const HomeRows = "row"

// claimStore tells the store that this catalogue refers to it, before it does. Where it had not done so yet, it returns
// the other homes that the catalogue's jobs have put payloads into. The rows are a home as well, and need not be told.
func (in *Ingester) claimStore(ctx context.Context) (others []string, err error) {
	claimer, ok := in.Store.(Claimer)
	if !ok {
		used, err := usedHomes(ctx, in.Catalog)
		if err != nil || slices.ContainsFunc(used, func(u UsedStore) bool { return u.Home == in.Home }) {
			return nil, err
		}
		return homesOf(used), nil
	}
	identity, err := in.Catalog.Identity(ctx)
	if err != nil {
		return nil, err
	}
	all, err := claimer.Claims(ctx)
	if err != nil {
		return nil, err
	}
	if slices.Contains(all, identity) {
		return nil, nil
	}
	used, err := usedHomes(ctx, in.Catalog)
	if err != nil {
		return nil, err
	}
	for _, u := range used {
		if u.Home == in.Home { // it was to know of the catalogue: this is another one in its place
			return nil, fmt.Errorf("job %d has put payloads into %s, and what lies there now does not know of it: is the disk mounted?", u.Job, Printable(u.Home))
		}
	}
	_, err = claimer.Claim(ctx, identity)
	return homesOf(used), err
}

// homesOf are their names alone.
func homesOf(used []UsedStore) (homes []string) {
	for _, u := range used {
		homes = append(homes, u.Home)
	}
	return homes
}

// ClaimStore tells store whose payloads it is about to be given. One that is no Claimer, nil too, need not know.
func ClaimStore(ctx context.Context, catalog Catalog, store Store) error {
	claimer, ok := store.(Claimer)
	if !ok {
		return nil
	}
	identity, err := catalog.Identity(ctx)
	if err == nil {
		_, err = claimer.Claim(ctx, identity)
	}
	return err
}

// UsedStore is a store that a job has put payloads into.
type UsedStore struct {
	Home string
	Job  int64 // the first that did
}

// UsedStores returns the stores that the catalogue's jobs have put payloads into, each once, in the order of
// their first use. The catalogue's own rows are not among them.
func UsedStores(ctx context.Context, jobs Jobs) ([]UsedStore, error) {
	used, err := usedHomes(ctx, jobs)
	return slices.DeleteFunc(used, func(u UsedStore) bool { return u.Home == HomeRows }), err
}

// usedHomes are the stores, and the rows.
func usedHomes(ctx context.Context, jobs Jobs) (used []UsedStore, err error) {
	for job, err := range jobs.AllJobs(ctx) {
		if err != nil {
			return nil, err
		}
		home := job.Options[OptionStore]
		known := slices.ContainsFunc(used, func(u UsedStore) bool { return u.Home == home })
		if home != "" && !known {
			used = append(used, UsedStore{home, job.ID})
		}
	}
	return used, nil
}
