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
	// Store must be a Sweeper; nil looks at the rows alone, which may hold the payloads themselves.
	Store Store
	// OlderThan spares what was written more recently.
	OlderThan time.Duration
	// Remove is false to look only.
	Remove bool
	// Unfinished also removes the rows of models that were begun and not completed,
	// so that their payloads become free.
	Unfinished bool
	// Refused, if not nil, is told of each thing that could not be removed, and why. The others go on.
	Refused func(Object, error)
}

// Collection is what a Collector found, and removed if it was to.
type Collection struct {
	Payloads   int64     // payloads without a row
	Bytes      int64     // of them and of the remains
	Remains    int64     // of interrupted writes
	Atoms      int64     // rows of segments that nothing refers to any longer
	AtomBytes  int64     // their payloads, which go too
	Unfinished []Summary // models that are not complete
	Young      int64     // without a row too, and spared: written too recently, or again while gc looked
	YoungBytes int64
	Refused    int64 // could not be removed
}

// sweepBatch is how many digests are asked of the catalogue at once.
const sweepBatch = 1000

// Collect looks for garbage, calls found for each thing in the store that no row needs, and
// removes it if Remove is set. It runs alone: while any other job is live, the error is a *BusyError, and
// none can begin until it is done. A store that other catalogues use as well is refused.
func (c *Collector) Collect(ctx context.Context, claim JobRequest, found func(Object)) (sum Collection, err error) {
	sweeper, ok := c.Store.(Sweeper)
	if !ok && c.Store != nil {
		return sum, errors.New("this store cannot list what lies in it")
	}
	if err := c.onlyOurs(ctx); err != nil {
		return sum, err
	}
	claim.Exclusive = true
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
	if sum.Refused > 0 {
		outcome = Outcome{State: JobFailed, Problems: []Problem{{"", fmt.Sprintf("%d payloads or remains could not be removed", sum.Refused)}}}
	}
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
		return fmt.Errorf("%d catalogues have an entry in this store, and this one (%s) knows only its own payloads: nothing is removed; "+
			"of a catalogue that is no more, or that has put nothing here, remove the entry from catalogs in the store (%s)", len(all), identity, strings.Join(all, ", "))
	}
	return nil
}

// announcedFor is how long a gc removes things after it has announced itself: stores heed announcements for longer.
const announcedFor = 24 * time.Hour

// guardEvery is how long the store and the lease may go unasked while things are removed.
const guardEvery = time.Second

// guard asks whether this is still the only job of the only catalogue that could come to refer to
// what is being removed.
func (c *Collector) guard(ctx context.Context, lease Lease) error {
	return errors.Join(c.Catalog.Renew(ctx, lease), c.onlyOurs(ctx))
}

func (c *Collector) collect(ctx context.Context, lease Lease, sweeper Sweeper, sum *Collection, found func(Object)) error {
	if err := c.unfinished(ctx, lease, sum); err != nil {
		return err
	}
	var err error
	if sum.Atoms, sum.AtomBytes, err = c.Catalog.Unreferenced(ctx, lease, c.Remove); err != nil || sweeper == nil {
		return err
	}
	s := &sweep{Collector: c, sweeper: sweeper, lease: lease, sum: sum, found: found, limit: time.Now().Add(-c.OlderThan)}
	announcer, ok := c.Store.(Announcer)
	if !ok || !c.Remove {
		return s.all(ctx)
	}
	identity, err := c.Catalog.Identity(ctx)
	if err != nil {
		return err
	}
	s.announced = time.Now().Round(0) // a machine that is asleep counts, too
	if s.since, err = announcer.Announce(ctx, identity); err != nil {
		return err
	}
	err = s.all(ctx)
	if s.unanswered { // what was asked for may still happen, and the announcement has to be there then
		return err
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer stop()
	if refusal := announcer.Withdraw(last, identity, s.since); refusal != nil {
		s.refuse(Object{Name: "the announcement of this gc"}, refusal)
	}
	return err
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

// sweep is one look through a store.
type sweep struct {
	*Collector
	sweeper    Sweeper
	lease      Lease
	sum        *Collection
	found      func(Object)
	limit      time.Time // what was written later is spared
	since      time.Time // of the announcement: what was not written before is spared; zero if there is none
	announced  time.Time // the same by the wall clock of this machine
	unanswered bool      // the store has not said what became of a Remove
}

func (s *sweep) all(ctx context.Context) error {
	var batch []Object
	for stray, err := range s.sweeper.Sweep(ctx) {
		if err != nil {
			return err
		}
		if batch = append(batch, stray); len(batch) < sweepBatch {
			continue
		}
		if err := s.batch(ctx, batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return s.batch(ctx, batch)
}

// batch asks the rows for what was listed, then who else may need it, and removes what nobody does.
func (s *sweep) batch(ctx context.Context, batch []Object) error {
	var digests []Digest
	for _, stray := range batch {
		if !stray.Digest.IsZero() {
			digests = append(digests, stray.Digest)
		}
	}
	needed, err := s.Catalog.Referenced(ctx, digests)
	if err != nil {
		return err
	}
	if err := s.guard(ctx, s.lease); err != nil {
		return err
	}
	guarded := time.Now()
	for _, stray := range batch {
		switch names := needed[stray.Digest]; {
		case slices.Contains(names, stray.Name), slices.Contains(names, ""):
			continue
		case stray.Modified.After(s.limit), !s.since.IsZero() && !stray.Modified.Before(s.since):
			s.young(stray)
			continue
		}
		if s.Remove && time.Since(guarded) > guardEvery { // this process was slow, or was stopped for a while
			if err := s.guard(ctx, s.lease); err != nil {
				return err
			}
			guarded = time.Now()
		}
		if err := s.take(ctx, stray); err != nil {
			return err
		}
	}
	return nil
}

// take removes one thing, if it is to be. An error is the end of the sweep.
func (s *sweep) take(ctx context.Context, stray Object) error {
	if s.Remove {
		if !s.announced.IsZero() && time.Since(s.announced) > announcedFor {
			return fmt.Errorf("gc has been at work for %s, and others need not heed it any longer: run it again for the rest", announcedFor)
		}
		err := s.sweeper.Remove(ctx, stray)
		switch {
		case err == nil:
		case errors.Is(err, ErrModified):
			s.young(stray)
			return nil
		case errors.Is(err, ErrUnreachable), ctx.Err() != nil:
			s.unanswered = true
			return err
		default:
			s.refuse(stray, err)
			return nil
		}
	}
	s.sum.add(stray)
	s.found(stray)
	return nil
}

// refuse notes what could not be removed.
func (s *sweep) refuse(stray Object, err error) {
	s.sum.Refused++
	if s.Refused != nil {
		s.Refused(stray, err)
	}
}

func (s *sweep) young(stray Object) {
	s.sum.Young++
	s.sum.YoungBytes += stray.Bytes
}

func (sum *Collection) add(stray Object) {
	if stray.Digest.IsZero() {
		sum.Remains++
	} else {
		sum.Payloads++
	}
	sum.Bytes += stray.Bytes
}
