package remove

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// fake is a catalogue of models in memory. Its writes need its only lease.
type fake struct {
	ingest.Catalog // nil
	t              *testing.T
	models         []ingest.Summary
	foreign        map[ingest.ModelID][]ingest.ForeignRows
	busy           error
	opened         ingest.JobRequest
	live           bool
	outcome        ingest.Outcome
	did            []string
	onOpen         func()
	onStep         func(context.Context) error // called before each change
	leaseLost      bool
}

func (f *fake) Open(_ context.Context, request ingest.JobRequest) (ingest.Lease, error) {
	if f.busy != nil {
		return ingest.Lease{}, f.busy
	}
	f.opened, f.live = request, true
	if f.onOpen != nil {
		f.onOpen()
	}
	return ingest.Lease{Job: 1, Token: 1, TTL: 3 * time.Millisecond}, nil
}

func (f *fake) Renew(context.Context, ingest.Lease) error {
	if f.leaseLost {
		return ingest.ErrLeaseLost
	}
	return nil
}

func (f *fake) CloseJob(_ context.Context, _ ingest.Lease, outcome ingest.Outcome) error {
	f.live, f.outcome = false, outcome
	return nil
}

func (f *fake) Model(_ context.Context, id ingest.ModelID) (ingest.Summary, error) {
	i := f.index(id)
	if i < 0 {
		return ingest.Summary{}, fmt.Errorf("model %d: %w", id, ingest.ErrNotFound)
	}
	return f.models[i], nil
}

func (f *fake) Models(context.Context) iter.Seq2[ingest.Summary, error] {
	return func(yield func(ingest.Summary, error) bool) {
		for _, m := range f.models {
			if !yield(m, nil) {
				return
			}
		}
	}
}

func (f *fake) ModelsNamed(_ context.Context, name string) (ids []ingest.ModelID, err error) {
	for _, m := range f.models {
		if slices.Contains(m.AllNames(), name) {
			ids = append(ids, m.ID)
		}
	}
	return ids, nil
}

func (f *fake) ModelsWithDigest(_ context.Context, prefix ingest.DigestPrefix) (ids []ingest.ModelID, err error) {
	for _, m := range f.models {
		if strings.HasPrefix(m.Files[0].Digest.String(), string(prefix)) {
			ids = append(ids, m.ID)
		}
	}
	return ids, nil
}

func (f *fake) index(id ingest.ModelID) int {
	return slices.IndexFunc(f.models, func(m ingest.Summary) bool { return m.ID == id })
}

func (f *fake) Removal(ctx context.Context, id ingest.ModelID) (ingest.Removal, error) {
	m, err := f.Model(ctx, id)
	return ingest.Removal{Model: m, Freed: 100 * int64(id), Shared: int64(id), Foreign: f.foreign[id]}, err
}

// step logs a change and checks the lease.
func (f *fake) step(ctx context.Context, lease ingest.Lease, format string, args ...any) error {
	f.t.Helper()
	if !f.live || lease.Token != 1 {
		f.t.Errorf("%s: without a lease", fmt.Sprintf(format, args...))
	}
	if f.onStep != nil {
		if err := f.onStep(ctx); err != nil {
			return err
		}
	}
	f.did = append(f.did, fmt.Sprintf(format, args...))
	return nil
}

func (f *fake) Remove(ctx context.Context, lease ingest.Lease, id ingest.ModelID, cascade bool) error {
	if rows := f.foreign[id]; len(rows) > 0 && !cascade {
		return &ingest.ForeignRowsError{Model: id, Rows: rows}
	}
	err := f.step(ctx, lease, "remove %d cascade %v", id, cascade)
	if err == nil {
		f.models = slices.Delete(f.models, f.index(id), f.index(id)+1)
	}
	return err
}

func (f *fake) RemoveName(ctx context.Context, lease ingest.Lease, id ingest.ModelID, name string) error {
	return f.step(ctx, lease, "remove name %s of %d", name, id)
}

func (f *fake) Rename(ctx context.Context, lease ingest.Lease, id ingest.ModelID, from, to string) error {
	return f.step(ctx, lease, "rename %s of %d to %s", from, id, to)
}

// model returns a model with these names and one file.
func model(id ingest.ModelID, names ...string) ingest.Summary {
	digest := ingest.Sum([]byte(names[0]))
	m := ingest.Summary{ID: id, Name: names[0], State: ingest.ModelComplete,
		Files: []ingest.StoredFile{{ID: ingest.FileID(id), Digest: digest}}}
	for _, name := range names {
		m.Names = append(m.Names, ingest.Name{Alias: ingest.Alias{Name: name}})
	}
	return m
}

// catalogue returns a catalogue with a model with three names, one with one name, and two with the
// same name.
func catalogue(t *testing.T) *fake {
	return &fake{t: t, foreign: map[ingest.ModelID][]ingest.ForeignRows{}, models: []ingest.Summary{
		model(1, "a:latest", "a:1", "a:2"), model(2, "b"), model(3, "twice"), model(4, "twice", "four")}}
}
