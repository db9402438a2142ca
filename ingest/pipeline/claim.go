package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// claimStore makes the catalogue the store's owner. If this is the first run into the store, it
// returns the other stores that the catalogue's jobs have used.
func (in *Ingester) claimStore(ctx context.Context) (others []string, err error) {
	used, err := ingest.UsedStores(ctx, in.Catalog)
	if err != nil {
		return nil, err
	}
	here := slices.IndexFunc(used, func(u ingest.UsedStore) bool { return u.Address == in.StoreAddress })
	if in.Store != nil {
		if err := ingest.ClaimStore(ctx, in.Catalog, in.Store, in.StoreAddress); err != nil {
			return nil, fmt.Errorf("store %s: %w", ingest.Printable(in.StoreAddress), err)
		}
	}
	if here < 0 {
		for _, u := range used {
			others = append(others, u.Address)
		}
	}
	return others, nil
}
