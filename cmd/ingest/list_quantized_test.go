package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// shelf has models with the ids 3, 6, 9 and so on. Each has weights of its own type, and a larger
// projector. calls has the ranges of TensorTypes.
type shelf struct {
	ingest.Reader // nil
	models        int
	tensors       int64 // of each model
	calls         []string
	err           error
}

func (s *shelf) Models(context.Context) iter.Seq2[ingest.Summary, error] {
	return func(yield func(ingest.Summary, error) bool) {
		for i := range s.models {
			id := ingest.ModelID(3 * (i + 1))
			m := ingest.Summary{ID: id, Tensors: s.tensors,
				Files: []ingest.StoredFile{{ID: ingest.FileID(10 * id), Role: ingest.Weights},
					{ID: ingest.FileID(10*id + 1), Role: ingest.Projector}}}
			if !yield(m, nil) {
				return
			}
		}
	}
}

func (s *shelf) TensorTypes(_ context.Context, first, last ingest.ModelID) (all []ingest.TensorType, err error) {
	s.calls = append(s.calls, fmt.Sprintf("%d-%d", first, last))
	for id := last; id >= first; id-- {
		all = append(all,
			ingest.TensorType{Model: id, File: ingest.FileID(10*id + 1), Type: "F16", Elements: 100},
			ingest.TensorType{Model: id, File: ingest.FileID(10 * id), Type: fmt.Sprint("T", id), Elements: 1})
	}
	return all, s.err
}

// TestQuantized: the types of many models are read at once, and those of a projector do not count.
func TestQuantized(t *testing.T) {
	for _, c := range []struct {
		models  int
		tensors int64
		calls   string
	}{
		{0, 1, "[]"},
		{1, 1, "[3-3]"},
		{100, 1, "[3-300]"},
		{201, 999, "[3-300 303-600 603-603]"},
		{3, 60_000, "[3-6 9-9]"},
		{2, 1_000_000, "[3-3 6-6]"},
	} {
		s := &shelf{models: c.models, tensors: c.tensors}
		n := 0
		for m, err := range quantized(t.Context(), s) {
			if n++; err != nil || m.ID != ingest.ModelID(3*n) || m.quantization != fmt.Sprint("T", m.ID) {
				t.Fatalf("model %d of %d: %d, %s, %v", n, c.models, m.ID, m.quantization, err)
			}
		}
		if n != c.models || fmt.Sprint(s.calls) != c.calls {
			t.Errorf("%d models of %d: calls %v, want %s", n, c.models, s.calls, c.calls)
		}
	}
	for range quantized(t.Context(), &shelf{models: 150}) {
		break
	}
	s := &shelf{models: 150, err: errors.New("gone")}
	for _, err := range quantized(t.Context(), s) {
		if err != s.err {
			t.Error(err)
		}
	}
	if len(s.calls) != 1 {
		t.Errorf("after an error: %v", s.calls)
	}
}
