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
	var encoding ingest.Encoding
	if !f.Unshared {
		present, missing, err := f.reuse(ctx, s)
		if present || err != nil {
			return err
		}
		if !missing {
			if payload, encoding, err = f.encode(ctx, s, payload); err != nil {
				return err
			}
		}
	}
	key := ingest.Key{Digest: s.Digest, Model: f.model, File: f.entry.ID, Layer: s.Layer, Ordinal: s.Ordinal,
		Type: s.Type, Encoding: encoding}
	if s.Address, err = f.Store.Put(ctx, key, payload); err == nil {
		f.countPut(s)
	}
	return err
}

// reuse sets the segment's address to one at which rows have its payload and the store does, too, in an
// encoding that this version can decode. missing is set if rows name the bytes themselves, and the
// store lacks them: to put these mends the rows.
func (r *run) reuse(ctx context.Context, s *ingest.NewSegment) (present, missing bool, err error) {
	known, err := r.Catalog.Addresses(ctx, s.Digest)
	if err != nil {
		return false, false, err
	}
	for _, a := range known {
		raw := a.Codec == ""
		if a.Codec != codec.Name && !raw || raw != (a.Bytes == s.Bytes) {
			continue
		}
		now, present, err := r.Store.Reuse(ctx, s.Digest, a)
		if err != nil {
			return false, false, err
		}
		if present {
			s.Address = now
			return true, false, nil
		}
		missing = missing || raw
	}
	return false, missing, nil
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
	i := slices.IndexFunc(r.report.Stored, func(e ingest.TypeBytes) bool {
		return e.Type == s.Type && e.Codec == s.Address.Codec
	})
	if i < 0 {
		i = len(r.report.Stored)
		r.report.Stored = append(r.report.Stored, ingest.TypeBytes{Type: s.Type, Codec: s.Address.Codec})
	}
	e := &r.report.Stored[i]
	e.Segments++
	e.Bytes += s.Bytes
	e.Stored += s.Address.Bytes
}
