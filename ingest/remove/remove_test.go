package remove

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// text describes a plan.
func (p *Plan) text() string {
	var all []string
	for _, n := range p.Names {
		all = append(all, fmt.Sprintf("name %s of %d leaves %s", n.Name, n.Model.ID, strings.Join(n.Left(p), " ")))
	}
	for _, m := range p.Models {
		all = append(all, fmt.Sprintf("model %d frees %d shares %d", m.Model.ID, m.Freed, m.Shared))
	}
	return strings.Join(all, "; ")
}

func TestPlan(t *testing.T) {
	for given, want := range map[string]string{
		"1":                  "model 1 frees 100 shares 1",
		"b":                  "model 2 frees 200 shares 2",
		"a:1":                "name a:1 of 1 leaves a:latest a:2",
		"a:latest":           "name a:latest of 1 leaves a:1 a:2",
		"a:1 a:1":            "name a:1 of 1 leaves a:latest a:2",
		"a:1 a:2":            "name a:1 of 1 leaves a:latest; name a:2 of 1 leaves a:latest",
		"a:1 a:2 a:latest":   "model 1 frees 100 shares 1",
		"a:1 1":              "model 1 frees 100 shares 1",
		"2 four 1":           "name four of 4 leaves twice; model 2 frees 200 shares 2; model 1 frees 100 shares 1",
		"4 b 2":              "model 4 frees 400 shares 4; model 2 frees 200 shares 2",
		digestOf("a:latest"): "model 1 frees 100 shares 1",
	} {
		plan, err := NewPlan(t.Context(), catalogue(t), strings.Fields(given))
		if err != nil || plan.text() != want {
			t.Errorf("%s: %v, %v, want %s", given, plan, err, want)
		}
	}
	for given, want := range map[string]string{
		"nobody": `model "nobody": not found`,
		"1 no body b": "model \"no\": not found: `ingest list` shows all models, and `ingest list --filter TEXT` " +
			"those with TEXT in a name\nmodel \"body\": not found",
		"twice": "\"twice\" fits 2 models: name one by its id\n  3  twice  \n  4  twice, four",
	} {
		if plan, err := NewPlan(t.Context(), catalogue(t), strings.Fields(given)); err == nil ||
			!strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, %v", given, plan, err)
		}
	}
}

func digestOf(name string) string { return ingest.Sum([]byte(name)).String() }

// run makes a plan, calls between, and removes what the plan says.
func run(t *testing.T, c *fake, cascade bool, between func(), references ...string) (gone []string, err error) {
	t.Helper()
	plan, err := NewPlan(t.Context(), c, references)
	if err != nil {
		t.Fatal(err)
	}
	between()
	r := Remover{Catalog: c, Cascade: cascade, Log: slog.New(slog.DiscardHandler),
		RemovedName: func(n Name) { gone = append(gone, n.Name) },
		Removed:     func(m ingest.Removal) { gone = append(gone, fmt.Sprint(m.Model.ID)) }}
	err = r.Run(t.Context(), ingest.JobRequest{Pipeline: "rm", Source: "rm"}, plan)
	if c.live {
		t.Error("the job was left open")
	}
	return gone, err
}

func TestRun(t *testing.T) {
	c := catalogue(t)
	gone, err := run(t, c, false, func() {}, "a:1", "2", "3")
	if err != nil || !slices.Equal(gone, []string{"a:1", "2", "3"}) ||
		!slices.Equal(c.did, []string{"remove name a:1 of 1", "remove 2 cascade false", "remove 3 cascade false"}) {
		t.Errorf("%v, %v, %v", gone, c.did, err)
	}
	if !c.opened.Exclusive || c.opened.Pipeline != "rm" || c.outcome.State != ingest.JobComplete {
		t.Errorf("job %+v, %+v", c.opened, c.outcome)
	}
	c.busy = &ingest.BusyError{Job: 7}
	if _, err := run(t, c, false, func() {}, "1"); !errors.Is(err, ingest.ErrBusy) || len(c.did) != 3 {
		t.Errorf("beside another job: %v, %v", err, c.did)
	}
}

// TestForeignRows: a model with rows of other programs is kept, except with Cascade.
func TestForeignRows(t *testing.T) {
	rows := []ingest.ForeignRows{{Table: "dbo.Usage", Column: "ModelId", Refers: "dbo.Models", Rows: 5}}
	c := catalogue(t)
	c.foreign[2] = rows
	var foreign *ingest.ForeignRowsError
	if _, err := run(t, c, false, func() {}, "1", "2"); !errors.As(err, &foreign) || foreign.Model != 2 ||
		len(c.did) != 0 || c.opened.Pipeline != "" {
		t.Errorf("%v, %v: want nothing done", err, c.did)
	}
	if _, err := run(t, c, true, func() {}, "1", "2"); err != nil ||
		!slices.Equal(c.did, []string{"remove 1 cascade true", "remove 2 cascade true"}) {
		t.Errorf("%v, %v", err, c.did)
	}
	c = catalogue(t)
	c.foreign[2] = []ingest.ForeignRows{{Table: "Notes", Rows: 1, Circular: true}}
	if _, err := run(t, c, true, func() {}, "1", "2"); !errors.As(err, &foreign) || len(c.did) != 0 {
		t.Errorf("rows that refer to each other: %v, %v", err, c.did)
	}
	c = catalogue(t)
	c.onStep = func(context.Context) error { c.foreign[3] = rows; return nil } // after Run has compared the plan
	if gone, err := run(t, c, false, func() {}, "1", "3", "4"); !errors.As(err, &foreign) ||
		!slices.Equal(gone, []string{"1", "4"}) || c.outcome.State != ingest.JobFailed {
		t.Errorf("%v, %v, %+v", gone, err, c.outcome)
	}
}

