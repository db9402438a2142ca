package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// ownerTimeout bounds the search for a store that a command can do without.
const ownerTimeout = 10 * time.Second

// toDescribe returns the stores of the catalogue for a command that only changes the descriptions of models
// there: the present one, and those that earlier jobs used. It warns if it can reach none of them. A single one
// may no longer exist. gc of a store finds what is outdated there.
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
	addresses := []string{p.storeURL(path)}
	for _, u := range used {
		if u.Address != name {
			addresses = append(addresses, u.Address)
		}
	}
	var failed error
	for _, address := range addresses {
		store, err := p.descriptionsOf(ctx, catalog, address)
		if err != nil {
			failed = err
		} else if store != nil {
			stores = append(stores, store)
		}
	}
	if failed != nil && len(stores) == 0 {
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
