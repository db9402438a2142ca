package describe

import (
	"context"
	"errors"

	"github.com/hartonomous/ingest/ingest"
)

// A file that All writes has at most maxFrames frames, and ends with the one that has its line maxLines.
const (
	maxFrames = 100
	maxLines  = 100_000
)

// All makes the store describe the complete models, and nothing else. It writes what is missing, and again
// what is in a file with something that is no longer true, and then deletes such files. If a small payload is
// damaged in the catalogue, it describes the other models and deletes nothing: a file to delete may have the
// payload. No other job may run. log is what the store has now.
func (k *Keeper) All(ctx context.Context, log *Log) error {
	current, err := k.current(ctx, log)
	if err != nil {
		return err
	}
	kept := map[*Entry]bool{}
	var outdated []ingest.Description
	for _, f := range log.Files {
		if !f.isCurrent(current) {
			outdated = append(outdated, f.Description)
			continue
		}
		for _, e := range f.entries {
			kept[e] = true
		}
	}
	if err := k.rewrite(ctx, log, kept, nil); err != nil {
		return err
	}
	// In their order: what a file tells is deleted before what takes it back.
	for _, d := range outdated {
		if err := k.Store.DeleteDescription(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// Complement makes the store describe the complete models but for some, and deletes nothing. No other job may run.
// log is what the store has now.
func (k *Keeper) Complement(ctx context.Context, log *Log, except map[ingest.ModelID]bool) error {
	current, err := k.current(ctx, log)
	if err != nil {
		return err
	}
	return k.rewrite(ctx, log, current, except)
}

// current returns the entries that agree with the catalogue and describe their model alone.
func (k *Keeper) current(ctx context.Context, log *Log) (map[*Entry]bool, error) {
	current := map[*Entry]bool{}
	return current, k.complete(ctx, func(m ingest.Summary) error {
		of := log.live[Key(m.Files)]
		if len(of) != 1 {
			return nil
		}
		head := headOf(m)
		state, err := head.state()
		current[of[0]] = state == of[0].state
		return err
	})
}

// isCurrent reports whether all of the file is true, or was written by another version.
func (f *LogFile) isCurrent(current map[*Entry]bool) bool {
	for _, e := range f.entries {
		if !current[e] {
			return false
		}
	}
	return f.Err == nil || errors.Is(f.Err, ErrVersion)
}

// complete calls do for each complete model that can have a description, without its metadata.
func (k *Keeper) complete(ctx context.Context, do func(ingest.Summary) error) error {
	for m, err := range k.Catalog.Models(ctx) {
		if err == nil && m.State == ingest.ModelComplete && len(m.Files) > 0 && len(m.Names) > 0 {
			err = do(m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rewrite describes the complete models whose entries are not kept, but for some.
func (k *Keeper) rewrite(ctx context.Context, log *Log, kept map[*Entry]bool, except map[ingest.ModelID]bool) error {
	var sources []*source
	var lines int64
	var damaged error // does not keep other models from being described
	write := func() error {
		err := k.change(ctx, sources)
		sources, lines = nil, 0
		if errors.Is(err, errDamagedPayload) {
			damaged, err = errors.Join(damaged, err), nil
		}
		return err
	}
	err := k.complete(ctx, func(m ingest.Summary) error {
		of := log.live[Key(m.Files)]
		if except[m.ID] || len(of) == 1 && kept[of[0]] {
			return nil
		}
		s, err := k.replacing(ctx, m.ID, len(of) == 0)
		if err != nil {
			return err
		}
		for _, e := range of {
			if e.Ingested.Before(s.Ingested) { // the catalogue may have been rebuilt since
				s.Ingested = e.Ingested
			}
		}
		sources, lines = append(sources, s), lines+m.Tensors+m.Segments
		if len(sources) < maxFrames && lines < maxLines {
			return nil
		}
		return write()
	})
	if err == nil {
		err = write()
	}
	return errors.Join(err, damaged)
}

// change writes sources after all others.
func (k *Keeper) change(ctx context.Context, sources []*source) error {
	if len(sources) == 0 {
		return nil
	}
	sequence, err := k.next(ctx, true)
	if err != nil {
		return err
	}
	return k.put(ctx, sequence, sources)
}