// TestChanged: nothing is removed that the plan did not show.
func TestChanged(t *testing.T) {
	for name, change := range map[string]func(c *fake){
		"another name": func(c *fake) {
			c.models[1].Names = append(c.models[1].Names, ingest.Name{Alias: ingest.Alias{Name: "more"}})
		},
		"another model": func(c *fake) { c.models[1].ID = 9 },
		"foreign rows":  func(c *fake) { c.foreign[2] = []ingest.ForeignRows{{Table: "dbo.Usage"}} },
		"the last name left": func(c *fake) {
			c.models[0].Names = c.models[0].Names[:1]
			c.models[0].Name = "a:1"
			c.models[0].Names[0].Name = "a:1"
		},
	} {
		c := catalogue(t)
		if gone, err := run(t, c, true, func() { change(c) }, "a:1", "b"); !errors.Is(err, ErrChanged) ||
			len(gone)+len(c.did) != 0 || c.outcome.State != ingest.JobFailed {
			t.Errorf("%s: %v, %v", name, gone, err)
		}
	}
	c := catalogue(t)
	another := func() { c.models[1].Names = append(c.models[1].Names, ingest.Name{Alias: ingest.Alias{Name: "more"}}) }
	if _, err := run(t, c, true, another, "2"); !errors.Is(err, ErrChanged) || len(c.did) != 0 {
		t.Errorf("another name of a model that its number means: %v, %v", err, c.did)
	}
	c = catalogue(t)
	if _, err := run(t, c, true, func() { c.models = c.models[:1] }, "a:1", "b"); !errors.Is(err, ingest.ErrNotFound) ||
		len(c.did) != 0 {
		t.Errorf("a missing model: %v, %v", err, c.did)
	}
}

// TestInterrupted: the error names the model that is partly removed, the others are kept, and the
// job stays open.
func TestInterrupted(t *testing.T) {
	c := catalogue(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	plan, err := NewPlan(ctx, c, []string{"1", "2", "3"})
	if err != nil {
		t.Fatal(err)
	}
	c.onStep = func(context.Context) error {
		if len(c.did) == 1 {
			cancel(ingest.ErrInterrupted)
			return context.Canceled
		}
		return nil
	}
	r := Remover{Catalog: c, Log: slog.New(slog.DiscardHandler), Removed: func(ingest.Removal) {},
		RemovedName: func(Name) {}}
	err = r.Run(ctx, ingest.JobRequest{}, plan)
	if !errors.Is(err, ingest.ErrInterrupted) || !strings.Contains(err.Error(), "`ingest rm 2`") ||
		c.outcome.State != ingest.JobOpen || len(c.models) != 3 {
		t.Errorf("%v, %+v, %v", err, c.outcome, c.did)
	}
}

// TestLeaseLost: a call of the catalogue is cancelled when the lease is lost.
func TestLeaseLost(t *testing.T) {
	c := catalogue(t)
	c.leaseLost = true
	c.onStep = func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	if _, err := run(t, c, false, func() {}, "1"); !errors.Is(err, ingest.ErrLeaseLost) || len(c.did) != 0 {
		t.Errorf("%v, %v", err, c.did)
	}
}

func TestRename(t *testing.T) {
	for given, want := range map[string]string{
		"b c":                           "rename b of 2 to c",
		"2 c":                           "rename b of 2 to c",
		"a:1 a:3":                       "rename a:1 of 1 to a:3",
		"b b":                           "rename b of 2 to b",
		"1 c":                           `! model 1 has 3 names: give the one to change: ["a:latest" "a:1" "a:2"]`,
		"b a:1":                         "! model 1 already has the name \"a:1\"",
		"b a":                           "! model 1 has the name \"a:latest\", and \"a\" means it, too: choose another",
		"a:latest a":                    "rename a:latest of 1 to a",
		"b twice":                       "! 2 models already have the name \"twice\"",
		"a:1 a:2":                       "! model 1 already has the name \"a:2\": `ingest rm a:1` removes the other",
		"nobody c":                      "! model \"nobody\": not found",
		"twice c":                       "! \"twice\" fits 2 models",
		"b 7":                           "! name 7: a number is always a model's id",
		"b SHA256:" + digestOf("b")[:6]: "! name SHA256:" + digestOf("b")[:6] + ": this is always a SHA-256",
		"b " + digestOf("b"):            "! name " + digestOf("b") + ": this is always a SHA-256",
		"b " + digestOf("b")[:7] + "x":  "rename b of 2 to " + digestOf("b")[:7] + "x",
		"b " + digestOf("a:latest")[:7]: "rename b of 2 to " + digestOf("a:latest")[:7],
	} {
		c := catalogue(t)
		reference, to, _ := strings.Cut(given, " ")
		r := Renamer{Catalog: c, Log: slog.New(slog.DiscardHandler)}
		m, from, err := r.Rename(t.Context(), ingest.JobRequest{Pipeline: "rename"}, reference, to)
		if refusal, refused := strings.CutPrefix(want, "! "); refused {
			if err == nil || !strings.HasPrefix(err.Error(), refusal) || len(c.did) != 0 || c.live {
				t.Errorf("%s: %v, %v, want %s", given, err, c.did, refusal)
			}
			continue
		}
		if err != nil || !slices.Equal(c.did, []string{want}) || !slices.Contains(m.AllNames(), from) ||
			c.opened.Exclusive || c.live {
			t.Errorf("%s: %v, %v, want %s", given, err, c.did, want)
		}
	}
	if err := CheckName(" "); err == nil {
		t.Error("an empty name was accepted")
	}
}
