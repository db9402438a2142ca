package storetest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

var (
	_ ingest.Store   = (*Memory)(nil)
	_ ingest.Sweeper = (*Memory)(nil)
	_ ingest.Claimer = (*Memory)(nil)
	_ Damager        = (*Memory)(nil)
)

// Memory is a store in memory, for tests. The zero value is an empty store. It
// refuses a payload that does not have the digest it is put under: a caller that
// mixes two up is found here.
type Memory struct {
	mu     sync.Mutex
	stored map[string]kept // by the store's own name
	claims map[string]bool
	counts Counts
}

type kept struct {
	digest   ingest.Digest
	payload  []byte
	modified time.Time
}

// Counts says how often each verb was called, and how many payloads and bytes
// Put and Replace wrote.
type Counts struct {
	Put, Get, Replace, Sweep, Remove, Claim int

	Written      int
	BytesWritten int64
}

// Counts returns the calls so far.
func (m *Memory) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts
}

// Payloads returns how many payloads the store holds.
func (m *Memory) Payloads() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, k := range m.stored {
		if !k.digest.IsZero() {
			n++
		}
	}
	return n
}

// Damage puts these bytes under digest, whatever they are; nil removes what lies there.
func (m *Memory) Damage(digest ingest.Digest, payload []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if payload == nil {
		delete(m.stored, digest.String())
		return
	}
	m.keep(digest.String(), digest, payload)
}

// Leave puts the remains of an interrupted write into the store.
func (m *Memory) Leave(name string, remains []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep("tmp/"+name, ingest.Digest{}, remains)
}

func (m *Memory) keep(name string, digest ingest.Digest, payload []byte) {
	if m.stored == nil {
		m.stored = map[string]kept{}
	}
	m.stored[name] = kept{digest: digest, payload: bytes.Clone(payload), modified: time.Now()}
}

// Put satisfies ingest.Store.
func (m *Memory) Put(ctx context.Context, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Put++
	if there, ok := m.stored[digest.String()]; ok && len(there.payload) == len(payload) && ctx.Err() == nil {
		return memoryAddress(digest, payload), nil
	}
	return m.write(ctx, digest, payload)
}

// Replace satisfies ingest.Store.
func (m *Memory) Replace(ctx context.Context, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Replace++
	return m.write(ctx, digest, payload)
}

func (m *Memory) write(ctx context.Context, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	if err := ctx.Err(); err != nil {
		return ingest.Address{}, err
	}
	if ingest.Sum(payload) != digest {
		return ingest.Address{}, fmt.Errorf("%d bytes were put under %s, which is not their digest", len(payload), digest.Short())
	}
	m.keep(digest.String(), digest, payload)
	m.counts.Written++
	m.counts.BytesWritten += int64(len(payload))
	return memoryAddress(digest, payload), nil
}

func memoryAddress(digest ingest.Digest, payload []byte) ingest.Address {
	return ingest.Address{URI: "memory:" + digest.String(), Bytes: int64(len(payload))}
}

// Get satisfies ingest.Store.
func (m *Memory) Get(ctx context.Context, digest ingest.Digest, address ingest.Address, buffer []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Get++
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	there, ok := m.stored[digest.String()]
	if !ok {
		return nil, fmt.Errorf("memory store, %s: %w", digest.Short(), ingest.ErrNoPayload)
	}
	if int64(len(there.payload)) != address.Bytes {
		return nil, fmt.Errorf("memory store, %s: %d bytes, and %d were stored", digest.Short(), len(there.payload), address.Bytes)
	}
	return append(buffer[:0], there.payload...), nil
}

// Sweep satisfies ingest.Sweeper.
func (m *Memory) Sweep(ctx context.Context) iter.Seq2[ingest.Object, error] {
	return func(yield func(ingest.Object, error) bool) {
		m.mu.Lock()
		m.counts.Sweep++
		stored := maps.Clone(m.stored)
		m.mu.Unlock()
		if err := ctx.Err(); err != nil {
			yield(ingest.Object{}, err)
			return
		}
		for name, k := range stored {
			stray := ingest.Object{Digest: k.digest, Name: name, Bytes: int64(len(k.payload)), Modified: k.modified}
			if !yield(stray, ctx.Err()) || ctx.Err() != nil {
				return
			}
		}
	}
}

// Remove satisfies ingest.Sweeper.
func (m *Memory) Remove(ctx context.Context, stray ingest.Object) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Remove++
	if err := ctx.Err(); err != nil {
		return err
	}
	delete(m.stored, stray.Name)
	return nil
}

// Claim satisfies ingest.Claimer.
func (m *Memory) Claim(ctx context.Context, catalog string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Claim++
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.claims == nil {
		m.claims = map[string]bool{}
	}
	m.claims[catalog] = true
	return slices.Sorted(maps.Keys(m.claims)), nil
}

// Claims satisfies ingest.Claimer.
func (m *Memory) Claims(ctx context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.claims)), ctx.Err()
}
