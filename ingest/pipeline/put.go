package pipeline

import (
	"context"
	"slices"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/codec"
)

// put stores a payload, unless the store has it in some encoding, and sets the segment's address. It
// overwrites payload if it encodes it: it was hashed, and nothing else reads it.
func (f *fileIngest) put(ctx context.Context, s *ingest.NewSegment, payload []byte) error {
	unlock, err := f.payloads.Lock(ctx, s.Digest, func() {})
	if err != nil {
		return err
	}
	defer unlock()
	if !f.Unshared {
		var present bool
		if s.Address, present, err = f.stored(ctx, s.Digest); present || err != nil {
			return err
		}
	}
	payload, encoding, err := f.encode(ctx, s, payload)
	if err != nil {
		return err
	}
	key := ingest.Key{Digest: s.Digest, Model: f.model, File: f.entry.ID, Layer: s.Layer, Ordinal: s.Ordinal,
		Type: s.Type, Encoding: encoding}
	if s.Address, err = f.Store.Put(ctx, key, payload); err == nil {
		f.countPut(s)
	}
	return err
}

// stored returns the address of the payload with a digest that rows refer to and the store has, in an
// encoding that this version can decode.
func (r *run) stored(ctx context.Context, digest ingest.Digest) (at ingest.Address, present bool, err error) {
	known, err := r.Catalog.Addresses(ctx, digest)
	if err != nil {
		return at, false, err
	}
	for _, a := range known {
		if a.Codec != "" && a.Codec != codec.Name {
			continue
		}
		if at, present, err = r.Store.Reuse(ctx, digest, a); present || err != nil {
			return at, present, err
		}
	}
	return ingest.Address{}, false, nil
}

// encode encodes a payload, in its own memory, if that makes it smaller.
func (r *run) encode(ctx context.Context, s *ingest.NewSegment, payload []byte) ([]byte, ingest.Encoding, error) {
	if r.encoders == nil {
		return payload, ingest.Encoding{}, nil
	}
	w, err := r.encoders.Get(ctx)
	if err != nil {
		return nil, ingest.Encoding{}, err
	}
	defer r.encoders.Put(w)
	encoded := w.Encode(w.Buffer, payload, s.Type, r.Options.Compress)
	if encoded == nil {
		return payload, ingest.Encoding{}, nil
	}
	payload = payload[:copy(payload, encoded)] // the worker is free for the next while this is sent
	return payload, ingest.Encoding{Codec: codec.Name, Stored: ingest.Sum(payload)}, nil
}

// countPut adds a payload that was put to the report.
func (r *run) countPut(s *ingest.NewSegment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.report.Stored, func(e ingest.EncodedBytes) bool {
		return e.Type == s.Type && e.Codec == s.Address.Codec
	})
	if i < 0 {
		i = len(r.report.Stored)
		r.report.Stored = append(r.report.Stored, ingest.EncodedBytes{Type: s.Type, Codec: s.Address.Codec})
	}
	e := &r.report.Stored[i]
	e.Segments++
	e.Bytes += s.Bytes
	e.Stored += s.Address.Bytes
}
