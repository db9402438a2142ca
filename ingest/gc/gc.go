package gc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
	"github.com/hartonomous/ingest/ingest/lease"
)

// Collector deletes the payloads of a store that no row of the catalogue needs.
type Collector struct {
	Catalog ingest.Catalog
	// Store may be nil, to collect rows only.
	Store ingest.Store
	// Descriptions is Store if it keeps descriptions of models; nil for none.
	Descriptions ingest.DescriptionStore
	// OlderThan keeps objects that were written more recently.
	OlderThan time.Duration
	// Remove deletes the garbage. Otherwise Collect only reports it.
	Remove bool
	// Unfinished also deletes the rows of unfinished models, so that gc deletes their payloads.
	Unfinished bool
	// Refused, if not nil, is called for each object that could not be deleted, and RefusedModel for
	// each model that could not be removed. Collect continues.
	Refused      func(ingest.Object, error)
	RefusedModel func(ingest.Summary, error)
}

// Collection is what a Collector found, and deleted if Remove is set.
type Collection struct {
	Payloads   int64            // payloads without a row
	Bytes      int64            // of Payloads and Remains
	Remains    int64            // leftovers of interrupted writes
	Atoms      int64            // atoms that no row refers to
	AtomBytes  int64            // of their payloads
	Unfinished []ingest.Summary // models that are not complete
	Young      int64            // without a row, but kept: written recently, or overwritten during gc
	YoungBytes int64
	Refused    int64 // objects and models that could not be deleted
	Instead    int64 // payloads that are kept because another encoding of them, which a row names, is missing
	Lack       error // says which models the catalogue may lack: with Remove, nothing is deleted
}

// Collect looks for garbage, calls found for each object in the store that no row needs, and
// deletes it if Remove is set. It runs alone: while another job is live, the error is a *BusyError,
// and no other job starts until Collect returns. It refuses a store of another catalogue.
func (c *Collector) Collect(ctx context.Context, request ingest.JobRequest, found func(ingest.Object)) (sum Collection,
	err error) {
	if err := c.checkOwner(ctx); err != nil {
		return sum, err
	}
	request.Exclusive = true
	if c.Remove && c.Unfinished {
		request.Options = map[string]string{ingest.OptionGivenUp: "true"}
	}
	err = lease.Run(ctx, c.Catalog, request, nil, func(ctx context.Context, job ingest.Lease) error {
		log, err := c.log(ctx)
		if err != nil {
			return err
		}
		if sum.Lack, err = c.lack(ctx, request.Pipeline, log); err != nil {
			return err
		}
		if c.Remove && sum.Lack != nil {
			return fmt.Errorf("nothing was removed: %w", sum.Lack)
		}
		return c.collect(ctx, job, log, &sum, found)
	}, sum.outcome)
	return sum, err
}

func (sum *Collection) outcome(err error) ingest.Outcome {
	if err != nil || sum.Refused == 0 {
		return lease.Outcome(err)
	}
	outcome := lease.Outcome(fmt.Errorf("payloads, remains or models that could not be deleted: %d", sum.Refused))
	outcome.Succeeded = sum.Payloads + sum.Remains + sum.Atoms
	return outcome
}

// checkOwner refuses a store of another catalogue, whose rows need the payloads.
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
		return fmt.Errorf("nothing was removed: %w", err)
	case owner == "":
		return fmt.Errorf("nothing was removed: this catalogue (%s) has never used this store", identity)
	case owner != identity:
		return fmt.Errorf("nothing was removed: %w", &ingest.OwnerError{Owner: owner, Catalog: identity})
	}
	return nil
}

func (c *Collector) collect(ctx context.Context, job ingest.Lease, log *describe.Log, sum *Collection,
	found func(ingest.Object)) (err error) {
	if err := c.removeModels(ctx, job, sum); err != nil {
		return err
	}
	if sum.Atoms, sum.AtomBytes, err = c.Catalog.Unreferenced(ctx, job, c.Remove); err != nil || c.Store == nil {
		return err
	}
	describeErr := c.describe(ctx, log)
	if ctx.Err() != nil {
		return describeErr
	}
	s := &sweep{Collector: c, job: job, sum: sum, found: found, limit: time.Now().Add(-c.OlderThan)}
	if err := s.all(ctx); err != nil {
		return errors.Join(describeErr, err)
	}
	if describeErr == nil {
		return nil
	}
	if log, err = c.log(ctx); err != nil {
		return err
	}
	return c.describe(ctx, log) // the disk may have been full
}

// log reads the descriptions; nil if there are none.
func (c *Collector) log(ctx context.Context) (*describe.Log, error) {
	if c.Descriptions == nil {
		return nil, nil
	}
	return describe.ReadLog(ctx, c.Descriptions)
}

// describe makes the descriptions, which are log now, agree with the catalogue.
func (c *Collector) describe(ctx context.Context, log *describe.Log) error {
	if !c.Remove || log == nil {
		return nil
	}
	return c.keeper().All(ctx, log)
}

func (c *Collector) keeper() *describe.Keeper {
	return &describe.Keeper{Catalog: c.Catalog, Store: c.Descriptions}
}

// removeModels finishes interrupted removals and, with Unfinished, removes unfinished models.
func (c *Collector) removeModels(ctx context.Context, job ingest.Lease, sum *Collection) error {
	var removing []ingest.Summary
	for model, err := range c.Catalog.Models(ctx) {
		switch {
		case err != nil:
			return err
		case model.State == ingest.ModelOpen:
			sum.Unfinished = append(sum.Unfinished, model)
		case model.State == ingest.ModelRemoving:
			removing = append(removing, model)
		}
	}
	if !c.Remove {
		return nil
	}
	for _, model := range removing {
		if err := c.refuseModel(ctx, sum, model, c.Catalog.Remove(ctx, job, model.ID, false)); err != nil {
			return err
		}
	}
	if !c.Unfinished {
		return nil
	}
	for _, model := range sum.Unfinished {
		if err := c.refuseModel(ctx, sum, model, c.Catalog.Abandon(ctx, job, model.ID)); err != nil {
			return err
		}
	}
	return nil
}

// refuseModel counts a model that could not be removed. It returns an error that ends gc.
func (c *Collector) refuseModel(ctx context.Context, sum *Collection, model ingest.Summary, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, ingest.ErrLeaseLost) || errors.Is(err, ingest.ErrUnreachable) {
		return err
	}
	sum.Refused++
	if c.RefusedModel != nil {
		c.RefusedModel(model, err)
	}
	return nil
}
