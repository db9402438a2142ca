// Package rebuild makes the rows of a catalogue from the descriptions in a store; see package describe.
//
// Models are rebuilt one by one, with the verbs by which they were ingested, so they are merged as they
// were. An interrupted run continues: complete models are not rebuilt, and the rows of an unfinished
// one are continued. Payloads are looked for, by size and metadata, and not read. Rows of complete
// models are corrected if their payloads are now in another encoding, or in other segments.
package rebuild

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
	"github.com/hartonomous/ingest/ingest/lease"
)

// Rebuilder rebuilds the rows of the models in a store.
type Rebuilder struct {
	Catalog ingest.Catalog
	Store   ingest.DescriptionStore
	Address string // of Store, as in ingest.OptionStore
	// Memory bounds the tensors of a model, in bytes.
	Memory int64
	// TakeOver lets the catalogue adopt the identity of the store's owner, which no longer exists.
	TakeOver bool
	// Rebuilt, Present and Refused, if not nil, are called for each description.
	Rebuilt, Present func(Model)
	Refused          func(name string, err error)
}

// Model is a model of a description.
type Model struct {
	ID    ingest.ModelID
	Name  string // the oldest
	Files int
	Bytes int64
}

// Sum counts descriptions.
type Sum struct {
	Rebuilt, Present, Refused int
	Segments, Bytes           int64 // of the rebuilt models
	Unclaimed, UnclaimedBytes int64 // payloads in the store that no row needs
	Garbage                   bool  // the catalogue once had rows for all payloads, so that these are garbage
	Lost                      int   // models that were present, with payloads that are not in the store
	// Others are the other stores that the catalogue's jobs used. Lost models may be there.
	Others []ingest.UsedStore
}

// maxReferenced is the limit of Catalog.Referenced.
const maxReferenced = 1000

// workers is the number of payloads that are looked for at the same time.
const workers = 16

// run is one call of Run.
type run struct {
	*Rebuilder
	pipeline string
	job      ingest.Lease
	sum      Sum
	models   map[ingest.Digest]ingest.ModelID // complete ones, by describe.Key
	lost     map[ingest.ModelID]bool          // whether payloads are missing, of those that were looked at
	outdated []ingest.ModelID                 // models whose description tells of other segments
	problems []ingest.Problem                 // of what was refused
}

// Run rebuilds the models of all descriptions, oldest first, as the job that request asks for. It runs
// alone. A description that is damaged or whose payloads are missing is refused, and Run continues.
func (r *Rebuilder) Run(ctx context.Context, request ingest.JobRequest) (Sum, error) {
	if err := r.claim(ctx); err != nil {
		return Sum{}, err
	}
	w := &run{Rebuilder: r, pipeline: request.Pipeline, models: map[ingest.Digest]ingest.ModelID{},
		lost: map[ingest.ModelID]bool{}}
	request.Exclusive = true
	err := lease.Run(ctx, r.Catalog, request, nil, func(ctx context.Context, job ingest.Lease) error {
		w.job = job
		return w.all(ctx)
	}, w.outcome)
	return w.sum, err
}

// outcome closes the job also if it was interrupted: the next run is a new one.
func (w *run) outcome(err error) ingest.Outcome {
	outcome := ingest.Outcome{State: ingest.JobComplete, Problems: w.problems}
	if err != nil {
		outcome.Problems = append(outcome.Problems, ingest.Problem{Reason: err.Error()})
	}
	if err != nil || w.sum.Refused > 0 {
		outcome.State = ingest.JobFailed
	}
	return outcome
}

// claim makes the catalogue the owner of the store. The store's record of its owner does not change
// when the catalogue takes the store over.
func (r *Rebuilder) claim(ctx context.Context) error {
	owner, err := r.Store.Owner(ctx, "")
	if err != nil {
		return err
	}
	identity, err := r.Catalog.Identity(ctx)
	switch {
	case err != nil || owner == identity:
		return err
	case owner == "":
		return ingest.ClaimStore(ctx, r.Catalog, r.Store, r.Address)
	case r.TakeOver:
		return r.Catalog.Adopt(ctx, owner)
	}
	return &ingest.OwnerError{Owner: owner, Catalog: identity}
}

