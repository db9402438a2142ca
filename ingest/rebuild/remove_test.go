package rebuild_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/remove"
	"github.com/hartonomous/ingest/storage/catalogtest"
)

// rm removes references from a catalogue whose verbs call hook. The run is cancelled when hook fails. It
// returns the errors of Outdated.
func (f *fixture) rm(hook catalogtest.Hook, references ...string) (outdated []error) {
	f.Helper()
	plan, err := remove.NewPlan(f.Context(), f.catalog, references)
	f.must(err)
	ctx, cancel := context.WithCancel(f.Context())
	failing := catalogtest.Faulty(f.catalog, func(verb string, when catalogtest.Moment) error {
		err := hook(verb, when)
		if err != nil {
			cancel()
		}
		return err
	})
	r := remove.Remover{Catalog: failing, Descriptions: f.stores(), Removed: func(ingest.Removal) {},
		RemovedName: func(remove.Name) {}, Outdated: func(err error) { outdated = append(outdated, err) }}
	request := ingest.JobRequest{Pipeline: "rm", Source: "rm", Holder: ingest.ThisProcess(), TTL: 1e12}
	if err := r.Run(ctx, request, plan); err == nil {
		f.Fatal("rm did not fail")
	}
	return outdated
}

// TestRemovalFails: rm describes a removal before it. A model that is there nevertheless is described again.
func TestRemovalFails(t *testing.T) {
	for moment, want := range map[catalogtest.Moment][]string{catalogtest.Before: {"[one]", "[two]"},
		catalogtest.After: {"[two]"}} {
		f := newFixture(t)
		f.ingest("one", content(1, 1))
		f.ingest("two", content(1, 2))
		var during []string
		outdated := f.rm(func(verb string, when catalogtest.Moment) error {
			if verb != "Remove" || when != moment {
				return nil
			}
			during, _ = f.described()
			return errFault
		}, "one", "two")
		if got, _ := f.described(); !slices.Equal(got, want) || len(during)+len(outdated) > 0 {
			t.Errorf("described %v, and %v during the removal; want %v; outdated %v", got, during, want, outdated)
		}
	}
}

// TestNameRemovalFails: the names are described that the model has, although the answer was lost.
func TestNameRemovalFails(t *testing.T) {
	for moment, want := range map[catalogtest.Moment]string{catalogtest.Before: "[one other]",
		catalogtest.After: "[one]"} {
		f := newFixture(t)
		f.ingest("one", content(1, 1))
		f.ingest("other", content(1, 1))
		outdated := f.rm(func(verb string, when catalogtest.Moment) error {
			if verb == "RemoveName" && when == moment {
				return errFault
			}
			return nil
		}, "other")
		if got, _ := f.described(); !slices.Equal(got, []string{want}) || len(outdated) > 0 {
			t.Errorf("described %v, want %s; outdated %v", got, want, outdated)
		}
	}
}

// TestRemovalUnknown: rm reports that it cannot find out whether a model is still there.
func TestRemovalUnknown(t *testing.T) {
	f := newFixture(t)
	f.ingest("one", content(1, 1))
	failed := false
	outdated := f.rm(func(verb string, _ catalogtest.Moment) error {
		if failed = failed || verb == "Remove"; failed && verb != "CloseJob" {
			return errFault
		}
		return nil
	}, "one")
	if len(outdated) != 1 || !errors.Is(outdated[0], errFault) {
		t.Errorf("outdated %v", outdated)
	}
}

// TestRemoveUnfinished: an unfinished model may have the weights of a complete one, which stays described.
func TestRemoveUnfinished(t *testing.T) {
	f := newFixture(t)
	f.ingest("one", content(1, 1))
	id := f.begin("half", content(1, 1))
	m, err := f.catalog.Model(t.Context(), id)
	f.must(err)
	if m.State != ingest.ModelOpen {
		t.Fatalf("the model is %s", m.State)
	}
	plan, err := remove.NewPlan(t.Context(), f.catalog, []string{"half"})
	f.must(err)
	r := remove.Remover{Catalog: f.catalog, Descriptions: f.stores(), Removed: func(ingest.Removal) {},
		Outdated: func(err error) { t.Error(err) }}
	f.must(r.Run(t.Context(), ingest.JobRequest{Pipeline: "rm", Source: "rm", Holder: ingest.ThisProcess(), TTL: 1e12},
		plan))
	if got, _ := f.described(); !slices.Equal(got, []string{"[one]"}) {
		t.Errorf("described %v", got)
	}
}

// TestRenameUnfinished: the new name of an unfinished model is not described.
func TestRenameUnfinished(t *testing.T) {
	f := newFixture(t)
	f.begin("half", content(1, 1))
	r := remove.Renamer{Catalog: f.catalog, Descriptions: f.stores(), Outdated: func(err error) { t.Error(err) }}
	request := ingest.JobRequest{Pipeline: "rename", Source: "rename", Holder: ingest.ThisProcess(), TTL: 1e12}
	_, _, err := r.Rename(t.Context(), request, "half", "other")
	f.must(err)
	if got, files := f.described(); files > 0 {
		t.Errorf("described %v", got)
	}
}

func (f *fixture) stores() []ingest.DescriptionStore { return []ingest.DescriptionStore{f.store} }
