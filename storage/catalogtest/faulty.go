package catalogtest

import (
	"context"
	"iter"

	"github.com/hartonomous/ingest/ingest"
)

// Moment says when a Hook is called.
type Moment int

// If the Hook fails Before a verb, the verb is not called. If it fails After, the verb has had its
// effect and its answer is lost.
const (
	Before Moment = iota
	After
)

// Hook is called before and after each verb, and its error becomes the verb's. verb is the name of
// the method. A sequence calls it before its first item and after its last. It may be called by many
// goroutines at once.
type Hook func(verb string, when Moment) error

// Faulty returns inner with hook around each of its verbs except Close, Identity, MaxAtomPayload and
// Unfreed.
func Faulty(inner ingest.Catalog, hook Hook) ingest.Catalog { return &faulty{inner, hook} }

type faulty struct {
	ingest.Catalog
	hook Hook
}

// act calls the hook, a verb that has an answer, and the hook again.
func act[T any](hook Hook, verb string, do func() (T, error)) (T, error) {
	var none T
	if err := hook(verb, Before); err != nil {
		return none, err
	}
	answer, err := do()
	if err != nil {
		return answer, err
	}
	if err := hook(verb, After); err != nil {
		return none, err
	}
	return answer, nil
}

// effect is act for a verb without an answer.
func effect(hook Hook, verb string, do func() error) error {
	_, err := act(hook, verb, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// sequence is act for a sequence.
func sequence[T any](hook Hook, verb string, items iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if err := hook(verb, Before); err != nil {
			yield(none, err)
			return
		}
		for item, err := range items {
			if !yield(item, err) {
				return
			}
		}
		if err := hook(verb, After); err != nil {
			yield(none, err)
		}
	}
}

func (f *faulty) Open(ctx context.Context, request ingest.JobRequest) (ingest.Lease, error) {
	return act(f.hook, "Open", func() (ingest.Lease, error) { return f.Catalog.Open(ctx, request) })
}

func (f *faulty) Add(ctx context.Context, lease ingest.Lease, models []ingest.WholeModel) ([]ingest.Added, error) {
	return act(f.hook, "Add", func() ([]ingest.Added, error) { return f.Catalog.Add(ctx, lease, models) })
}

func (f *faulty) Renew(ctx context.Context, lease ingest.Lease) error {
	return effect(f.hook, "Renew", func() error { return f.Catalog.Renew(ctx, lease) })
}

func (f *faulty) CloseJob(ctx context.Context, lease ingest.Lease, outcome ingest.Outcome) error {
	return effect(f.hook, "CloseJob", func() error { return f.Catalog.CloseJob(ctx, lease, outcome) })
}

func (f *faulty) Job(ctx context.Context, id int64) (ingest.Job, error) {
	return act(f.hook, "Job", func() (ingest.Job, error) { return f.Catalog.Job(ctx, id) })
}

func (f *faulty) AllJobs(ctx context.Context) iter.Seq2[ingest.Job, error] {
	return sequence(f.hook, "AllJobs", f.Catalog.AllJobs(ctx))
}

func (f *faulty) Begin(ctx context.Context, lease ingest.Lease, model *ingest.Model,
	plans []*ingest.Plan) (*ingest.Entry, error) {
	return act(f.hook, "Begin", func() (*ingest.Entry, error) { return f.Catalog.Begin(ctx, lease, model, plans) })
}

func (f *faulty) Record(ctx context.Context, lease ingest.Lease, batch *ingest.Batch) error {
	return effect(f.hook, "Record", func() error { return f.Catalog.Record(ctx, lease, batch) })
}

func (f *faulty) Complete(ctx context.Context, lease ingest.Lease, model, into ingest.ModelID) (ingest.ModelID, error) {
	return act(f.hook, "Complete", func() (ingest.ModelID, error) {
		return f.Catalog.Complete(ctx, lease, model, into)
	})
}

func (f *faulty) Abandon(ctx context.Context, lease ingest.Lease, model ingest.ModelID) error {
	return effect(f.hook, "Abandon", func() error { return f.Catalog.Abandon(ctx, lease, model) })
}

func (f *faulty) Attach(ctx context.Context, lease ingest.Lease, model ingest.ModelID, name ingest.Alias,
	files []ingest.NamedFile) error {
	return effect(f.hook, "Attach", func() error { return f.Catalog.Attach(ctx, lease, model, name, files) })
}

func (f *faulty) Register(ctx context.Context, lease ingest.Lease, model *ingest.Model,
	content []ingest.FileContent) (ingest.ModelID, error) {
	return act(f.hook, "Register", func() (ingest.ModelID, error) {
		return f.Catalog.Register(ctx, lease, model, content)
	})
}

func (f *faulty) Models(ctx context.Context) iter.Seq2[ingest.Summary, error] {
	return sequence(f.hook, "Models", f.Catalog.Models(ctx))
}

func (f *faulty) Model(ctx context.Context, id ingest.ModelID) (ingest.Summary, error) {
	return act(f.hook, "Model", func() (ingest.Summary, error) { return f.Catalog.Model(ctx, id) })
}

func (f *faulty) Layers(ctx context.Context, id ingest.ModelID) iter.Seq2[ingest.Layer, error] {
	return sequence(f.hook, "Layers", f.Catalog.Layers(ctx, id))
}

func (f *faulty) Segments(ctx context.Context, file ingest.FileID, from int64) iter.Seq2[ingest.StoredSegment, error] {
	return sequence(f.hook, "Segments", f.Catalog.Segments(ctx, file, from))
}

func (f *faulty) TensorSegments(ctx context.Context, model ingest.ModelID) iter.Seq2[ingest.StoredSegment, error] {
	return sequence(f.hook, "TensorSegments", f.Catalog.TensorSegments(ctx, model))
}

func (f *faulty) LastSegment(ctx context.Context, file ingest.FileID) (ingest.StoredSegment, error) {
	return act(f.hook, "LastSegment", func() (ingest.StoredSegment, error) { return f.Catalog.LastSegment(ctx, file) })
}

func (f *faulty) Registered(ctx context.Context, path string, bytes, modified int64) (ingest.StoredFile, error) {
	return act(f.hook, "Registered", func() (ingest.StoredFile, error) {
		return f.Catalog.Registered(ctx, path, bytes, modified)
	})
}

func (f *faulty) Unchanged(ctx context.Context, path string, bytes, modified int64) (ingest.StoredFile, error) {
	return act(f.hook, "Unchanged", func() (ingest.StoredFile, error) {
		return f.Catalog.Unchanged(ctx, path, bytes, modified)
	})
}

func (f *faulty) ModelsNamed(ctx context.Context, name string) ([]ingest.ModelID, error) {
	return act(f.hook, "ModelsNamed", func() ([]ingest.ModelID, error) { return f.Catalog.ModelsNamed(ctx, name) })
}

func (f *faulty) ModelsWithDigest(ctx context.Context, prefix ingest.DigestPrefix) ([]ingest.ModelID, error) {
	return act(f.hook, "ModelsWithDigest", func() ([]ingest.ModelID, error) {
		return f.Catalog.ModelsWithDigest(ctx, prefix)
	})
}

func (f *faulty) FileWithDigest(ctx context.Context, digest ingest.Digest) (ingest.StoredFile, error) {
	return act(f.hook, "FileWithDigest", func() (ingest.StoredFile, error) {
		return f.Catalog.FileWithDigest(ctx, digest)
	})
}

func (f *faulty) Addresses(ctx context.Context, digest ingest.Digest) ([]ingest.Address, error) {
	return act(f.hook, "Addresses", func() ([]ingest.Address, error) { return f.Catalog.Addresses(ctx, digest) })
}

func (f *faulty) TypeBytes(ctx context.Context, model ingest.ModelID) ([]ingest.TypeBytes, error) {
	return act(f.hook, "TypeBytes", func() ([]ingest.TypeBytes, error) {
		return f.Catalog.TypeBytes(ctx, model)
	})
}

func (f *faulty) TensorTypes(ctx context.Context, first, last ingest.ModelID) ([]ingest.TensorType, error) {
	return act(f.hook, "TensorTypes", func() ([]ingest.TensorType, error) {
		return f.Catalog.TensorTypes(ctx, first, last)
	})
}

func (f *faulty) Referenced(ctx context.Context, digests []ingest.Digest) (map[ingest.Digest][]string, error) {
	return act(f.hook, "Referenced", func() (map[ingest.Digest][]string, error) {
		return f.Catalog.Referenced(ctx, digests)
	})
}

func (f *faulty) Unreferenced(ctx context.Context, lease ingest.Lease, remove bool) (atoms, bytes int64, err error) {
	counts, err := act(f.hook, "Unreferenced", func() ([2]int64, error) {
		atoms, bytes, err := f.Catalog.Unreferenced(ctx, lease, remove)
		return [2]int64{atoms, bytes}, err
	})
	return counts[0], counts[1], err
}

func (f *faulty) Relocate(ctx context.Context, lease ingest.Lease, segment ingest.StoredSegment,
	address ingest.Address) error {
	return effect(f.hook, "Relocate", func() error { return f.Catalog.Relocate(ctx, lease, segment, address) })
}

func (f *faulty) Removal(ctx context.Context, model ingest.ModelID) (ingest.Removal, error) {
	return act(f.hook, "Removal", func() (ingest.Removal, error) { return f.Catalog.Removal(ctx, model) })
}

func (f *faulty) Remove(ctx context.Context, lease ingest.Lease, model ingest.ModelID, cascade bool) error {
	return effect(f.hook, "Remove", func() error { return f.Catalog.Remove(ctx, lease, model, cascade) })
}

func (f *faulty) RemoveName(ctx context.Context, lease ingest.Lease, model ingest.ModelID, name string) error {
	return effect(f.hook, "RemoveName", func() error { return f.Catalog.RemoveName(ctx, lease, model, name) })
}

func (f *faulty) Rename(ctx context.Context, lease ingest.Lease, model ingest.ModelID, from, to string) error {
	return effect(f.hook, "Rename", func() error { return f.Catalog.Rename(ctx, lease, model, from, to) })
}

func (f *faulty) ReadPayload(ctx context.Context, segment ingest.StoredSegment, into []byte) error {
	return effect(f.hook, "ReadPayload", func() error { return f.Catalog.ReadPayload(ctx, segment, into) })
}

func (f *faulty) ReplacePayload(ctx context.Context, lease ingest.Lease, segment ingest.StoredSegment,
	payload []byte) error {
	return effect(f.hook, "ReplacePayload", func() error {
		return f.Catalog.ReplacePayload(ctx, lease, segment, payload)
	})
}

func (f *faulty) HashPayload(ctx context.Context, segment ingest.StoredSegment) (ingest.Digest, error) {
	return act(f.hook, "HashPayload", func() (ingest.Digest, error) { return f.Catalog.HashPayload(ctx, segment) })
}

func (f *faulty) AddAddresses(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error) {
	return act(f.hook, "AddAddresses", func() ([]bool, error) { return f.Catalog.AddAddresses(ctx, lease, moves) })
}

func (f *faulty) AddPayloads(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error) {
	return act(f.hook, "AddPayloads", func() ([]bool, error) { return f.Catalog.AddPayloads(ctx, lease, moves) })
}

func (f *faulty) ClearPayloads(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error) {
	return act(f.hook, "ClearPayloads", func() ([]bool, error) { return f.Catalog.ClearPayloads(ctx, lease, moves) })
}

func (f *faulty) ClearAddresses(ctx context.Context, lease ingest.Lease, moves []ingest.Move) ([]bool, error) {
	return act(f.hook, "ClearAddresses", func() ([]bool, error) { return f.Catalog.ClearAddresses(ctx, lease, moves) })
}

func (f *faulty) FileAtoms(ctx context.Context) iter.Seq2[ingest.FileAtom, error] {
	return sequence(f.hook, "FileAtoms", f.Catalog.FileAtoms(ctx))
}

func (f *faulty) FileAtom(ctx context.Context, id int64) (ingest.FileAtom, error) {
	return act(f.hook, "FileAtom", func() (ingest.FileAtom, error) { return f.Catalog.FileAtom(ctx, id) })
}

func (f *faulty) FileAtomWithDigest(ctx context.Context, digest ingest.Digest) (ingest.FileAtom, error) {
	return act(f.hook, "FileAtomWithDigest", func() (ingest.FileAtom, error) {
		return f.Catalog.FileAtomWithDigest(ctx, digest)
	})
}

func (f *faulty) ReadAtom(ctx context.Context, atom ingest.FileAtom, offset int64, into []byte) error {
	return effect(f.hook, "ReadAtom", func() error { return f.Catalog.ReadAtom(ctx, atom, offset, into) })
}

// placed is the answer of PlaceAtom.
type placed struct {
	atom    ingest.FileAtom
	changed bool
}

func (f *faulty) PlaceAtom(ctx context.Context, lease ingest.Lease, atom ingest.FileAtom,
	place ingest.AtomPlace) (ingest.FileAtom, bool, error) {
	p, err := act(f.hook, "PlaceAtom", func() (p placed, err error) {
		p.atom, p.changed, err = f.Catalog.PlaceAtom(ctx, lease, atom, place)
		return p, err
	})
	return p.atom, p.changed, err
}

func (f *faulty) ClearLocator(ctx context.Context, lease ingest.Lease, atom ingest.FileAtom) (bool, error) {
	return act(f.hook, "ClearLocator", func() (bool, error) { return f.Catalog.ClearLocator(ctx, lease, atom) })
}

func (f *faulty) RestoreLocator(ctx context.Context, lease ingest.Lease, atom ingest.FileAtom,
	locator string) (bool, error) {
	return act(f.hook, "RestoreLocator", func() (bool, error) {
		return f.Catalog.RestoreLocator(ctx, lease, atom, locator)
	})
}
