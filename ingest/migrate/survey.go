package migrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
)

// survey counts where the payloads of a model are before its migration.
type survey struct {
	there, small, both Count
	todo               bool
}

func (r *run) survey(ctx context.Context, m ingest.Summary) (l survey, err error) {
	again := r.surveyed[m.ID] // the model was busy
	r.surveyed[m.ID] = true
	for _, f := range m.Parts() {
		for s, err := range r.reader.Segments(ctx, f, 0) {
			if err != nil {
				return l, err
			}
			both := r.inBoth(&s)
			problem := unusable(&s)
			if problem == nil && !r.toCopy(&s) {
				if problem, err = r.misplaced(ctx, m.ID, &s); err != nil {
					return l, err
				}
			}
			l.todo = l.todo || both && r.Clear
			switch {
			case problem != nil && (again || both && r.Clear && !r.DryRun): // clear reports it itself
				continue
			case problem != nil:
				r.failed(f, s, problem)
				continue
			case both:
				l.both.add(s.Bytes)
			case !r.toCopy(&s):
				l.there.add(s.Bytes)
				if s.Small {
					l.small.add(s.Bytes)
				}
				continue
			default:
				l.todo = true
				if f.ID == 0 && !again && r.Progress != nil { // Bytes of the file is 0
					r.Progress.BytesTotal.Add(s.Bytes)
				}
			}
			if r.DryRun {
				r.plan(f, s)
			}
		}
	}
	return l, nil
}

var errElsewhere = errors.New("its payload is in another store: `ingest migrate segments --to row --store ADDRESS` " +
	"moves it to its row first")

// misplaced returns the problem of a payload whose address is not one of the target, or that is missing
// there.
func (r *run) misplaced(ctx context.Context, model ingest.ModelID, s *ingest.StoredSegment) (problem, err error) {
	switch {
	case r.ToRows, s.Small:
		return nil, nil
	case s.InRow:
		return r.notHeld(ctx, model, s)
	}
	switch _, err := r.Store.Stat(ctx, s.Digest, s.Address); {
	case errors.Is(err, ingest.ErrNoPayload):
		return errElsewhere, nil
	case errors.Is(err, ingest.ErrUnreachable):
		return nil, err
	}
	return nil, nil // verify finds damage
}

// notHeld returns the problem of a payload that is in its row, and whose copy is not in the target. It
// leaves the address alone: the payload may be intact in another store.
func (r *run) notHeld(ctx context.Context, model ingest.ModelID, s *ingest.StoredSegment) (problem, err error) {
	if r.ToRows {
		return nil, nil
	}
	if held, err := r.Store.Holds(ctx, s.Digest, s.Address); held || err != nil {
		return nil, err
	}
	return fmt.Errorf("its address is not one of this store, or its payload is missing there; nothing was cleared "+
		"(`ingest migrate segments --to row --store ADDRESS --clear-source --model %d` removes the addresses of "+
		"payloads that are in rows)", model), nil
}

// plan counts what would be done with a row.
func (r *run) plan(file ingest.StoredFile, s ingest.StoredSegment) {
	if !s.InRow && s.Address.URI == "" {
		r.failed(file, s, ingest.ErrNoPayload)
		return
	}
	if file.ID == 0 && (r.toCopy(&s) || r.Clear) {
		if err := r.Pool.Check((1 + buffer.RowCopies) * s.Bytes); err != nil {
			r.failed(file, s, err)
			return
		}
	}
	if r.toCopy(&s) {
		if r.left == 0 {
			return
		}
		r.left--
		r.report.Copied.add(s.Bytes)
	}
	if r.Clear {
		r.report.Cleared.add(s.Bytes)
	}
}

func (r *Report) add(l survey) {
	if l.todo {
		r.Models++
	}
	r.There.addAll(l.there)
	r.Small.addAll(l.small)
	r.Both.addAll(l.both)
}
