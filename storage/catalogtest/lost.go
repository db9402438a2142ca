package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

var errInjected = errors.New("injected")

// writes are the verbs that change something.
var writes = map[string]bool{
	"Open": true, "Renew": true, "CloseJob": true, "Begin": true, "Record": true, "Complete": true,
	"Abandon": true, "Attach": true, "Unreferenced": true, "Relocate": true, "ReplacePayload": true,
	"Add": true, "Remove": true, "RemoveName": true, "Rename": true, "Register": true,
}

var lostTests = []test{
	{name: "every answer is lost once and the call repeated", many: func(t *testing.T,
		fresh func(t *testing.T) Database) {
		expected := plain(t, fresh)
		c := fresh(t)(t)
		lost := 0
		must(t, script(t, patient{Faulty(c, everySecond(After, &lost))}, 1))
		want(t, "answers lost", lost > 20, true)
		must(t, Check(t.Context(), c, nil))
		want(t, "result", result(t, c), expected)
	}},
	{name: "every verb fails once before its effect", many: func(t *testing.T, fresh func(t *testing.T) Database) {
		expected := plain(t, fresh)
		c := fresh(t)(t)
		failed := 0
		must(t, script(t, patient{Faulty(c, everySecond(Before, &failed))}, 1))
		must(t, Check(t.Context(), c, nil))
		want(t, "result", result(t, c), expected)
	}},
	{name: "a program that is killed at any call and started again ends with the same result",
		many: func(t *testing.T, fresh func(t *testing.T) Database) {
			expected := plain(t, fresh)
			step := Sample(t, 9)
			for deadly, died := 1, true; died; deadly += step {
				c := fresh(t)(t)
				died = false
				calls := 0
				err := script(t, Faulty(c, func(verb string, _ Moment) error {
					if !writes[verb] {
						return nil
					}
					if calls++; calls == deadly {
						died = true
						return errInjected
					}
					return nil
				}), 1)
				must(t, Check(t.Context(), c, nil))
				if died {
					wantIs(t, err, errInjected)
					err = script(t, c, 2)
				}
				must(t, err)
				must(t, Check(t.Context(), c, nil))
				for job, err := range c.AllJobs(t.Context()) {
					must(t, err)
					want(t, "state of the job", job.State, ingest.JobComplete)
				}
				if got := result(t, c); got != expected {
					t.Fatalf("after a kill at call %d the result is\n%s\nwant\n%s", deadly, got, expected)
				}
				must(t, c.Close())
			}
		}},
}

// plain returns the result of the script without faults.
func plain(t *testing.T, fresh func(t *testing.T) Database) string {
	t.Helper()
	c := fresh(t)(t)
	must(t, script(t, c, 1))
	must(t, Check(t.Context(), c, nil))
	return result(t, c)
}

// everySecond fails each writing verb at that moment, but not when it is repeated.
func everySecond(at Moment, count *int) Hook {
	return func(verb string, when Moment) error {
		if !writes[verb] || when != at {
			return nil
		}
		if *count++; *count%2 == 1 {
			return errInjected
		}
		return nil
	}
}

// patient repeats each failed call once.
type patient struct{ ingest.Catalog }

func retry[T any](do func() (T, error)) (T, error) {
	answer, err := do()
	if errors.Is(err, errInjected) {
		return do()
	}
	return answer, err
}

func retryEffect(do func() error) error {
	if err := do(); !errors.Is(err, errInjected) {
		return err
	}
	return do()
}

func (p patient) Open(ctx context.Context, request ingest.JobRequest) (ingest.Lease, error) {
	return retry(func() (ingest.Lease, error) { return p.Catalog.Open(ctx, request) })
}

func (p patient) Renew(ctx context.Context, lease ingest.Lease) error {
	return retryEffect(func() error { return p.Catalog.Renew(ctx, lease) })
}

func (p patient) CloseJob(ctx context.Context, lease ingest.Lease, outcome ingest.Outcome) error {
	return retryEffect(func() error { return p.Catalog.CloseJob(ctx, lease, outcome) })
}

