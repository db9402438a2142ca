package describe

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// Log is what all descriptions in a store tell.
type Log struct {
	Files []LogFile                  // in their order
	live  map[ingest.Digest][]*Entry // by model
}

// LogFile is a file of a Log.
type LogFile struct {
	ingest.Description
	Err     error // ErrDamaged or ErrVersion, wrapped: none of its frames is in the Log
	entries []*Entry
}

// Entry is a frame that describes a model, or some of its names and files, or tells that it was removed.
type Entry struct {
	Frame
	Model             ingest.Digest
	Ingested          time.Time
	removed, replaces bool
	state             ingest.Digest
	name              string // the newest; of a long one, the beginning
	files             []content
}

// maxLabel bounds the names that a Log keeps, in bytes: a hostile file has thousands of long ones.
const maxLabel = 1000

// ReadLog reads the heads of all descriptions.
func ReadLog(ctx context.Context, store ingest.DescriptionStore) (*Log, error) {
	l := &Log{live: map[ingest.Digest][]*Entry{}}
	for d, err := range store.Descriptions(ctx) {
		if err != nil {
			return nil, err
		}
		l.Files = append(l.Files, LogFile{Description: d})
	}
	slices.SortFunc(l.Files, func(a, b LogFile) int { return compareFiles(a.Description, b.Description) })
	for i := range l.Files {
		f := &l.Files[i]
		if f.entries, f.Err = entriesOf(ctx, store, f.Description); f.Err != nil && !unreadable(f.Err) {
			return nil, f.Err
		}
		for _, e := range f.entries {
			if e.removed || e.replaces {
				delete(l.live, e.Model)
			}
			if !e.removed {
				l.live[e.Model] = append(l.live[e.Model], e)
			}
		}
	}
	return l, nil
}

func compareFiles(a, b ingest.Description) int {
	return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), slices.Compare(a.Content[:], b.Content[:]))
}

// entriesOf returns an entry for each frame of a file; none if one of them is not readable.
func entriesOf(ctx context.Context, store ingest.DescriptionStore, d ingest.Description) ([]*Entry, error) {
	frames, err := Frames(ctx, store, d)
	if err != nil {
		return nil, err
	}
	entries := make([]*Entry, len(frames))
	for i, f := range frames {
		r, err := Open(ctx, store, f)
		if err != nil {
			return nil, err
		}
		r.Close()
		state, err := r.state()
		if err != nil {
			return nil, err
		}
		entries[i] = &Entry{Frame: f, Model: r.Model, Ingested: r.Ingested, removed: r.Removed, replaces: r.Replaces,
			state: state}
		for _, f := range r.Files {
			entries[i].files = append(entries[i].files, content{f.Digest, f.SegmentBytes})
		}
		if n := len(r.Names); n > 0 {
			name := string(r.Names[n-1].Name)
			entries[i].name = strings.Clone(name[:min(len(name), maxLabel)])
		}
	}
	return entries, nil
}

// Live returns the entries of the models that were not removed, in the order in which the models were
// ingested. There are several of a model whose names or files they tell together.
func (l *Log) Live() []*Entry {
	all := slices.Concat(slices.Collect(maps.Values(l.live))...)
	slices.SortFunc(all, func(a, b *Entry) int {
		return cmp.Or(a.Ingested.Compare(b.Ingested), compareFiles(a.File, b.File), cmp.Compare(a.Index, b.Index))
	})
	return all
}
