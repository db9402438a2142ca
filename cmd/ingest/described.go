package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// ownerTimeout bounds the search for a store that a command can do without.
const ownerTimeout = 10 * time.Second

// openDescribed opens an existing catalogue, and its store if it can be reached, for a command that
// needs the store only to change the descriptions of models there.
func (p *program) openDescribed(ctx context.Context) (*env, error) {
	catalog, err := p.openExisting(ctx)
	if err != nil {
		return nil, err
	}
	h := &env{catalog: catalog}
	used, err := usedStores(ctx, catalog)
	if err != nil || len(used) == 0 {
		return h, err
	}
	if h.descriptions, err = p.descriptionsOf(ctx, catalog); err != nil {
		p.warnOutdated(err)
	}
	return h, nil
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
