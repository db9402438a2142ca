package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// brokenStore names the store that TestBroken runs the suite on, in a process of its own.
const brokenStore = "INGEST_TEST_BROKEN_STORE"

// broken is a store that breaks one promise.
type broken struct {
	*storetest.Memory
	put     func(m *storetest.Memory, ctx context.Context, digest ingest.Digest, p []byte) (ingest.Address, error)
	replace func(m *storetest.Memory, ctx context.Context, digest ingest.Digest, p []byte) (ingest.Address, error)
	get     func(m *storetest.Memory, ctx context.Context, digest ingest.Digest, at ingest.Address, b []byte) ([]byte, error)
	remove  func(m *storetest.Memory, stray ingest.Object) error
	sweep   func(m *storetest.Memory) iter.Seq2[ingest.Object, error]
	claim   func(m *storetest.Memory, catalog string) ([]string, error)
}

func (b broken) Put(ctx context.Context, digest ingest.Digest, p []byte) (ingest.Address, error) {
	if b.put != nil {
		return b.put(b.Memory, ctx, digest, p)
	}
	return b.Memory.Put(ctx, digest, p)
}

func (b broken) Replace(ctx context.Context, digest ingest.Digest, p []byte) (ingest.Address, error) {
	if b.replace != nil {
		return b.replace(b.Memory, ctx, digest, p)
	}
	return b.Memory.Replace(ctx, digest, p)
}

func (b broken) Get(ctx context.Context, digest ingest.Digest, at ingest.Address, buffer []byte) ([]byte, error) {
	if b.get != nil {
		return b.get(b.Memory, ctx, digest, at, buffer)
	}
	return b.Memory.Get(ctx, digest, at, buffer)
}

func (b broken) Remove(ctx context.Context, stray ingest.Object) error {
	if b.remove != nil && ctx.Err() == nil {
		return b.remove(b.Memory, stray)
	}
	return b.Memory.Remove(ctx, stray)
}

func (b broken) Sweep(ctx context.Context) iter.Seq2[ingest.Object, error] {
	if b.sweep != nil && ctx.Err() == nil {
		return b.sweep(b.Memory)
	}
	return b.Memory.Sweep(ctx)
}

func (b broken) Claim(ctx context.Context, catalog string) ([]string, error) {
	if b.claim != nil && ctx.Err() == nil {
		return b.claim(b.Memory, catalog)
	}
	return b.Memory.Claim(ctx, catalog)
}

