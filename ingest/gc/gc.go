package gc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/lease"
)

// Collector deletes from a store what no row of the catalogue refers to.
type Collector struct {
	Catalog ingest.Catalog
	// Store may be nil, to look at the rows alone, which may hold the payloads themselves.
	Store ingest.Store
	// OlderThan keeps what was written more recently.
	OlderThan time.Duration
	// Remove is false to look only.
	Remove bool
	// Unfinished also removes the rows of models that were begun and not completed,
	// so that their payloads become free.
	Unfinished bool
	// Refused, if not nil, is told of each object that could not be deleted, and why. The others go
	// on.
	Refused func(ingest.Object, error)
}

// Collection is what a Collector found, and deleted if it was to.
type Collection struct {
	Payloads   int64            // payloads without a row
	Bytes      int64            // of them and of the remains
	Remains    int64            // of interrupted writes
	Atoms      int64            // rows of segments that nothing refers to any longer
	AtomBytes  int64            // their payloads, which go too
	Unfinished []ingest.Summary // models that are not complete
	Young      int64            // without a row too, and kept: written too recently, or again while gc looked
	YoungBytes int64
	Refused    int64 // could not be deleted
}

// closeTimeout bounds the last word to the catalogue about the job.
const closeTimeout = 10 * time.Second

// Collect looks for garbage, calls found for each object in the store that no row needs, and
// deletes it if Remove is set. It runs alone: while any other job is live, the error is a
// *BusyError, and none can begin until it is done. A store that is not this catalogue's is refused.
func (c *Collector) Collect(
	ctx context.Context,
	request ingest.JobRequest,
	found func(ingest.Object),
) (sum Collection, err error) {
	if err := c.checkOwner(ctx); err != nil {
		return sum, err
	}
	request.Exclusive = true
	job, err := c.Catalog.Open(ctx, request)
	if err != nil {
		return sum, err
	}
	work, end := lease.Keep(ctx, c.Catalog, job, nil) // each batch renews it too
	err = c.collect(work, job, &sum, found)
	if errors.Is(err, context.Canceled) && work.Err() != nil {
		err = context.Cause(work) // the lease was lost, or the user has stopped it
	}
	end()
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer stop()
	return sum, errors.Join(err, c.Catalog.CloseJob(last, job, outcome(&sum, err)))
}

// outcome is how the job ended.
func outcome(sum *Collection, err error) ingest.Outcome {
	switch {
	case errors.Is(err, ingest.ErrInterrupted):
		return ingest.Outcome{State: ingest.JobOpen, Problems: []ingest.Problem{{Reason: err.Error()}}}
	case err != nil:
		return ingest.Outcome{State: ingest.JobFailed, Problems: []ingest.Problem{{Reason: err.Error()}}}
	case sum.Refused > 0:
		reason := fmt.Sprintf("%d payloads or remains could not be removed", sum.Refused)
		return ingest.Outcome{State: ingest.JobFailed, Problems: []ingest.Problem{{Reason: reason}}}
	}
	return ingest.Outcome{State: ingest.JobComplete}
}

// checkOwner refuses a store that is not this catalogue's: nobody here knows which of its payloads
// are needed.
func (c *Collector) checkOwner(ctx context.Context) error {
	if c.Store == nil {
		return nil
	}
	identity, err := c.Catalog.Identity(ctx)
	if err != nil {
		return err
	}
	owner, err := c.Store.Owner(ctx, "")
	switch {
	case err != nil:
		return fmt.Errorf("nothing is removed: %w", err)
	case owner == "":
		return fmt.Errorf(
			"this catalogue (%s) has put nothing into this store, and cannot know what it is for: nothing is removed",
			identity,
		)
	case owner != identity:
		return fmt.Errorf("nothing is removed: %w", &ingest.OwnerError{Owner: owner, Catalog: identity})
	}
	return nil
}

func (c *Collector) collect(
	ctx context.Context,
	job ingest.Lease,
	sum *Collection,
	found func(ingest.Object),
) (err error) {
	if err := c.unfinished(ctx, job, sum); err != nil {
		return err
	}
	if sum.Atoms, sum.AtomBytes, err = c.Catalog.Unreferenced(ctx, c.Remove); err != nil || c.Store == nil {
		return err
	}
	s := &sweep{Collector: c, job: job, sum: sum, found: found, limit: time.Now().Add(-c.OlderThan)}
	return s.all(ctx)
}

func (c *Collector) unfinished(ctx context.Context, job ingest.Lease, sum *Collection) error {
	for model, err := range c.Catalog.Models(ctx) {
		if err != nil {
			return err
		}
		if model.State == ingest.ModelOpen {
			sum.Unfinished = append(sum.Unfinished, model)
		}
	}
	if !c.Unfinished || !c.Remove {
		return nil
	}
	for _, model := range sum.Unfinished {
		if err := c.Catalog.Abandon(ctx, job, model.ID); err != nil {
			return err
		}
	}
	return nil
}
