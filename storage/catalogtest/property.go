package catalogtest

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hartonomous/ingest/ingest"
)

var propertyTests = []test{
	{name: "any order of verbs keeps the invariants", many: func(t *testing.T, fresh func(t *testing.T) Database) {
		fewer(t)
		rapid.Check(t, func(rt *rapid.T) {
			c := fresh(t)(t)
			m := &machine{c: c, t: t, open: map[string]*attempt{}, complete: map[ingest.ModelID]bool{}}
			m.reopen(rt)
			rt.Repeat(map[string]func(*rapid.T){
				"begin": m.begin, "record": m.record, "repeat": m.repeat, "complete": m.finish,
				"register": m.register, "abandon": m.abandon, "remove": m.remove, "collect": m.collect,
				"relocate": m.relocate, "reopen": m.reopen, "": m.check,
			})
			m.must(rt, Check(t.Context(), c, nil))
			m.must(rt, c.Close())
		})
	}},
}

// fewer reduces the number of checks from rapid's 100, because each creates a database, unless
// -rapid.checks sets it.
func fewer(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	if checks == nil || checks.Value.String() != checks.DefValue {
		return
	}
	must(t, checks.Value.Set("20"))
	t.Cleanup(func() { must(t, checks.Value.Set(checks.DefValue)) })
}

// machine is a catalogue and the content that it must have.
type machine struct {
	t        *testing.T
	c        ingest.Catalog
	lease    ingest.Lease
	lost     []ingest.Lease
	open     map[string]*attempt // by the name of the model
	complete map[ingest.ModelID]bool
}

// attempt is an incomplete model.
type attempt struct {
	work
	entry    *ingest.Entry
	recorded []int64 // of each file
}

// pool has models that share weights, tensors and templates in different ways.
var pool = []func() work{
	func() work { return newWork("a", gguf("/a.gguf", "a")) },
	func() work { return newWork("a+t", gguf("/x/a.gguf", "a"), small("/t1", "template", ingest.Template)) },
	func() work {
		return newWork("b+t", gguf("/b.gguf", "b"), small("/t2", "template", ingest.Template),
			small("/l", "license", ingest.License))
	},
	func() work { return newWork("t", small("/t3", "template", ingest.Template)) },
}

// any draws one of the open attempts.
func (m *machine) any(rt *rapid.T) *attempt {
	var names []string
	for _, w := range pool {
		if name := w().model.Name; m.open[name] != nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		rt.Skip("nothing is open")
	}
	return m.open[rapid.SampledFrom(names).Draw(rt, "model")]
}

func (m *machine) must(rt *rapid.T, err error) {
	if err != nil {
		rt.Fatal(err)
	}
}

func (m *machine) begin(rt *rapid.T) {
	w := rapid.SampledFrom(pool).Draw(rt, "work")()
	e, err := m.c.Begin(m.t.Context(), m.lease, w.model, w.plans)
	m.must(rt, err)
	if known := m.open[w.model.Name]; known != nil {
		if known.entry.ID != e.ID {
			rt.Fatalf("model %d was continued as %d", known.entry.ID, e.ID)
		}
		for i, recorded := range known.recorded {
			if e.Files[i].Recorded != recorded || recorded > 0 &&
				string(e.Files[i].HashState) != string(w.sources[i].hashState(recorded)) {
				rt.Fatalf("file %d is %+v, want %d bytes recorded", i, e.Files[i], recorded)
			}
		}
		return
	}
	m.open[w.model.Name] = &attempt{w, e, make([]int64, len(w.sources))}
}

// register registers a model, which may be complete or registered already.
func (m *machine) register(rt *rapid.T) {
	w := rapid.SampledFrom(pool).Draw(rt, "work")()
	id, err := m.c.Register(m.t.Context(), m.lease, w.model, w.content())
	m.must(rt, err)
	s, err := m.c.Model(m.t.Context(), id)
	m.must(rt, err)
	if s.State != ingest.ModelRegistered && !m.complete[id] {
		rt.Fatalf("model %d was registered, and is %s", id, s.State)
	}
}

func (m *machine) record(rt *rapid.T) {
	a := m.any(rt)
	file := rapid.IntRange(0, len(a.sources)-1).Draw(rt, "file")
	rows := rapid.IntRange(1, 6).Draw(rt, "rows")
	batches := a.sources[file].batches(a.entry, file, rows, a.recorded[file])
	if len(batches) == 0 {
		return
	}
	m.must(rt, m.c.Record(m.t.Context(), m.lease, batches[0]))
	a.recorded[file] = batches[0].To
}

// repeat records recorded segments again, in batches of other sizes.
func (m *machine) repeat(rt *rapid.T) {
	a := m.any(rt)
	file := rapid.IntRange(0, len(a.sources)-1).Draw(rt, "file")
	for _, b := range a.sources[file].batches(a.entry, file, rapid.IntRange(1, 6).Draw(rt, "rows"), 0) {
		if b.From >= a.recorded[file] && a.recorded[file] > 0 {
			return
		}
		m.must(rt, m.c.Record(m.t.Context(), m.lease, b))
		a.recorded[file] = max(a.recorded[file], b.To)
		if rapid.Bool().Draw(rt, "stop") {
			return
		}
	}
}

