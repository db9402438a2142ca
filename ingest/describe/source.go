package describe

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// source is what a frame tells: about a model, or that it was removed.
type source struct {
	Head
	tensors  iter.Seq2[Tensor, error]
	segments iter.Seq2[Segment, error]
}

// label names the model in an error.
func (s *source) label() string {
	if len(s.Names) == 0 {
		return "model " + s.Model.Short()
	}
	return "model " + ingest.Printable(string(s.Names[0].Name))
}

// errDamagedPayload is the error for a model with a small payload that is damaged in the catalogue.
var errDamagedPayload = errors.New("a payload in the catalogue is damaged: run `ingest verify`")

// errNotInStore is the error for a model with payloads in rows, in another store, or by position.
var errNotInStore = errors.New("a payload is not in the store by content")

// ofCatalog returns the source of a model in the catalogue, all of whose rows are recorded. With look, it looks
// for the first payload that is not small, and gives errNotInStore if the store does not have it.
func (k *Keeper) ofCatalog(ctx context.Context, m ingest.Summary, look bool) *source {
	catalog := k.Catalog
	s := &source{Head: headOf(m)}
	places := map[ingest.LayerID]int{} // of a tensor in its file
	s.tensors = func(yield func(Tensor, error) bool) {
		counts := map[ingest.FileID]int{}
		for l, err := range catalog.Layers(ctx, m.ID) {
			places[l.ID] = counts[l.File]
			counts[l.File]++
			t := Tensor{Text(l.Name), l.Type, l.Shape, l.Elements, l.Offset, l.Bytes}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
	s.segments = func(yield func(Segment, error) bool) {
		var buffer []byte
		for i, f := range m.Files {
			for stored, err := range catalog.Segments(ctx, f.ID, 0) {
				var segment Segment
				if err == nil {
					segment, err = segmentOf(ctx, catalog, stored, &buffer)
				}
				if err == nil && !stored.Small && look {
					look, err = false, k.look(ctx, stored)
				}
				if segment.File, segment.Tensor = i, ingest.NoTensor; stored.Layer != 0 {
					segment.Tensor = places[stored.Layer]
				}
				if !yield(segment, err) || err != nil {
					return
				}
			}
		}
	}
	return s
}

// look returns errNotInStore, wrapped, if a payload is missing in the store: it may be in another one.
func (k *Keeper) look(ctx context.Context, s ingest.StoredSegment) error {
	_, err := k.Store.Stat(ctx, s.Digest, s.Address)
	switch {
	case errors.Is(err, ingest.ErrNoPayload):
		return fmt.Errorf("%s: %w", s.Place(), errNotInStore)
	case errors.Is(err, ingest.ErrUnreachable):
		return err
	}
	return nil
}

func headOf(m ingest.Summary) Head {
	d := m.Details
	h := Head{Version: Version, Model: Key(m.Files), Ingested: m.Ingested.UTC(), Type: m.Type,
		Architecture: m.Architecture, Parameters: m.Parameters, Metadata: m.Metadata,
		Details: Details{d.ContextLength, d.EmbeddingLength, d.License, d.SourceURL}}
	index := map[ingest.FileID]int{}
	for i, f := range m.Files {
		index[f.ID] = i
		h.Files = append(h.Files, File{Text(f.Path), f.Role, f.Format, f.Bytes, f.Digest, f.Expected, f.Modified.UTC(),
			f.SegmentBytes, int(f.Tensors)})
	}
	for _, n := range m.Names {
		name := Name{Text(n.Name), Text(n.URI), make([]NamedFile, len(n.Files))}
		for i, f := range n.Files {
			name.Files[i] = NamedFile{index[f.ID], Text(f.Path)}
		}
		h.Names = append(h.Names, name)
	}
	return h
}

// segmentOf describes a row. A small payload is read into buffer, which grows.
func segmentOf(ctx context.Context, catalog Catalog, s ingest.StoredSegment, buffer *[]byte) (Segment, error) {
	d := Segment{Ordinal: s.Ordinal, Offset: s.Offset, Bytes: s.Bytes, Digest: s.Digest}
	switch {
	case s.Small:
		if int64(len(*buffer)) < s.Bytes {
			*buffer = make([]byte, s.Bytes)
		}
		d.Payload = (*buffer)[:s.Bytes]
		if err := catalog.ReadPayload(ctx, s, d.Payload); err != nil {
			return d, err
		}
		if got := ingest.Sum(d.Payload); got != s.Digest {
			return d, fmt.Errorf("%s: %w", s.Place(), errDamagedPayload)
		}
		return d, nil
	case !s.InStore() || !isByContent(s):
		return d, fmt.Errorf("%s: %w", s.Place(), errNotInStore)
	}
	d.Codec, d.Stored, d.StoredBytes = s.Address.Codec, s.Address.Stored, s.Address.Bytes
	return d, nil
}

func isByContent(s ingest.StoredSegment) bool {
	_, ok := EncodingOf(s.Address.URI, s.Digest)
	return ok
}

// ofRemoved returns the source of a model that was removed.
func ofRemoved(key ingest.Digest) *source {
	return &source{Head: Head{Version: Version, Model: key, Removed: true},
		tensors: func(func(Tensor, error) bool) {}, segments: func(func(Segment, error) bool) {}}
}

// ofWhole returns the source of a small model that is about to be added.
func ofWhole(m ingest.WholeModel, now time.Time) *source {
	s := &source{Head: Head{Version: Version, Ingested: now.UTC(), Type: m.Type, Architecture: m.Architecture,
		Parameters: m.Parameters(), Metadata: m.Metadata, Details: Details{m.Details.ContextLength,
			m.Details.EmbeddingLength, m.Details.License, m.Details.SourceURL}}}
	name := Name{Text(m.Name), Text(m.URI), []NamedFile{}}
	for i := range m.Files {
		f := &m.Files[i]
		name.Files = append(name.Files, NamedFile{i, Text(f.Name)})
		s.Files = append(s.Files, File{Text(f.Path), f.Role, f.Format, f.Bytes, m.Batches[i].Digest, f.Expected,
			f.Modified.UTC(), m.Plans[i].SegmentBytes(), len(f.Tensors)})
	}
	s.Names, s.Model = []Name{name}, Key(s.Stored())
	s.tensors = func(yield func(Tensor, error) bool) {
		for i := range m.Files {
			for _, t := range m.Files[i].Tensors {
				if !yield(Tensor{Text(t.Name), t.Type, t.Shape, t.Elements, t.Offset, t.Bytes}, nil) {
					return
				}
			}
		}
	}
	s.segments = func(yield func(Segment, error) bool) {
		for i, batch := range m.Batches {
			for _, n := range batch.Segments {
				a := n.Address
				if !yield(Segment{i, n.Tensor, n.Ordinal, n.Offset, n.Bytes, n.Digest, a.Codec, a.Stored, a.Bytes,
					n.Payload}, nil) {
					return
				}
			}
		}
	}
	return s
}
