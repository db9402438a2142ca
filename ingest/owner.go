package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// OptionStore is the key in a job's Options with the address of the store for its payloads.
const OptionStore = "store"

// OptionGivenUp is the key in the Options of a job of gc that gave up models that the catalogue may lack.
const OptionGivenUp = "unfinished"

// StoreRows is the address of the catalogue's own rows.
const StoreRows = "row"

// OwnerError says that a store belongs to another catalogue.
type OwnerError struct {
	Owner   string
	Catalog string // the one that tried to use it
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("the store belongs to catalogue %s, and this is catalogue %s: use another folder or container, "+
		"or if that catalogue is lost, `ingest rebuild --take-over`",
		Printable(e.Owner), Printable(e.Catalog))
}

// SharedError says that several catalogues used a store before stores had owners.
type SharedError struct {
	Catalogs []string
	Where    string // the folder of their entries
}

func (e *SharedError) Error() string {
	var names []string
	for _, name := range e.Catalogs {
		names = append(names, Printable(name))
	}
	return fmt.Sprintf("%d catalogues use this store (%s), but a store belongs to one: delete the entries of "+
		"catalogues that no longer exist from %s; for all others but one, export the models and ingest them into "+
		"another folder or container", len(e.Catalogs), strings.Join(names, ", "), e.Where)
}

// ClaimStore makes catalog the owner of the store at address if it has none. If it belongs to another
// catalogue, the error is an *OwnerError; if it has no owner and a job of the catalogue used it, a
// *LostStoreError. So a store must be claimed before a job has its address in OptionStore.
func ClaimStore(ctx context.Context, catalog Catalog, store Store, address string) error {
	identity, err := catalog.Identity(ctx)
	if err != nil {
		return err
	}
	owner, err := store.Owner(ctx, "")
	if err != nil {
		return err
	}
	if owner == "" {
		if err := checkUnused(ctx, catalog, store, address); err != nil {
			return err
		}
	}
	if owner, err = store.Owner(ctx, identity); err != nil {
		return err
	}
	if owner != identity {
		return &OwnerError{owner, identity}
	}
	return nil
}

// checkUnused returns a *LostStoreError if a job of the catalogue used the store at address, which has
// no owner.
func checkUnused(ctx context.Context, catalog Catalog, store Store, address string) error {
	used, err := UsedStores(ctx, catalog)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(used, func(u UsedStore) bool { return u.Address == address })
	if i < 0 {
		return nil
	}
	// The job may be that of another process, which has claimed the store since.
	if owner, err := store.Owner(ctx, ""); err != nil || owner != "" {
		return err
	}
	return &LostStoreError{used[i]}
}

// LostStoreError says that a store has no owner although a job put payloads into it, so it is not
// the same store.
type LostStoreError struct{ UsedStore }

func (e *LostStoreError) Error() string {
	return fmt.Sprintf("%s does not contain this catalogue's store, which job %d used: is the disk mounted? If the "+
		"store was moved, name its new place with --store",
		Printable(e.Address), e.Job)
}

// UsedStore is a store that a job has put payloads into.
type UsedStore struct {
	Address string
	Job     int64 // the first that did
}

// UsedStores returns the stores that the catalogue's jobs put payloads into, including StoreRows,
// each once, in the order of first use.
func UsedStores(ctx context.Context, jobs Jobs) (used []UsedStore, err error) {
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