func (m *machine) finish(rt *rapid.T) {
	a := m.any(rt)
	whole := true
	for i, recorded := range a.recorded {
		whole = whole && recorded == a.sources[i].Bytes
	}
	id, err := m.c.Complete(m.t.Context(), m.lease, a.entry.ID, 0)
	if !whole {
		if !errors.Is(err, ingest.ErrIncomplete) {
			rt.Fatalf("completing an incomplete model: error is %v", err)
		}
		return
	}
	m.must(rt, err)
	again, err := m.c.Complete(m.t.Context(), m.lease, a.entry.ID, 0)
	m.must(rt, err)
	if again != id || id != a.entry.ID && !m.complete[id] {
		rt.Fatalf("model %d is complete as %d, and as %d in a repeated call", a.entry.ID, id, again)
	}
	m.complete[id] = true
	delete(m.open, a.model.Name)
}

func (m *machine) abandon(rt *rapid.T) {
	a := m.any(rt)
	m.must(rt, m.c.Abandon(m.t.Context(), m.lease, a.entry.ID))
	delete(m.open, a.model.Name)
}

// remove removes a complete model.
func (m *machine) remove(rt *rapid.T) {
	if len(m.complete) == 0 {
		rt.Skip("nothing is complete")
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.complete))).Draw(rt, "model")
	m.must(rt, m.c.Remove(m.t.Context(), m.lease, id, false))
	delete(m.complete, id)
}

// relocate encodes the payload of a segment, or stores it raw again.
func (m *machine) relocate(rt *rapid.T) {
	var all []ingest.StoredSegment
	for s, err := range m.c.Models(m.t.Context()) {
		m.must(rt, err)
		for _, f := range s.Files {
			for segment, err := range m.c.Segments(m.t.Context(), f.ID, 0) {
				m.must(rt, err)
				all = append(all, segment)
			}
		}
	}
	if len(all) == 0 {
		rt.Skip("nothing is recorded")
	}
	s := rapid.SampledFrom(all).Draw(rt, "segment")
	m.must(rt, m.c.Relocate(m.t.Context(), m.lease, s, otherAddress(s)))
}

// collect removes the unreferenced atoms and checks that none are left.
func (m *machine) collect(rt *rapid.T) {
	_, _, err := m.c.Unreferenced(m.t.Context(), m.lease, true)
	m.must(rt, err)
	atoms, bytes, err := m.c.Unreferenced(m.t.Context(), m.lease, false)
	m.must(rt, err)
	if atoms != 0 || bytes != 0 {
		rt.Fatalf("%d atoms of %d bytes are left after all were removed", atoms, bytes)
	}
}

// reopen takes the job over and checks that the earlier leases are lost.
func (m *machine) reopen(rt *rapid.T) {
	if m.lease.Job != 0 {
		m.lost = append(m.lost, m.lease)
	}
	request := jobRequest("/property", 100+len(m.lost))
	request.HolderDead = func(ingest.Holder) bool { return true }
	var err error
	m.lease, err = m.c.Open(m.t.Context(), request)
	m.must(rt, err)
	for _, lease := range m.lost {
		if err := m.c.Renew(m.t.Context(), lease); !errors.Is(err, ingest.ErrLeaseLost) {
			rt.Fatalf("an old lease: error is %v", err)
		}
	}
}

// check compares the catalogue with the content that it must have.
func (m *machine) check(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "call Check") == 0 {
		m.must(rt, Check(m.t.Context(), m.c, nil))
	}
	models := 0
	for s, err := range m.c.Models(m.t.Context()) {
		m.must(rt, err)
		if s.State == ingest.ModelRegistered {
			continue
		}
		models++
		if (s.State == ingest.ModelComplete) != m.complete[s.ID] {
			rt.Fatalf("model %d is %s", s.ID, s.State)
		}
		if s.State == ingest.ModelOpen {
			m.must(rt, m.same(&s))
		}
	}
	if models != len(m.open)+len(m.complete) {
		rt.Fatalf("%d models, want %d open and %d complete", models, len(m.open), len(m.complete))
	}
}

// same compares an open model with the bytes that must be recorded.
func (m *machine) same(s *ingest.Summary) error {
	for _, a := range m.open {
		if a.entry.ID != s.ID {
			continue
		}
		for i, f := range s.Files {
			if f.Recorded != a.recorded[i] {
				return fmt.Errorf("file %d of %s: %d bytes are recorded, want %d", i, s.Name, f.Recorded, a.recorded[i])
			}
		}
		return nil
	}
	return fmt.Errorf("model %d is open and was not begun", s.ID)
}
