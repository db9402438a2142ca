package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Collector removes from a store what no row of the catalogue refers to.
type Collector struct {
	Catalog Catalog
	Store   Store // must be a Sweeper
	// OlderThan spares what was written more recently.
	OlderThan time.Duration
	// Remove is false to look only.
	Remove bool
	// Unfinished also removes the rows of models that were begun and not completed,
	// so that their payloads become free.
	Unfinished bool
}

// Collection is what a Collector found, and removed if it was to.
type Collection struct {
	Payloads   int64     // payloads without a row
	Bytes      int64     // of them and of the remains
	Remains    int64     // of interrupted writes
	Atoms      int64     // rows of segments that nothing refers to any longer
	AtomBytes  int64     // their payloads, which go too
	Unfinished []Summary // models that are not complete
}

// sweepBatch is how many digests are asked of the catalogue at once.
const sweepBatch = 1000

// Collect looks for garbage, calls found for each thing in the store that no row needs, and
// removes it if Remove is set. It runs alone: while any other job is live, the error is a *BusyError, and
// none can begin until it is done. A store that other catalogues use as well is refused.
func (c *Collector) Collect(ctx context.Context, claim Claim, found func(Stray)) (sum Collection, err error) {
	sweeper, ok := c.Store.(Sweeper)
	if !ok {
		return sum, errors.New("this store cannot list what lies in it")
	}
	if err := c.onlyOurs(ctx); err != nil {
		return sum, err
	}
	claim.Alone = true
	lease, err := c.Catalog.Open(ctx, claim)
	if err != nil {
		return sum, err
	}
	work, cancel := context.WithCancelCause(ctx)
	defer holdLease(work, c.Catalog, lease, slog.New(slog.DiscardHandler), cancel)() // each batch renews it too
	err = c.collect(work, lease, sweeper, &sum, found)
	if errors.Is(err, context.Canceled) && work.Err() != nil {
		err = context.Cause(work) // the lease was lost, or the user has stopped it
	}
	outcome := Outcome{State: JobComplete}
	if err != nil {
		outcome = Outcome{State: JobFailed, Problems: []Problem{{"", err.Error()}}}
	}
	if errors.Is(err, ErrInterrupted) {
		outcome.State = JobOpen
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer stop()
	return sum, errors.Join(err, c.Catalog.CloseJob(last, lease, outcome))
}

// onlyOurs refuses a store to which another catalogue has put payloads: this one cannot
// know which of them the other one needs.
func (c *Collector) onlyOurs(ctx context.Context) error {
	claimer, ok := c.Store.(Claimer)
	if !ok {
		return nil
	}
	identity, err := c.Catalog.Identity(ctx)
	if err != nil {
		return err
	}
	all, err := claimer.Claims(ctx)
	switch {
	case err != nil:
		return err
	case !slices.Contains(all, identity):
		return fmt.Errorf("this catalogue (%s) has put nothing into this store, and cannot know what it is for: nothing is removed", identity)
	case len(all) > 1:
		return fmt.Errorf("%d catalogues keep payloads in this store, and this one (%s) knows only its own: nothing is removed; each has an entry "+
			"under catalogs in the store: remove those of catalogues that are no more (%s)", len(all), identity, strings.Join(all, ", "))
	}
	return nil
}

// guardEvery is how long the store and the lease may go unasked while things are removed.
const guardEvery = time.Second

// guard asks whether this is still the only job of the only catalogue that could come to refer to
// what is being removed.
func (c *Collector) guard(ctx context.Context, lease Lease) error {
	return errors.Join(c.Catalog.Renew(ctx, lease), c.onlyOurs(ctx))
}

func (c *Collector) collect(ctx context.Context, lease Lease, sweeper Sweeper, sum *Collection, found func(Stray)) error {
	if err := c.unfinished(ctx, lease, sum); err != nil {
		return err
	}
	var err error
	if sum.Atoms, sum.AtomBytes, err = c.Catalog.Unreferenced(ctx, c.Remove); err != nil {
		return err
	}
	limit := time.Now().Add(-c.OlderThan)
	var batch []Stray
	for stray, err := range sweeper.Sweep(ctx) {
		if err != nil {
			return err
		}
		if stray.Modified.After(limit) {
			continue
		}
		if batch = append(batch, stray); len(batch) < sweepBatch {
			continue
		}
		if err := c.sweep(ctx, lease, sweeper, batch, sum, found); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return c.sweep(ctx, lease, sweeper, batch, sum, found)
}

func (c *Collector) unfinished(ctx context.Context, lease Lease, sum *Collection) error {
	for model, err := range c.Catalog.Models(ctx) {
		if err != nil {
			return err
		}
		if model.State == ModelOpen {
			sum.Unfinished = append(sum.Unfinished, model)
		}
	}
	if !c.Unfinished || !c.Remove {
		return nil
	}
	for _, model := range sum.Unfinished {
		if err := c.Catalog.Abandon(ctx, lease, model.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *Collector) sweep(ctx context.Context, lease Lease, sweeper Sweeper, batch []Stray, sum *Collection, found func(Stray)) error {
	var digests []Digest
	for _, stray := range batch {
		if !stray.Digest.IsZero() {
			digests = append(digests, stray.Digest)
		}
	}
	needed, err := c.Catalog.Referenced(ctx, digests)
	if err != nil {
		return err
	}
	if err := c.guard(ctx, lease); err != nil {
		return err
	}
	guarded := time.Now()
	for _, stray := range batch {
		if needed[stray.Digest] {
			continue
		}
		if c.Remove {
			if time.Since(guarded) > guardEvery { // this process was slow, or was stopped for a while
				if err := c.guard(ctx, lease); err != nil {
					return err
				}
				guarded = time.Now()
			}
			if err := sweeper.Remove(ctx, stray); err != nil {
				return err
			}
		}
		sum.add(stray)
		found(stray)
	}
	return nil
}

func (sum *Collection) add(stray Stray) {
	if stray.Digest.IsZero() {
		sum.Remains++
	} else {
		sum.Payloads++
	}
	sum.Bytes += stray.Bytes
}