func (w *run) all(ctx context.Context) error {
	used, err := ingest.UsedStores(ctx, w.Catalog)
	if err != nil {
		return err
	}
	for _, u := range used {
		if u.Address != w.Address && u.Address != ingest.StoreRows {
			w.sum.Others = append(w.sum.Others, u)
		}
	}
	for m, err := range w.Catalog.Models(ctx) {
		if err != nil {
			return err
		}
		if m.State == ingest.ModelComplete && len(m.Files) > 0 {
			w.models[describe.Key(m.Files)] = m.ID
		}
	}
	log, err := describe.ReadLog(ctx, w.Store)
	if err != nil {
		return err
	}
	for _, f := range log.Files {
		if f.Err != nil {
			w.refused("description "+f.Content.Short(), f.Err)
		}
	}
	for _, e := range log.Live() {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := w.one(ctx, e); err != nil {
			return err
		}
	}
	if err := w.undescribed(ctx); err != nil {
		return err
	}
	if err := w.countUnclaimed(ctx); err != nil {
		return err
	}
	keeper := describe.Keeper{Catalog: w.Catalog, Store: w.Store}
	if w.sum.Refused > 0 { // a description may tell more about a model than the catalogue
		return keeper.Update(ctx, w.outdated, nil)
	}
	// If the catalogue was restored from an older copy, it has models and names that were removed since.
	return keeper.Complement(ctx, log, w.lost)
}

// countUnclaimed counts the payloads that no row needs: garbage, or those of models without a
// description. Unless the catalogue has had all models, they are a problem, and gc deletes them only
// with Unfinished.
func (w *run) countUnclaimed(ctx context.Context) (err error) {
	bytes := map[ingest.Digest]int64{}
	count := func() error {
		names, err := w.Catalog.Referenced(ctx, slices.Collect(maps.Keys(bytes)))
		for digest, n := range bytes {
			if len(names[digest]) == 0 {
				w.sum.Unclaimed++
				w.sum.UnclaimedBytes += n
			}
		}
		clear(bytes)
		return err
	}
	for object, err := range w.Store.List(ctx) {
		if err == nil && !object.Digest.IsZero() {
			bytes[object.Digest] += object.Bytes
		}
		if err == nil && len(bytes) == maxReferenced {
			err = count()
		}
		if err != nil {
			return err
		}
	}
	if err = count(); err != nil || w.sum.Unclaimed == 0 {
		return err
	}
	if w.sum.Garbage, err = w.hasHadAll(ctx); err != nil || w.sum.Garbage {
		return err
	}
	w.problems = append(w.problems, ingest.Problem{Reason: fmt.Sprintf("no model has %d payloads of the store, %d "+
		"bytes: they are garbage, or of models without a description", w.sum.Unclaimed, w.sum.UnclaimedBytes)})
	return nil
}

// hasHadAll reports whether the catalogue is known to have had rows for all payloads: it was not made by a
// rebuild, or an earlier one found them all, or what it did not find was given up.
func (w *run) hasHadAll(ctx context.Context) (bool, error) {
	rebuilt := false
	for job, err := range w.Catalog.AllJobs(ctx) {
		if err != nil || job.ID == w.job.Job {
			return false, err
		}
		found := job.Pipeline == w.pipeline && job.State == ingest.JobComplete && len(job.Problems) == 0
		ingested := job.Pipeline == "models" && job.Options[ingest.OptionStore] == w.Address && !rebuilt
		if found || ingested || job.Options[ingest.OptionGivenUp] != "" {
			return true, nil
		}
		rebuilt = rebuilt || job.Pipeline == w.pipeline
	}
	return false, nil
}

// refusal is the error of a model that cannot be rebuilt. The run continues.
type refusal struct{ error }

// Unwrap returns the cause.
func (r refusal) Unwrap() error { return r.error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

func (w *run) refused(name string, err error) {
	w.sum.Refused++
	w.problems = append(w.problems, ingest.Problem{Path: name, Reason: err.Error()})
	if w.Refused != nil {
		w.Refused(name, err)
	}
}

// one rebuilds the model of one description. The error is one that ends the run.
func (w *run) one(ctx context.Context, e *describe.Entry) error {
	name := e.Model.Short()
	m, err := w.load(ctx, e.Frame)
	if m != nil {
		name = string(m.Names[0].Name)
	}
	var id ingest.ModelID
	var present bool
	if err == nil {
		id, present, err = w.model(ctx, m)
	}
	switch refused := (refusal{}); {
	case errors.As(err, &refused), errors.Is(err, describe.ErrDamaged), errors.Is(err, describe.ErrVersion):
		w.refused(name, err)
		return nil
	case err != nil:
		return fmt.Errorf("rebuild %s: %w", ingest.Printable(name), err)
	}
	count, tell := &w.sum.Rebuilt, w.Rebuilt
	if present {
		count, tell = &w.sum.Present, w.Present
	}
	*count++
	if tell != nil {
		tell(Model{id, name, len(m.Files), m.bytes()})
	}
	return nil
}
