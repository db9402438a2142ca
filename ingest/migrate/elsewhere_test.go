package migrate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/lease"
	"github.com/hartonomous/ingest/storage/storetest"
)

// TestClearWithAnotherStore checks that a run with the wrong store neither clears payloads nor removes
// the addresses of the right one.
func TestClearWithAnotherStore(t *testing.T) {
	s := newSetting(t)
	_, _, all := s.rows()
	s.run(s.migration(false, false), all, 0, 0)
	right := s.store
	s.store = &storetest.Memory{}
	s.run(s.migration(false, true), 0, 0, all)
	s.store = right
	if inRow, stored, _ := s.rows(); inRow != all || stored != all {
		t.Fatalf("%d payloads in rows and %d addresses, want %d of both", inRow, stored, all)
	}
	s.run(s.migration(false, true), 0, all, 0)
	s.readable()
}

// TestAddressElsewhere checks that a payload is not cleared if its address leads other programs
// elsewhere, although this program finds the payload by its digest.
func TestAddressElsewhere(t *testing.T) {
	s := newSetting(t)
	_, _, all := s.rows()
	segment := s.segments()[1]
	payload := s.content[segment.Offset : segment.Offset+segment.Bytes]
	if _, err := s.store.Put(t.Context(), ingest.Key{Digest: segment.Digest}, payload); err != nil {
		t.Fatal(err)
	}
	elsewhere := ingest.Address{URI: "https://elsewhere/" + segment.Digest.String(), Bytes: segment.Bytes}
	err := lease.Run(t.Context(), s.catalog, ingest.JobRequest{Pipeline: "by hand", Source: "x"}, nil,
		func(ctx context.Context, job ingest.Lease) error {
			_, err := s.catalog.AddAddresses(ctx, job, []ingest.Move{{Segment: segment, Address: elsewhere}})
			return err
		}, lease.Outcome)
	if err != nil {
		t.Fatal(err)
	}
	s.run(s.migration(false, true), all-1, all-1, 1)
	if now := s.segments()[1]; !now.InRow || now.Address.URI != elsewhere.URI {
		t.Fatalf("%+v lost its payload or address", now)
	}
	// the way out: the row's payload counts, and the address is removed
	s.run(s.migration(true, true), all-1, all, 0)
	s.readable()
}

// TestLostStore checks that a store that a migration used and that has no owner now, like an empty
// mount point, gets no payloads.
func TestLostStore(t *testing.T) {
	s := newSetting(t)
	_, _, all := s.rows()
	s.run(s.migration(false, false), all, 0, 0)
	m := s.migration(false, true)
	m.Store = &storetest.Memory{}
	var lost *ingest.LostStoreError
	if _, err := m.Run(t.Context(), []ingest.Summary{s.model}); !errors.As(err, &lost) {
		t.Errorf("error is %v", err)
	}
	if inRow, stored, _ := s.rows(); inRow != all || stored != all {
		t.Errorf("%d payloads in rows and %d addresses, want %d of both", inRow, stored, all)
	}
}

// TestRemovedModel removes a model during a migration, which must continue with the others.
func TestRemovedModel(t *testing.T) {
	s := newSetting(t)
	_, _, all := s.rows()
	gone := s.model
	gone.ID += 100
	gone.Files = []ingest.StoredFile{{ID: 100, Model: gone.ID, Name: "gone", Bytes: 1, SegmentBytes: mib}}
	r, err := s.migration(false, false).Run(t.Context(), []ingest.Summary{gone, s.model})
	if err != nil || r.Copied.Rows != all {
		t.Errorf("%+v, error %v", r, err)
	}
}
