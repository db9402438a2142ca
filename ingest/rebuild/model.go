package rebuild

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
)

// described is a model of a description that was read to its end.
type described struct {
	describe.Head
	frame    describe.Frame
	tensors  [][]ingest.Tensor // of each file
	segments int64
	digests  map[ingest.Digest]bool // of the payloads in the store
}

// tensorMemory is what a tensor and its row take in memory besides its name and its shape, in bytes.
const tensorMemory = 400

// load reads a description to its end. It keeps the tensors and the digests, and not the payloads.
func (w *run) load(ctx context.Context, f describe.Frame) (*described, error) {
	r, err := describe.Open(ctx, w.Store, f)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	m := &described{Head: r.Head, frame: f, tensors: make([][]ingest.Tensor, len(r.Files)),
		digests: map[ingest.Digest]bool{}}
	if describe.Key(m.Stored()) != m.Model && !ingest.ContentKey(m.Stored()).IsZero() {
		return m, refuse("its key is not that of its files")
	}
	var memory int64
	if err := r.Tensors(func(file int, t describe.Tensor) error {
		if memory += tensorMemory + int64(len(t.Name)) + 8*int64(len(t.Shape)); memory > w.Memory {
			return refuse("its tensors need more than %d MiB: raise --memory", w.Memory>>20)
		}
		m.tensors[file] = append(m.tensors[file], tensorOf(t))
		return nil
	}); err != nil {
		return m, err
	}
	return m, r.Segments(func(s describe.Segment) error {
		m.segments++
		if s.Payload == nil {
			m.digests[s.Digest] = true
		}
		return nil
	})
}

// tensorOf returns a tensor with a block that has the tensor's ratio of bytes and elements. It may be
// smaller than that of the type: segments are not planned again.
func tensorOf(t describe.Tensor) ingest.Tensor {
	n := ingest.Tensor{Name: string(t.Name), Type: t.Type, Shape: t.Shape, Elements: t.Elements, Offset: t.Offset,
		Bytes: t.Bytes}
	if strings.HasPrefix(t.Type, "type ") { // unknown, as ingest.Tensor says
		n.BlockBytes = 1
	} else if t.Bytes > 0 && t.Elements > 0 {
		a, b := t.Bytes, t.Elements
		for b != 0 {
			a, b = b, a%b
		}
		n.BlockBytes, n.BlockElements = t.Bytes/a, t.Elements/a
	}
	return n
}

// model rebuilds a model, unless it is present. Then it only gets the names that it lacks.
func (w *run) model(ctx context.Context, m *described) (id ingest.ModelID, present bool, err error) {
	target, replace := w.models[m.Model], ingest.ModelID(0)
	if target != 0 {
		there, err := w.Catalog.Model(ctx, target)
		if err != nil {
			return 0, false, err
		}
		if files := m.filesIn(there.Files); !slices.Contains(files, 0) {
			usable, err := w.usable(ctx, m, there)
			if err == nil && usable {
				err = w.name(ctx, target, m, there, files)
			}
			if err != nil || usable {
				return target, true, err
			}
			replace = target
			delete(w.lost, target)
		} else if _, err := w.relocate(ctx, there); err != nil {
			return 0, false, err
		}
	}
	into := target
	if replace != 0 || !ingest.ContentKey(m.Stored()).IsZero() {
		into = 0 // Complete finds the model with the same weights
	} else if describe.Key(m.Stored()) != m.Model && into == 0 {
		return 0, false, refuse("it has files for a model with other weights, which was not rebuilt")
	}
	if id, err = w.build(ctx, m, into, replace); err != nil {
		return 0, false, err
	}
	there, err := w.Catalog.Model(ctx, id)
	if err == nil {
		err = w.name(ctx, id, m, there, m.filesIn(there.Files))
	}
	w.models[m.Model] = id
	if _, looked := w.lost[id]; !looked {
		w.lost[id] = false // its payloads were found
	}
	w.sum.Segments += m.segments
	w.sum.Bytes += m.bytes()
	return id, false, err
}

func (m *described) bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Bytes
	}
	return n
}

