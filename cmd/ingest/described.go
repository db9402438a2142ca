package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// ownerTimeout bounds the search for a store that a command can do without.
const ownerTimeout = 10 * time.Second

// toDescribe returns the stores of the catalogue for a command that only changes the descriptions of models
// there: the present one, and those that earlier jobs used. It warns if it cannot reach one of these, unless
// that is the only one: then it may have been moved to the present one.
func (p *program) toDescribe(ctx context.Context, catalog ingest.Catalog) (stores []ingest.DescriptionStore) {
	used, err := usedStores(ctx, catalog)
	path, pathErr := p.catalogPath()
	name, nameErr := p.storeName()
	if err = errors.Join(err, pathErr, nameErr); err != nil {
		p.warnOutdated(err)
		return nil
	}
	if len(used) == 0 {
		return nil
	}
	moved := len(used) == 1 && used[0].Address != name
	if store, err := p.descriptionsOf(ctx, catalog, p.storeURL(path)); err == nil && store != nil {
		stores = append(stores, store)
		used = slices.DeleteFunc(used, func(u ingest.UsedStore) bool { return u.Address == name })
	}
	var failed error
	for _, u := range used {
		store, err := p.descriptionsOf(ctx, catalog, u.Address)
		if err != nil {
			failed = err
		} else if store != nil {
			stores = append(stores, store)
		}
	}
	if failed != nil && (len(stores) == 0 || !moved) {
		p.warnOutdated(failed)
	}
	return stores
}

// descriptionsOf returns the store of the catalogue at address; nil if it has no descriptions.
func (p *program) descriptionsOf(ctx context.Context, catalog ingest.Catalog, address string) (
	ingest.DescriptionStore, error) {
	if address == inRows || p.blobs.byPosition() {
		return nil, nil
	}
	store, err := p.openStore(ctx, address)
	if err != nil {
		return nil, err
	}
	identity, err := catalog.Identity(ctx)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, ownerTimeout)
	defer cancel()
	owner, err := store.Owner(limited, "")
	if err == nil && owner != identity {
		err = fmt.Errorf("%s is not this catalogue's store", ingest.Printable(redact(address)))
	}
	if err != nil {
		return nil, err
	}
	return store, nil
}

// warnOutdated warns that descriptions in the store do not agree with the catalogue.
func (p *program) warnOutdated(err error) {
	fmt.Fprintf(p.stderr, "ingest: warning: descriptions of models in the store are outdated: `ingest gc --yes` "+
		"updates them, and after rm of a model only with --unfinished: %s\n", terminalSafe(err.Error()))
}
