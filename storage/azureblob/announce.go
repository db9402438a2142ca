package azureblob

import (
	"context"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"github.com/hartonomous/ingest/ingest"
)

// Announce writes the empty blob that says that gc of a catalogue is at work; see ingest.Announcer. Times are the
// service's alone, in whole seconds: what was written in the second of the announcement is neither relied on nor removed.
func (s *Store) Announce(ctx context.Context, catalog string) (time.Time, error) {
	written, err := s.send(ctx, newUpload(sweeps+escape(catalog), ingest.Sum(nil), nil, metadata{}), nil)
	if err != nil {
		return time.Time{}, fmt.Errorf("announce that payloads are about to be removed: %w", err)
	}
	if written.Modified.IsZero() {
		return time.Time{}, fmt.Errorf("announce that payloads are about to be removed: %s: the service does not say when it was written", written.URI)
	}
	return written.Modified, nil
}

// Withdraw removes what Announce has written; see ingest.Announcer. A later gc has waited for the lease of an earlier one, so
// whole seconds tell them apart.
func (s *Store) Withdraw(ctx context.Context, catalog string, since time.Time) error {
	name := sweeps + escape(catalog)
	ours := &blob.ModifiedAccessConditions{IfUnmodifiedSince: to.Ptr(since)}
	_, err := s.container.NewBlobClient(name).Delete(ctx, &blob.DeleteOptions{AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: ours}})
	if err == nil {
		return nil
	}
	if err = s.failed(ctx, "withdraw the announcement", name, err); isMissing(err) || isTaken(err) {
		return nil
	}
	return err
}

// announcementLife is how long an announcement counts: a gc that was killed has left it, and gc may not be let in to take it back.
// No gc removes anything for as long (see ingest.Collector). Clocks may differ by a day.
const announcementLife = 48 * time.Hour

// heed learns when payloads were last announced to be removed.
func (s *Store) heed(ctx context.Context) error {
	var last time.Time
	for item, err := range s.list(ctx, sweeps, false) {
		if err != nil {
			return err
		}
		if at := item.Properties.LastModified; at != nil && at.After(last) && time.Since(*at) < announcementLife {
			last = *at
		}
	}
	s.announced.Store(&last)
	return nil
}

// has reports whether a payload is there, right by what it says of itself, and here to stay.
func (s *Store) has(there *present, digest ingest.Digest, bytes int64) bool {
	if !there.holds(digest, bytes) {
		return false
	}
	last := s.announced.Load()
	return last == nil || last.IsZero() || there.Modified.After(*last)
}
