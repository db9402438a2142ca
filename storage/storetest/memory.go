package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

var (
	_ ingest.DescriptionStore = (*Memory)(nil)
	_ Damager                 = (*Memory)(nil)
)

// Memory is a store in memory, for tests. The zero value is an empty store. It refuses payloads that
// do not have the digest under which they are put, to find callers that confuse two payloads.
type Memory struct {
	mu     sync.Mutex
	stored map[string]kept // by the name in the store
	owner  string
	writes int
	// described has the content of the descriptions.
	described map[ingest.Description][]byte
	counts    Counts
}

type kept struct {
	digest   ingest.Digest
	payload  []byte
	modified time.Time
	tag      string // changed by each write and by hiding
	hidden   string // the Delete that hid it; empty for none
}

// Counts has the number of calls of each verb, and of the payloads and bytes that Put and Replace
// wrote.
type Counts struct {
	Owner, Put, Reuse, Get, Stat, Replace, List, Delete int

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

// Damage stores payload under digest without a check; nil removes the stored payload.
func (m *Memory) Damage(digest ingest.Digest, payload []byte) {
	m.DamageAt(digest, ingest.Address{}, payload)
}

// DamageAt satisfies Damager. A nil payload removes the stored one.
func (m *Memory) DamageAt(digest ingest.Digest, address ingest.Address, payload []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := storage.PayloadOf(digest, address.Encoding).String()
	if payload == nil {
		delete(m.stored, name)
		return
	}
	m.keep(name, digest, payload)
}

// Copy returns a store with the same objects, and the counts and the owner of an empty one.
func (m *Memory) Copy() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{stored: maps.Clone(m.stored), writes: m.writes}
}

// Leave stores the remains of an interrupted write.
func (m *Memory) Leave(name string, remains []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep("tmp/"+name, ingest.Digest{}, remains)
}

func (m *Memory) keep(name string, digest ingest.Digest, payload []byte) {
	if m.stored == nil {
		m.stored = map[string]kept{}
	}
	m.stored[name] = kept{digest: digest, payload: bytes.Clone(payload), modified: time.Now(), tag: m.nextTag()}
}

func (m *Memory) nextTag() string {
	m.writes++
	return strconv.Itoa(m.writes)
}

// Owner satisfies ingest.Store.
func (m *Memory) Owner(ctx context.Context, claim string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Owner++
	if m.owner == "" && ctx.Err() == nil {
		m.owner = claim
	}
	return m.owner, ctx.Err()
}

// Put satisfies ingest.Store.
func (m *Memory) Put(ctx context.Context, key ingest.Key, payload []byte) (ingest.Address, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Put++
	address := memoryAddress(key.Digest, key.Encoding, int64(len(payload)))
	if m.visible(key.Digest, address) && ctx.Err() == nil {
		return address, nil
	}
	return m.write(ctx, key.Digest, key.Encoding, payload)
}

// Reuse satisfies ingest.Store.
func (m *Memory) Reuse(ctx context.Context, digest ingest.Digest, address ingest.Address) (now ingest.Address,
	present bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Reuse++
	now = memoryAddress(digest, address.Encoding, address.Bytes)
	if err := ctx.Err(); err != nil || address.URI != now.URI || address.Name != "" || !m.visible(digest, now) {
		return ingest.Address{}, false, err
	}
	return now, true, nil
}

// visible reports whether the payload at address is stored with its size, and not hidden.
func (m *Memory) visible(digest ingest.Digest, address ingest.Address) bool {
	there, ok := m.stored[storage.PayloadOf(digest, address.Encoding).String()]
	return ok && int64(len(there.payload)) == address.Bytes && there.hidden == ""
}

// Replace satisfies ingest.Store.
func (m *Memory) Replace(ctx context.Context, digest ingest.Digest, address ingest.Address,
	payload []byte) (ingest.Address, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Replace++
	return m.write(ctx, digest, address.Encoding, payload)
}

func (m *Memory) write(ctx context.Context, digest ingest.Digest, encoding ingest.Encoding,
	payload []byte) (ingest.Address, error) {
	if err := ctx.Err(); err != nil {
		return ingest.Address{}, err
	}
	p := storage.PayloadOf(digest, encoding)
	if ingest.Sum(payload) != p.Content {
		return ingest.Address{}, fmt.Errorf("%d bytes were put under %s, which is not their digest", len(payload),
			p.Content.Short())
	}
	m.keep(p.String(), digest, payload)
	m.counts.Written++
	m.counts.BytesWritten += int64(len(payload))
	return memoryAddress(digest, encoding, int64(len(payload))), nil
}

func memoryAddress(digest ingest.Digest, encoding ingest.Encoding, bytes int64) ingest.Address {
	return ingest.Address{
		URI:      "memory:" + storage.PayloadOf(digest, encoding).String(),
		Bytes:    bytes,
		Encoding: encoding,
	}
}

