package storetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"

	"github.com/hartonomous/ingest/ingest"
)

// AddressOf satisfies ingest.DescriptionStore.
func (m *Memory) AddressOf(digest ingest.Digest, bytes int64, encoding ingest.Encoding) ingest.Address {
	return memoryAddress(digest, encoding, bytes)
}

// PutDescription satisfies ingest.DescriptionStore.
func (m *Memory) PutDescription(ctx context.Context, d ingest.Description, content io.ReaderAt) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	text := make([]byte, d.Bytes)
	if n, err := content.ReadAt(text, 0); n < len(text) {
		return err
	}
	if got := ingest.Sum(text); got != d.Content {
		return &ingest.MismatchError{Want: d.Content, Got: got}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.described == nil {
		m.described = map[ingest.Description][]byte{}
	}
	m.described[d] = text
	return nil
}

// ReadDescription satisfies ingest.DescriptionStore.
func (m *Memory) ReadDescription(ctx context.Context, d ingest.Description, offset int64, into []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	there, ok := m.described[d]
	if !ok {
		return fmt.Errorf("description of %s: %w", d.Content.Short(), ingest.ErrNotFound)
	}
	copy(into, there[offset:])
	return ctx.Err()
}

// Descriptions satisfies ingest.DescriptionStore.
func (m *Memory) Descriptions(ctx context.Context) iter.Seq2[ingest.Description, error] {
	return func(yield func(ingest.Description, error) bool) {
		m.mu.Lock()
		described := maps.Clone(m.described)
		m.mu.Unlock()
		for d := range described {
			if !yield(d, ctx.Err()) || ctx.Err() != nil {
				return
			}
		}
	}
}

// DeleteDescription satisfies ingest.DescriptionStore.
func (m *Memory) DeleteDescription(ctx context.Context, d ingest.Description) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.described, d)
	return ctx.Err()
}

// DamageDescription changes a byte in the middle of a description.
func (m *Memory) DamageDescription(d ingest.Description) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content := bytes.Clone(m.described[d])
	content[len(content)/2] ^= 1
	m.described[d] = content
}