func (p patient) Begin(ctx context.Context, lease ingest.Lease, model *ingest.Model,
	plans []*ingest.Plan) (*ingest.Entry, error) {
	return retry(func() (*ingest.Entry, error) { return p.Catalog.Begin(ctx, lease, model, plans) })
}

func (p patient) Record(ctx context.Context, lease ingest.Lease, batch *ingest.Batch) error {
	return retryEffect(func() error { return p.Catalog.Record(ctx, lease, batch) })
}

func (p patient) Complete(ctx context.Context, lease ingest.Lease, model, into ingest.ModelID) (ingest.ModelID, error) {
	return retry(func() (ingest.ModelID, error) { return p.Catalog.Complete(ctx, lease, model, into) })
}

func (p patient) Abandon(ctx context.Context, lease ingest.Lease, model ingest.ModelID) error {
	return retryEffect(func() error { return p.Catalog.Abandon(ctx, lease, model) })
}

func (p patient) Attach(ctx context.Context, lease ingest.Lease, model ingest.ModelID, name ingest.Alias,
	files []ingest.NamedFile) error {
	return retryEffect(func() error { return p.Catalog.Attach(ctx, lease, model, name, files) })
}

func (p patient) Register(ctx context.Context, lease ingest.Lease, model *ingest.Model,
	content []ingest.FileContent) (ingest.ModelID, error) {
	return retry(func() (ingest.ModelID, error) { return p.Catalog.Register(ctx, lease, model, content) })
}

func (p patient) Add(ctx context.Context, lease ingest.Lease, models []ingest.WholeModel) ([]ingest.Added, error) {
	return retry(func() ([]ingest.Added, error) { return p.Catalog.Add(ctx, lease, models) })
}

func (p patient) Unreferenced(ctx context.Context, lease ingest.Lease, remove bool) (atoms, bytes int64, err error) {
	atoms, bytes, err = p.Catalog.Unreferenced(ctx, lease, remove)
	if errors.Is(err, errInjected) {
		return p.Catalog.Unreferenced(ctx, lease, remove)
	}
	return atoms, bytes, err
}

func (p patient) Relocate(ctx context.Context, lease ingest.Lease, segment ingest.StoredSegment,
	address ingest.Address) error {
	return retryEffect(func() error { return p.Catalog.Relocate(ctx, lease, segment, address) })
}

func (p patient) Remove(ctx context.Context, lease ingest.Lease, model ingest.ModelID, cascade bool) error {
	return retryEffect(func() error { return p.Catalog.Remove(ctx, lease, model, cascade) })
}

func (p patient) RemoveName(ctx context.Context, lease ingest.Lease, model ingest.ModelID, name string) error {
	return retryEffect(func() error { return p.Catalog.RemoveName(ctx, lease, model, name) })
}

func (p patient) Rename(ctx context.Context, lease ingest.Lease, model ingest.ModelID, from, to string) error {
	return retryEffect(func() error { return p.Catalog.Rename(ctx, lease, model, from, to) })
}

// result describes the content of a catalogue, without the IDs that depend on its history.
func result(t *testing.T, c ingest.Catalog) string {
	t.Helper()
	text := ""
	for s, err := range c.Models(t.Context()) {
		must(t, err)
		text += fmt.Sprintf("%s %s %s %d %d %d %d\n", s.Name, s.State, s.Architecture, s.Segments, s.BytesStored,
			s.BytesShared, s.BytesSaved)
		for _, f := range s.Files {
			text += fmt.Sprintf("  file %d %s %s %d %s\n", f.Index, f.Role, f.Path, f.Recorded, f.Digest.Short())
			for segment, err := range c.Segments(t.Context(), f.ID, 0) {
				must(t, err)
				text += fmt.Sprintf("    %d %d %s %s %s %s\n", segment.Offset, segment.Bytes, segment.Digest.Short(),
					segment.Tensor, segment.Address.URI, segment.Address.Codec)
			}
		}
		for _, n := range s.Names {
			text += fmt.Sprintf("  name %s %d\n", n.Name, len(n.Files))
		}
	}
	return text
}
