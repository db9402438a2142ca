package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// atoms verifies the files that are stored whole, in rows of Atoms or in the store.
func (v *verification) atoms(ctx context.Context, h *env) error {
	stored := &fileStores{reads: []ingest.Store{h.store}}
	if h.store == nil {
		stored.reads = nil
	}
	var failed error
	for a, err := range h.catalog.FileAtoms(ctx) {
		if err != nil {
			return errors.Join(failed, err)
		}
		if !a.InRow && a.Address.URI == "" || v.seen[a.ID] {
			continue
		}
		if !a.InRow {
			if _, err := stored.at(a); err != nil {
				v.emit(notVerifiedFile{"not_verified", a.ID, err.Error()},
					"not verified  atom %d: %v\n", a.ID, err)
				continue
			}
		}
		err = v.verifier.VerifyAtom(ctx, a)
		switch {
		case err == nil:
			v.files++
		case ctx.Err() != nil:
			return errors.Join(failed, err)
		case errors.Is(err, ingest.ErrUnreachable):
			failed = errors.Join(failed, fmt.Errorf("atom %d: %w", a.ID, err))
		default:
			v.foundAtom(a, err)
		}
	}
	return failed
}

func (v *verification) foundAtom(a ingest.FileAtom, reason error) {
	state := "damaged"
	if v.damaged++; errors.Is(reason, ingest.ErrNoPayload) {
		state = "missing"
		v.missing++
	}
	v.emit(damagedFile{state, a.ID, a.Locator, a.Digest, reason.Error()}, "%s  atom %d  %s: %v\n", state,
		a.ID, ingest.Printable(a.Locator), reason)
}
