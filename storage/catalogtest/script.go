package catalogtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// scripted is a small program that starts from the beginning each time and skips finished work.
type scripted struct {
	*testing.T
	ingest.Catalog
	lease ingest.Lease
}

// script registers two models and ingests one of them, ingests two models with the same weights,
// attaches a template to them, abandons a third, and collects garbage: it calls each writing verb
// at least once. process identifies the holder; holders with another number count as dead.
func script(t *testing.T, c ingest.Catalog, process int) error {
	request := jobRequest("/script", process)
	request.HolderDead = func(h ingest.Holder) bool { return h != request.Holder }
	lease, err := c.Open(t.Context(), request)
	if err != nil {
		return err
	}
	s := &scripted{t, c, lease}
	for _, step := range []func() error{s.register, s.ingest, s.join, s.rename, s.remove, s.giveUp, s.collect, s.move} {
		if err := step(); err != nil {
			return err
		}
	}
	return c.CloseJob(t.Context(), lease, ingest.Outcome{State: ingest.JobComplete})
}

func (s *scripted) register() error {
	for _, w := range []work{newWork("one", gguf("/1.gguf", "m")), newWork("kept", gguf("/kept.gguf", "kept"))} {
		if _, err := s.Register(s.Context(), s.lease, w.model, w.content()); err != nil {
			return err
		}
	}
	return nil
}

func (s *scripted) ingest() error {
	for _, w := range []work{newWork("one", gguf("/1.gguf", "m")), newWork("two", gguf("/2.gguf", "m")),
		newWork("t", small("/t", "template", ingest.Template))} {
		_, err := s.known(w.sources[0])
		if err == nil {
			continue
		}
		if !errors.Is(err, ingest.ErrNotFound) {
			return err
		}
		e, err := s.fill(w)
		if err != nil {
			return err
		}
		if _, err := s.Complete(s.Context(), s.lease, e.ID, 0); err != nil {
			return err
		}
	}
	if s.SmallPayload() == 0 {
		return nil
	}
	r := &run{s.T, s.Catalog, s.lease}
	_, err := r.add(newWork("added", small("/added", "added", ingest.Weights)))
	return err
}

func (s *scripted) known(f source) (ingest.StoredFile, error) {
	return s.Unchanged(s.Context(), f.Path, f.Bytes, f.Modified.UnixNano())
}

func (s *scripted) fill(w work) (*ingest.Entry, error) {
	e, err := s.Begin(s.Context(), s.lease, w.model, w.plans)
	if err != nil {
		return nil, err
	}
	for i, f := range w.sources {
		for _, b := range f.batches(e, i, 5, e.Files[i].Recorded) {
			if err := s.Record(s.Context(), s.lease, b); err != nil {
				return nil, err
			}
		}
	}
	return e, nil
}

func (s *scripted) join() error {
	weights, err := s.known(gguf("/1.gguf", "m"))
	if err != nil {
		return err
	}
	template, err := s.known(small("/t", "template", ingest.Template))
	if err != nil {
		return err
	}
	return s.Attach(s.Context(), s.lease, weights.Model, ingest.Alias{Name: "three"},
		[]ingest.NamedFile{{ID: template.ID}})
}

// rename adds a name to the weights, renames it, and removes it.
func (s *scripted) rename() error {
	weights, err := s.known(gguf("/1.gguf", "m"))
	if err != nil {
		return err
	}
	m, err := s.Model(s.Context(), weights.Model)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(m.Names, func(n ingest.Name) bool { return n.Name == "four" || n.Name == "five" }) {
		if err := s.Attach(s.Context(), s.lease, m.ID, ingest.Alias{Name: "four"}, nil); err != nil {
			return err
		}
	}
	if err := s.Rename(s.Context(), s.lease, m.ID, "four", "five"); err != nil {
		return err
	}
	return s.RemoveName(s.Context(), s.lease, m.ID, "five")
}

// remove ingests a model and removes it.
func (s *scripted) remove() error {
	w := newWork("brief", small("/brief", "brief", ingest.License))
	f, err := s.known(w.sources[0])
	if errors.Is(err, ingest.ErrNotFound) {
		var e *ingest.Entry
		if e, err = s.fill(w); err != nil {
			return err
		}
		f.Model, err = s.Complete(s.Context(), s.lease, e.ID, 0)
	}
	if err != nil {
		return err
	}
	return s.Remove(s.Context(), s.lease, f.Model, false)
}

func (s *scripted) giveUp() error {
	e, err := s.fill(newWork("gone", gguf("/3.gguf", "gone")))
	if err != nil {
		return err
	}
	if err := s.Renew(s.Context(), s.lease); err != nil {
		return err
	}
	return s.Abandon(s.Context(), s.lease, e.ID)
}

func (s *scripted) collect() error {
	_, _, err := s.Unreferenced(s.Context(), s.lease, true)
	return err
}

func (s *scripted) move() error {
	template, err := s.known(small("/t", "template", ingest.Template))
	if err != nil {
		return err
	}
	for segment, err := range s.Segments(s.Context(), template.ID, 0) {
		if err != nil {
			return err
		}
		to := encodedAddress(segment.Digest, segment.Bytes)
		to.URI, to.Name = "moved", ""
		if err := s.Relocate(s.Context(), s.lease, segment, to); err != nil {
			return err
		}
	}
	return nil
}
