package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// claimStore is ClaimStore for a run. It returns the other stores that the catalogue's jobs have put payloads into, if
// the run is the first one that puts any into this one.
func (in *Ingester) claimStore(ctx context.Context) (others []string, err error) {
	used, err := ingest.UsedStores(ctx, in.Catalog)
	if err != nil {
		return nil, err
	}
	here := slices.IndexFunc(used, func(u ingest.UsedStore) bool { return u.Address == in.StoreAddress })
	if in.Store != nil {
		owner, err := in.Store.Owner(ctx, "")
		if err != nil {
			return nil, err
		}
		if owner == "" && here >= 0 { // it was to know of the catalogue: this is another one in its place
			return nil, &ingest.LostStoreError{UsedStore: used[here]}
		}
		if err := ingest.ClaimStore(ctx, in.Catalog, in.Store); err != nil {
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