// find returns the payload at address if it has that size.
func (m *Memory) find(ctx context.Context, digest ingest.Digest, address ingest.Address) ([]byte, error) {
	there, ok := m.stored[storage.PayloadOf(digest, address.Encoding).String()]
	switch size := int64(len(there.payload)); {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !ok:
		return nil, fmt.Errorf("memory store, %s: %w", digest.Short(), ingest.ErrNoPayload)
	case size != address.Bytes:
		return nil, &ingest.SizeError{Where: "memory:" + digest.Short(), Want: address.Bytes, Got: size}
	}
	return there.payload, nil
}

// Get satisfies ingest.Store.
func (m *Memory) Get(ctx context.Context, digest ingest.Digest, address ingest.Address, offset int64,
	into []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Get++
	payload, err := m.find(ctx, digest, address)
	if err == nil {
		err = storage.CheckPart(offset, len(into), address.Bytes)
	}
	if err == nil {
		copy(into, payload[offset:offset+int64(len(into))])
	}
	return err
}

// Stat satisfies ingest.Store.
func (m *Memory) Stat(ctx context.Context, digest ingest.Digest, address ingest.Address) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Stat++
	_, err := m.find(ctx, digest, address)
	return false, err
}

// Holds satisfies ingest.Store.
func (m *Memory) Holds(ctx context.Context, digest ingest.Digest, address ingest.Address) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := storage.PayloadOf(digest, address.Encoding)
	_, there := m.stored[p.String()]
	return there && address.URI == "memory:"+p.String() && address.Name == "", ctx.Err()
}

// List satisfies ingest.Store.
func (m *Memory) List(ctx context.Context) iter.Seq2[ingest.Object, error] {
	return func(yield func(ingest.Object, error) bool) {
		m.mu.Lock()
		m.counts.List++
		stored := maps.Clone(m.stored)
		m.mu.Unlock()
		if err := ctx.Err(); err != nil {
			yield(ingest.Object{}, err)
			return
		}
		for name, k := range stored {
			object := ingest.Object{
				Digest:   k.digest,
				Name:     name,
				Bytes:    int64(len(k.payload)),
				Modified: k.modified,
				Tag:      k.tag,
				Hidden:   k.hidden != "",
			}
			if !yield(object, ctx.Err()) || ctx.Err() != nil {
				return
			}
		}
	}
}

// Delete satisfies ingest.Store.
func (m *Memory) Delete(ctx context.Context, objects []ingest.Object,
	confirm func(context.Context) error) ([]error, error) {
	return m.delete(ctx, objects, confirm, func() error { return nil })
}

// delete calls step between every two steps. If step returns an error, the call ends there, as if it
// was killed.
func (m *Memory) delete(ctx context.Context, objects []ingest.Object, confirm func(context.Context) error,
	step func() error) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.count(&m.counts.Delete)
	failed, tags, token := make([]error, len(objects)), make([]string, len(objects)), rand.Text()
	each := func(act func(i int, name string) error) error {
		for i, object := range objects {
			if err := step(); err != nil {
				return err
			}
			m.mu.Lock()
			failed[i] = act(i, object.Name)
			m.mu.Unlock()
		}
		return step()
	}
	if err := each(func(i int, name string) error {
		there, ok := m.stored[name]
		switch {
		case !ok:
			return nil
		case there.tag != objects[i].Tag:
			return ingest.ErrModified
		}
		there.hidden, there.tag = token, m.nextTag()
		m.stored[name], tags[i] = there, there.tag
		return nil
	}); err != nil {
		return nil, err
	}
	err := confirm(ctx)
	if killed := each(func(i int, name string) error {
		there, ok := m.stored[name]
		switch {
		case tags[i] == "":
			return failed[i]
		case !ok:
			return nil
		case there.tag != tags[i] && err == nil:
			return ingest.ErrModified
		case there.tag != tags[i]:
			return nil
		case err == nil:
			delete(m.stored, name)
			return nil
		}
		there.hidden, there.tag = "", m.nextTag()
		m.stored[name] = there
		return nil
	}); killed != nil {
		return nil, killed
	}
	return failed, err
}

func (m *Memory) count(n *int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*n++
}

// Handle returns another handle on the store that calls step between every two steps of Put, Reuse
// and Delete; nil returns m.
func (m *Memory) Handle(step func() error) ingest.Store {
	if step == nil {
		return m
	}
	return stepped{m, step}
}

type stepped struct {
	*Memory
	step func() error
}

func (s stepped) Put(ctx context.Context, key ingest.Key, payload []byte) (ingest.Address, error) {
	if err := s.step(); err != nil {
		return ingest.Address{}, err
	}
	address, err := s.Memory.Put(ctx, key, payload)
	if err == nil {
		err = s.step()
	}
	return address, err
}

func (s stepped) Reuse(ctx context.Context, digest ingest.Digest, address ingest.Address) (now ingest.Address,
	present bool, err error) {
	if err := s.step(); err != nil {
		return ingest.Address{}, false, err
	}
	now, present, err = s.Memory.Reuse(ctx, digest, address)
	if err == nil {
		err = s.step()
	}
	return now, present && err == nil, err
}

func (s stepped) Delete(ctx context.Context, objects []ingest.Object,
	confirm func(context.Context) error) ([]error, error) {
	return s.delete(ctx, objects, confirm, s.step)
}