// stores breaks one promise each. want is the part of the suite that must notice.
var stores = map[string]struct {
	want  string
	store func() broken
}{
	"forgets": {"round_trip", func() broken {
		return broken{put: func(_ *storetest.Memory, _ context.Context, _ ingest.Digest, p []byte) (ingest.Address, error) {
			return ingest.Address{URI: "x", Bytes: int64(len(p))}, nil
		}}
	}},
	"gives no size": {"round_trip", func() broken {
		return broken{put: func(m *storetest.Memory, ctx context.Context, digest ingest.Digest, p []byte) (ingest.Address, error) {
			_, err := m.Put(ctx, digest, p)
			return ingest.Address{URI: "x"}, err
		}}
	}},
	"changes the payload": {"buffers", func() broken {
		return broken{put: func(m *storetest.Memory, ctx context.Context, digest ingest.Digest, p []byte) (ingest.Address, error) {
			at, err := m.Put(ctx, digest, p)
			clear(p)
			return at, err
		}}
	}},
	"keeps the memory": {"buffers", func() broken {
		var kept sync.Map // many put at once
		return broken{put: func(m *storetest.Memory, ctx context.Context, digest ingest.Digest, p []byte) (ingest.Address, error) {
			kept.Store(digest, p)
			return m.Put(ctx, digest, p)
		}, get: func(_ *storetest.Memory, _ context.Context, digest ingest.Digest, _ ingest.Address, b []byte) ([]byte, error) {
			p, ok := kept.Load(digest)
			if !ok {
				return nil, ingest.ErrNoPayload
			}
			return append(b[:0], p.([]byte)...), nil
		}}
	}},
	"ignores the buffer": {"buffers", func() broken {
		return broken{get: func(m *storetest.Memory, ctx context.Context, digest ingest.Digest, at ingest.Address, _ []byte) ([]byte, error) {
			return m.Get(ctx, digest, at, nil)
		}}
	}},
	"calls twice an error": {"put_twice", func() broken {
		return broken{put: func(m *storetest.Memory, ctx context.Context, digest ingest.Digest, p []byte) (ingest.Address, error) {
			before := m.Counts().Written
			at, err := m.Put(ctx, digest, p)
			if m.Counts().Written == before && err == nil {
				err = errors.New("it is there already")
			}
			return at, err
		}}
	}},
	"calls missing something else": {"missing", func() broken {
		return broken{get: func(m *storetest.Memory, ctx context.Context, digest ingest.Digest, at ingest.Address, b []byte) ([]byte, error) {
			p, err := m.Get(ctx, digest, at, b)
			if errors.Is(err, ingest.ErrNoPayload) {
				err = os.ErrNotExist
			}
			return p, err
		}}
	}},
	"calls damaged missing": {"replace", func() broken {
		return broken{get: func(m *storetest.Memory, ctx context.Context, digest ingest.Digest, at ingest.Address, b []byte) ([]byte, error) {
			p, err := m.Get(ctx, digest, at, b)
			if err != nil && ctx.Err() == nil {
				err = ingest.ErrNoPayload
			}
			return p, err
		}}
	}},
	"replaces nothing": {"replace", func() broken {
		return broken{replace: (*storetest.Memory).Put}
	}},
	"puts after the end": {"cancelled", func() broken {
		return broken{put: func(m *storetest.Memory, _ context.Context, digest ingest.Digest, p []byte) (ingest.Address, error) {
			return m.Put(context.Background(), digest, p)
		}}
	}},
	"shows parts": {"whole_payloads", func() broken {
		return broken{put: func(m *storetest.Memory, ctx context.Context, digest ingest.Digest, p []byte) (ingest.Address, error) {
			m.Damage(digest, bytes.Clone(p[:len(p)/2]))
			time.Sleep(20 * time.Millisecond)
			return m.Replace(ctx, digest, p)
		}}
	}},
	"is away while it replaces": {"whole_payloads", func() broken {
		return broken{replace: func(m *storetest.Memory, ctx context.Context, digest ingest.Digest, p []byte) (ingest.Address, error) {
			m.Damage(digest, nil)
			time.Sleep(20 * time.Millisecond)
			return m.Put(ctx, digest, p)
		}}
	}},
	"removes once": {"sweep", func() broken {
		return broken{remove: func(m *storetest.Memory, stray ingest.Object) error {
			before := m.Payloads()
			err := m.Remove(context.Background(), stray)
			if m.Payloads() == before {
				err = errors.New("it is gone already")
			}
			return err
		}}
	}},
	"sweeps nothing": {"sweep", func() broken {
		return broken{sweep: func(*storetest.Memory) iter.Seq2[ingest.Object, error] {
			return func(func(ingest.Object, error) bool) {}
		}}
	}},
	"knows the last claim alone": {"claim", func() broken {
		return broken{claim: func(_ *storetest.Memory, catalog string) ([]string, error) { return []string{catalog}, nil }}
	}},
}

func TestBroken(t *testing.T) {
	name := os.Getenv(brokenStore)
	if name == "" {
		t.Skip("no broken store is named for it: it is run by TestSuiteNotices")
	}
	storetest.Run(t, func(*testing.T) ingest.Store {
		if gifts[name] != "" {
			return &gifted{flaw: name}
		}
		b := stores[name].store()
		b.Memory = &storetest.Memory{}
		return b
	})
}

// runBroken runs the suite on one of the stores that break a promise.
func runBroken(name string) (output string, err error) {
	suite := exec.Command(os.Args[0], "-test.run=^TestBroken$", "-test.v")
	suite.Env = append(os.Environ(), brokenStore+"="+name)
	out, err := suite.CombinedOutput()
	return string(out), err
}

// TestSuiteNotices: a suite that passes every store proves nothing.
func TestSuiteNotices(t *testing.T) {
	for name, test := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := runBroken(name)
			if err == nil || !strings.Contains(out, "--- FAIL: TestBroken/"+test.want) {
				t.Errorf("%s passed %s: %v\n%s", name, test.want, err, out)
			}
		})
	}
}
