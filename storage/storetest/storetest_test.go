package storetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Open {
		memory := &storetest.Memory{}
		return func(_ *testing.T, step func() error) ingest.Store { return memory.Handle(step) }
	})
}

func TestMemoryDescriptions(t *testing.T) {
	storetest.Descriptions(t, func(*testing.T) ingest.DescriptionStore { return &storetest.Memory{} })
}

func TestFaultyWithoutFaults(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Open {
		memory := &storetest.Memory{}
		return func(_ *testing.T, step func() error) ingest.Store {
			return &storetest.Faulty{
				Store: memory.Handle(step),
				Hook:  func(context.Context, storetest.Call) error { return nil },
			}
		}
	})
}

func TestFaultyBeforeAndAfter(t *testing.T) {
	fault := errors.New("fault")
	payload := []byte("payload")
	digest := ingest.Sum(payload)
	for _, done := range []bool{false, true} {
		memory := &storetest.Memory{}
		faulty := &storetest.Faulty{Store: memory, Hook: func(_ context.Context, call storetest.Call) error {
			if call.Verb == "Put" && call.Done == done && call.Digest == digest {
				return fault
			}
			return nil
		}}
		address, err := faulty.Put(t.Context(), ingest.Key{Digest: digest}, payload)
		if !errors.Is(err, fault) || address != (ingest.Address{}) {
			t.Errorf("Put, done %v: %+v, %v", done, address, err)
		}
		if landed := memory.Payloads() == 1; landed != done {
			t.Errorf("Put with a fault, done %v: landed %v", done, landed)
		}
	}
}

func TestMemoryCounts(t *testing.T) {
	m := &storetest.Memory{}
	payload := []byte("payload")
	digest := ingest.Sum(payload)
	for range 3 {
		if _, err := m.Put(t.Context(), ingest.Key{Digest: digest}, payload); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.Counts(); got.Put != 3 || got.Written != 1 || got.BytesWritten != 7 {
		t.Errorf("three puts of one payload: %+v", got)
	}
	if _, err := m.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, payload); err == nil {
		t.Error("a payload was stored under the digest of another")
	}
	m.Damage(digest, []byte("pay"))
	if err := m.Get(t.Context(), digest, ingest.Address{Bytes: 7}, 0, make([]byte, 7)); err == nil ||
		errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("Get of a damaged payload: %v", err)
	}
	m.Leave("x", payload)
	if m.Payloads() != 1 {
		t.Errorf("%d payloads beside one leftover", m.Payloads())
	}
}

func TestDiscard(t *testing.T) {
	payload := []byte("payload")
	key := ingest.Key{Digest: ingest.Sum(payload)}
	address, err := storetest.Discard{}.Put(t.Context(), key, payload)
	if err != nil || address.Bytes != 7 || address.URI == "" {
		t.Errorf("%+v, %v", address, err)
	}
	err = storetest.Discard{}.Get(t.Context(), key.Digest, address, 0, make([]byte, 7))
	if !errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("Get: %v", err)
	}
}
