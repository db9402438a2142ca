package describe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/hartonomous/ingest/ingest"
)

// Catalog is what a Keeper needs of a catalogue.
type Catalog interface {
	ingest.Reader
	ingest.RowPayloads
}

// Keeper keeps the descriptions in a store in step with its catalogue. It is safe for concurrent use.
type Keeper struct {
	Catalog Catalog
	Store   ingest.DescriptionStore

	mu         sync.Mutex // one compressor is used at a time, to bound the memory
	compressor *zstd.Encoder
	last       int64 // sequence
}

// Before describes a model whose rows are all recorded and that is about to become complete, or to be
// merged into another one, if into is not 0. It writes nothing about a model with payloads in rows, or by
// position.
func (k *Keeper) Before(ctx context.Context, id, into ingest.ModelID) error {
	m, err := k.Catalog.Model(ctx, id)
	if err != nil {
		return err
	}
	m.Ingested = time.Now()
	s := k.ofCatalog(ctx, m, false)
	if into != 0 {
		target, err := k.Catalog.Model(ctx, into)
		if err != nil {
			return err
		}
		s.Model = Key(target.Files)
	}
	return k.add(ctx, []*source{s})
}

// BeforeAdd is Before for small models, which are not recorded yet.
func (k *Keeper) BeforeAdd(ctx context.Context, models []ingest.WholeModel) error {
	now := time.Now()
	sources := make([]*source, len(models))
	for i, m := range models {
		sources[i] = ofWhole(m, now)
	}
	return k.add(ctx, sources)
}

// add describes new models. Their order among those that other processes add now does not matter.
func (k *Keeper) add(ctx context.Context, sources []*source) error {
	sequence, err := k.next(ctx, false)
	if err != nil {
		return err
	}
	return k.put(ctx, sequence, sources)
}

// Update describes what changed: complete models that got other names or files, and models that were
// removed, by their Key.
func (k *Keeper) Update(ctx context.Context, changed []ingest.ModelID, removed []ingest.Digest) error {
	var sources []*source
	for _, key := range removed {
		sources = append(sources, ofRemoved(key))
	}
	for {
		// Another process may change the same model now: what is read later has the later place.
		sequence, err := k.next(ctx, true)
		if err != nil {
			return err
		}
		n := min(len(changed), maxFrames)
		for _, id := range changed[:n] {
			s, err := k.replacing(ctx, id, true)
			if err != nil {
				return err
			}
			sources = append(sources, s)
		}
		if err := k.put(ctx, sequence, sources); err != nil || n == len(changed) {
			return err
		}
		sources, changed = nil, changed[n:]
	}
}

// replacing returns a source with all of a complete model, so that earlier frames about it do not count. look is
// that of ofCatalog.
func (k *Keeper) replacing(ctx context.Context, id ingest.ModelID, look bool) (*source, error) {
	m, err := k.Catalog.Model(ctx, id)
	if err != nil {
		return nil, err
	}
	s := k.ofCatalog(ctx, m, look)
	s.Replaces = true
	return s, nil
}

// put writes one file with a frame for each source that can be described. If it returns errDamagedPayload,
// wrapped, the other sources are described.
func (k *Keeper) put(ctx context.Context, sequence int64, sources []*source) error {
	spool := &spool{}
	damaged, err := k.compress(spool, sources)
	if err == nil && len(spool.frames) > 0 {
		err = k.store(ctx, spool, sequence)
	}
	if err = errors.Join(err, spool.close()); err != nil {
		return err
	}
	return damaged
}

func (k *Keeper) store(ctx context.Context, spool *spool, sequence int64) error {
	d, err := spool.finish(sequence)
	if err != nil {
		return err
	}
	if err := k.Store.PutDescription(ctx, d, spool.content()); err != nil {
		return fmt.Errorf("describe models: %w", err)
	}
	return nil
}

// compress adds a frame for each source that can be described. damaged joins the errors of those with a
// damaged payload.
func (k *Keeper) compress(spool *spool, sources []*source) (damaged, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.compressor == nil {
		if k.compressor, err = newCompressor(); err != nil {
			return nil, err
		}
	}
	for _, s := range sources {
		if !s.Removed && (len(s.Files) == 0 || len(s.Names) == 0) {
			continue // of another program
		}
		err := spool.add(k.compressor, s)
		if err == nil || errors.Is(err, errNotInStore) {
			continue
		}
		err = fmt.Errorf("describe %s: %w", s.label(), err)
		if !errors.Is(err, errDamagedPayload) {
			return damaged, err
		}
		damaged = errors.Join(damaged, err)
	}
	return damaged, nil
}

// next returns the next place: the time in microseconds, but after the last one of this Keeper and after
// those that are there at its first call or, for a change, now. So a change is in order also among machines
// whose clocks differ.
func (k *Keeper) next(ctx context.Context, change bool) (int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last == 0 || change {
		for d, err := range k.Store.Descriptions(ctx) {
			if err != nil {
				return 0, err
			}
			k.last = max(k.last, d.Sequence)
		}
	}
	k.last = max(k.last+1, time.Now().UnixMicro())
	return k.last, nil
}
