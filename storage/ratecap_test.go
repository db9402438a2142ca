package storage_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/storetest"
)

func TestCapKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) ingest.Store { return storage.Cap(&storetest.Memory{}, 1e6) })
}

// TestCapHolds measures what four callers together put and read in a synthetic time.
func TestCapHolds(t *testing.T) {
	for name, verb := range map[string]func(context.Context, ingest.Store, []byte) error{
		"put": func(ctx context.Context, s ingest.Store, p []byte) error {
			_, err := s.Put(ctx, ingest.Sum(p), p)
			return err
		},
		"replace": func(ctx context.Context, s ingest.Store, p []byte) error {
			_, err := s.Replace(ctx, ingest.Sum(p), p)
			return err
		},
		"put at": func(ctx context.Context, s ingest.Store, p []byte) error {
			_, err := s.(ingest.Placer).PutAt(ctx, ingest.Position{}, ingest.Sum(p), p)
			return err
		},
		"replace at": func(ctx context.Context, s ingest.Store, p []byte) error {
			_, err := s.(ingest.Placer).ReplaceAt(ctx, ingest.Address{}, ingest.Sum(p), p)
			return err
		},
		"get": func(ctx context.Context, s ingest.Store, p []byte) error {
			_, err := s.Get(ctx, ingest.Sum(p), ingest.Address{Bytes: int64(len(p))}, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := make([]byte, 1_000_000)
				m := &storetest.Memory{}
				if _, err := m.Put(t.Context(), ingest.Sum(p), p); err != nil {
					t.Fatal(err)
				}
				s := storage.Cap(placing{m, map[string]int{"PutAt": 1, "ReplaceAt": 1}}, 80) // ten of them a second
				begun := time.Now()
				var group sync.WaitGroup
				turn := make(chan struct{}, 1) // placing counts its calls without a lock
				for range 4 {
					group.Go(func() {
						for range 10 {
							turn <- struct{}{}
							if err := verb(t.Context(), s, p); err != nil {
								t.Error(err)
							}
							<-turn
						}
					})
				}
				group.Wait()
				if took := time.Since(begun); took < 3900*time.Millisecond || took > 4*time.Second {
					t.Errorf("40 MB at 10 MB/s took %s", took)
				}
			})
		})
	}
}

func TestCapStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storage.Cap(&storetest.Memory{}, 0.008) // 1,000 bytes a second
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		begun := time.Now()
		p := make([]byte, 1_000_000)
		if _, err := s.Put(ctx, ingest.Sum(p), p); !errors.Is(err, context.Canceled) || time.Since(begun) > 4*time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := s.Put(short, ingest.Sum(p), p); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a deadline: %v", err)
		}
	})
}

func TestCapOfNothing(t *testing.T) {
	m := &storetest.Memory{}
	for _, megabits := range []float64{0, -1} {
		if storage.Cap(m, megabits) != ingest.Store(m) {
			t.Errorf("%v megabits wrap the store", megabits)
		}
	}
}

func TestCapHasTheAbilitiesOfItsStore(t *testing.T) {
	hasTheAbilitiesOfItsStore(t, func(s ingest.Store) ingest.Store { return storage.Retry(storage.Cap(s, 1), storage.Policy{}) })
}

func TestCapPassesTheOtherVerbs(t *testing.T) {
	p := placing{&storetest.Memory{}, map[string]int{"Probe": 1, "Announce": 1, "Withdraw": 1}}
	s := storage.Cap(p, 1)
	payload := []byte("payload")
	if _, err := s.Put(t.Context(), ingest.Sum(payload), payload); err != nil {
		t.Fatal(err)
	}
	if err := s.(ingest.Prober).Probe(t.Context(), ingest.Digest{}, ingest.Address{}); err != nil {
		t.Error(err)
	}
	if since, err := s.(ingest.Announcer).Announce(t.Context(), "x"); err != nil || since.IsZero() {
		t.Error(since, err)
	}
	if err := s.(ingest.Announcer).Withdraw(t.Context(), "x", time.Unix(1, 0)); err != nil {
		t.Error(err)
	}
	if all, err := s.(ingest.Claimer).Claim(t.Context(), "x"); err != nil || len(all) != 1 {
		t.Error(all, err)
	}
	for stray, err := range s.(ingest.Sweeper).Sweep(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.(ingest.Sweeper).Remove(t.Context(), stray); err != nil {
			t.Fatal(err)
		}
	}
	if p.Payloads() != 0 {
		t.Error("Sweep and Remove did not reach the store")
	}
}

// TestCapOfFiles: a file waits for as long as its bytes take.
func TestCapOfFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storage.Cap(placing{&storetest.Memory{}, map[string]int{}}, 8) // 1,000,000 bytes a second, 100,000 at once
		begun := time.Now()
		at, err := s.(ingest.FilePutter).PutFile(t.Context(), ingest.Digest{}, bytes.NewReader(make([]byte, 2_100_000)), 2_100_000)
		if took := time.Since(begun).Round(time.Millisecond); err != nil || at.URI != "file" || took != 2*time.Second {
			t.Errorf("%+v, %v after %s", at, err, took)
		}
	})
}
