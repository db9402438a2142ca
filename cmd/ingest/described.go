package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// ownerTimeout bounds the search for a store that a command can do without.
const ownerTimeout = 10 * time.Second

// toDescribe returns the store of the catalogue for a command that changes the descriptions of models there,
// and needs it for nothing else; nil, with a warning, if it cannot be reached.
func (p *program) toDescribe(ctx context.Context, catalog ingest.Catalog) ingest.DescriptionStore {
	used, err := usedStores(ctx, catalog)
	if err == nil && len(used) == 0 {
		return nil
	}
	var store ingest.DescriptionStore
	if err == nil {
		store, err = p.descriptionsOf(ctx, catalog)
	}
	if err != nil {
		p.warnOutdated(err)
		return nil
	}
	return store
}

// descriptionsOf returns the store of the catalogue; nil if it has no descriptions.
func (p *program) descriptionsOf(ctx context.Context, catalog ingest.Catalog) (ingest.DescriptionStore, error) {
	path, err := p.catalogPath()
	address := p.storeURL(path)
	if err != nil || address == inRows || p.blobs.byPosition() {
		return nil, err
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

// warnOutdated warns that descriptions in the store are not in step with the catalogue.
func (p *program) warnOutdated(err error) {
	fmt.Fprintf(p.stderr, "ingest: warning: the descriptions of models in the store are not changed, until "+
		"`ingest gc --yes`: %s\n", terminalSafe(err.Error()))
}