// filesIn returns the model's row for each described file, by content and role; 0 for none.
func (m *described) filesIn(files []ingest.StoredFile) []ingest.FileID {
	ids := make([]ingest.FileID, len(m.Files))
	for i, f := range m.Files {
		j := slices.IndexFunc(files, func(s ingest.StoredFile) bool { return s.Digest == f.Digest && s.Role == f.Role })
		if j >= 0 {
			ids[i] = files[j].ID
		}
	}
	return ids
}

// name gives the model the described names, each with its files.
func (w *run) name(ctx context.Context, id ingest.ModelID, m *described, there ingest.Summary,
	files []ingest.FileID) error {
	for _, n := range m.Names {
		named := make([]ingest.NamedFile, len(n.Files))
		for i, f := range n.Files {
			named[i] = ingest.NamedFile{ID: files[f.File], Path: string(f.Path)}
		}
		if slices.ContainsFunc(there.Names, func(t ingest.Name) bool {
			return t.Alias == n.Alias() && sameFiles(t.Files, named)
		}) {
			continue
		}
		if err := w.Catalog.Attach(ctx, w.job, id, n.Alias(), named); err != nil {
			return err
		}
	}
	return nil
}

func sameFiles(a, b []ingest.NamedFile) bool {
	compare := func(x, y ingest.NamedFile) int { return cmp.Compare(x.ID, y.ID) }
	return slices.Equal(slices.SortedFunc(slices.Values(a), compare), slices.SortedFunc(slices.Values(b), compare))
}

// build records a model and makes it complete, in place of the model replace unless that is 0. It removes the
// rows of one that cannot be rebuilt.
func (w *run) build(ctx context.Context, m *described, into, replace ingest.ModelID) (ingest.ModelID, error) {
	model, plans, err := w.parsed(m)
	if err != nil {
		return 0, err
	}
	entry, err := w.Catalog.Begin(ctx, w.job, model, plans)
	if err != nil {
		return 0, err
	}
	id := entry.ID
	if err = w.record(ctx, m, model, entry); err == nil && replace != 0 {
		err = w.Catalog.Remove(ctx, w.job, replace, false)
		if foreign := (*ingest.ForeignRowsError)(nil); errors.As(err, &foreign) {
			err = refusal{err}
		}
	}
	if err == nil {
		id, err = w.Catalog.Complete(ctx, w.job, entry.ID, into)
	}
	if errors.Is(err, ingest.ErrIncomplete) {
		err = refusal{err}
	}
	if errors.As(err, new(refusal)) || errors.Is(err, describe.ErrDamaged) {
		err = errors.Join(err, w.Catalog.Abandon(ctx, w.job, entry.ID))
	}
	return id, err
}

// parsed returns the model as its parser did, except for the blocks of its tensors. Its store address
// is not that of a run, so that models does not continue it: the states of its hashes are missing.
func (w *run) parsed(m *described) (*ingest.Model, []*ingest.Plan, error) {
	d := m.Details
	model := &ingest.Model{Name: string(m.Names[0].Name), URI: string(m.Names[0].URI), Type: m.Type,
		Architecture: m.Architecture, Metadata: m.Metadata, StoreAddress: "rebuild " + w.Address,
		Details: ingest.Details{ContextLength: d.ContextLength, EmbeddingLength: d.EmbeddingLength, License: d.License,
			SourceURL: d.SourceURL}}
	paths := map[int]string{} // of the first name
	for _, f := range m.Names[0].Files {
		paths[f.File] = string(f.Path)
	}
	for i, f := range m.Files {
		model.Files = append(model.Files, ingest.File{Path: string(f.Path), Name: paths[i], Role: f.Role,
			Format: f.Format, Bytes: f.Bytes, Modified: f.Modified, Expected: f.Expected, ExpectedBytes: -1,
			Tensors: m.tensors[i]})
	}
	plans := make([]*ingest.Plan, len(model.Files))
	for i := range model.Files {
		var err error
		if plans[i], err = ingest.NewPlan(&model.Files[i], m.Files[i].SegmentBytes); err != nil {
			return nil, nil, refuse("%s: %w", ingest.Printable(model.Files[i].Path), err)
		}
	}
	return model, plans, nil
}
