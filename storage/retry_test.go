package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/storetest"
)

// fault is an error as a driver makes it.
type fault struct {
	transient bool
	after     time.Duration
}

func (f fault) Error() string             { return "fault" }
func (f fault) Transient() bool           { return f.transient }
func (f fault) RetryAfter() time.Duration { return f.after }

// tries runs Do with an op that always fails with err, and returns when each attempt began.
func tries(ctx context.Context, policy storage.Policy, err error) (starts []time.Duration, got error) {
	start := time.Now()
	got = storage.Do(ctx, policy, func() error {
		starts = append(starts, time.Since(start))
		return fmt.Errorf("put: %w", err)
	})
	return starts, got
}

func TestDoPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := storage.Policy{Attempts: 7, First: time.Second, Longest: 8 * time.Second, Total: time.Hour}
		bounds := []time.Duration{1, 2, 4, 8, 8, 8}
		shortest, longest := time.Hour, time.Duration(0)
		for range 50 {
			starts, err := tries(t.Context(), policy, fault{transient: true})
			if gaveUp, ok := errors.AsType[*storage.GaveUpError](err); !ok || gaveUp.Attempts != 7 || len(starts) != 7 || starts[0] != 0 {
				t.Fatalf("%d attempts, %v", len(starts), err)
			}
			for i, bound := range bounds {
				pause := starts[i+1] - starts[i]
				if pause < bound*time.Second/2 || pause > bound*time.Second {
					t.Errorf("pause %d lasted %v, want %v to %v s", i+1, pause, float64(bound)/2, bound)
				}
			}
			shortest, longest = min(shortest, starts[1]), max(longest, starts[1])
		}
		if longest-shortest < 200*time.Millisecond {
			t.Errorf("first pauses of %v to %v: there is no jitter", shortest, longest)
		}
	})
}

func TestDoDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starts, err := tries(t.Context(), storage.Policy{}, fault{transient: true})
		if len(starts) != 8 || starts[7] > 2*time.Minute || starts[1] > 250*time.Millisecond {
			t.Errorf("attempts at %v", starts)
		}
		if !errors.Is(err, fault{transient: true}) || !strings.Contains(err.Error(), "put: fault (after 8 attempts in ") {
			t.Errorf("%v hides the cause", err)
		}
		if storage.IsTransient(err) {
			t.Error("after the last attempt the error asks for more of them")
		}
	})
}

func TestDoEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := storage.Policy{Attempts: 1000, First: time.Second, Longest: time.Second, Total: 10 * time.Second}
		starts, err := tries(t.Context(), policy, fault{transient: true})
		if last := starts[len(starts)-1]; last > 10*time.Second || last < 8*time.Second || len(starts) == 1000 {
			t.Errorf("%d attempts, the last after %v, %v", len(starts), last, err)
		}
		// A wish that the total time cannot grant ends the attempts at once.
		starts, err = tries(t.Context(), policy, fault{transient: true, after: time.Minute})
		if len(starts) != 1 || err == nil || time.Duration(0) != starts[0] {
			t.Errorf("attempts at %v, %v", starts, err)
		}
	})
}

func TestDoWaitsAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := storage.Policy{Attempts: 3, First: time.Millisecond, Longest: time.Second, Total: time.Minute}
		starts, _ := tries(t.Context(), policy, fault{transient: true, after: 7 * time.Second})
		if len(starts) != 3 || starts[1] != 7*time.Second || starts[2] != 14*time.Second {
			t.Errorf("attempts at %v, want one every 7 s", starts)
		}
		starts, _ = tries(t.Context(), policy, fault{transient: true, after: -time.Second})
		if len(starts) != 3 || starts[2] > time.Second {
			t.Errorf("attempts at %v", starts)
		}
	})
}

func TestDoFinalErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, final := range []error{errors.New("no"), fault{transient: false}, ingest.ErrNoPayload, context.Canceled} {
			starts, err := tries(t.Context(), storage.Policy{}, final)
			if len(starts) != 1 || !errors.Is(err, final) {
				t.Errorf("%v: %d attempts, %v", final, len(starts), err)
			}
		}
		calls := 0
		err := storage.Do(t.Context(), storage.Policy{}, func() error {
			if calls++; calls < 3 {
				return fault{transient: true}
			}
			return nil
		})
		if err != nil || calls != 3 {
			t.Errorf("success at the third attempt: %d calls, %v", calls, err)
		}
	})
}

func TestDoStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		policy := storage.Policy{First: 10 * time.Second, Longest: 10 * time.Second, Total: time.Hour}
		start := time.Now()
		starts, err := tries(ctx, policy, fault{transient: true})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "put: fault") || len(starts) != 1 || time.Since(start) != 3*time.Second {
			t.Errorf("ended in a pause: %v after %v, attempts at %v", err, time.Since(start), starts)
		}
		if starts, err = tries(ctx, policy, fault{transient: true}); len(starts) != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended before: %d attempts, %v", len(starts), err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		err = storage.Do(ctx, policy, func() error { cancel(); return fault{transient: true} })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ended in an attempt: %v", err)
		}
	})
}

func TestRetryKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) ingest.Store { return storage.Retry(&storetest.Memory{}, storage.Policy{}) })
}

// TestRetryHidesFaults runs the contract on a store that fails two of five times,
// once before its effect and once after it.
func TestRetryHidesFaults(t *testing.T) {
	policy := storage.Policy{Attempts: 50, First: time.Microsecond, Longest: time.Microsecond}
	storetest.Run(t, func(*testing.T) ingest.Store {
		calls := make(chan int, 1)
		calls <- 0
		hook := func(_ context.Context, call storetest.Call) error {
			n := <-calls
			calls <- n + 1
			if (n%5 == 0 || n%5 == 2) && call.Verb != "Sweep" {
				return fault{transient: true}
			}
			return nil
		}
		return storage.Retry(&storetest.Faulty{Store: &storetest.Memory{}, Hook: hook}, policy)
	})
}

// placing is a store with every ability. Its first call of each verb fails.
type placing struct {
	*storetest.Memory
	calls map[string]int
}

func (p placing) once(verb string) error {
	if p.calls[verb]++; p.calls[verb] == 1 {
		return fault{transient: true}
	}
	return nil
}

func (p placing) PutAt(context.Context, ingest.Position, ingest.Digest, []byte) (ingest.Address, error) {
	return ingest.Address{URI: "put"}, p.once("PutAt")
}

func (p placing) ReplaceAt(_ context.Context, at ingest.Address, _ ingest.Digest, _ []byte) (ingest.Address, error) {
	return at, p.once("ReplaceAt")
}

func (p placing) Probe(context.Context, ingest.Digest, ingest.Address) error { return p.once("Probe") }

func (p placing) Announce(context.Context, string) (time.Time, error) {
	return time.Unix(1, 0), p.once("Announce")
}

func (p placing) Withdraw(context.Context, string, time.Time) error { return p.once("Withdraw") }

func (p placing) PutFile(_ context.Context, _ ingest.Digest, file io.ReaderAt, size int64) (ingest.Address, error) {
	_, err := file.ReadAt(make([]byte, size), 0)
	p.calls["PutFile"]++
	return ingest.Address{URI: "file"}, err
}

// probing is a store that can do all but place.
type probing struct {
	*storetest.Memory
	ingest.Prober
	ingest.Announcer
	ingest.FilePutter
}

type sweepsOnly struct {
	ingest.Store
	ingest.Sweeper
}

// hasTheAbilitiesOfItsStore checks a wrapper with each set of abilities that there is, and with one that there is not.
func hasTheAbilitiesOfItsStore(t *testing.T, wrap func(ingest.Store) ingest.Store) {
	m := &storetest.Memory{}
	for name, test := range map[string]struct {
		store ingest.Store
		want  [6]bool
	}{
		"no ability":        {storetest.Discard{}, [6]bool{}},
		"folder":            {m, [6]bool{true, true, false, false, false, false}},
		"blobs":             {probing{m, placing{}, placing{}, placing{}}, [6]bool{true, true, false, true, true, true}},
		"blobs by position": {placing{Memory: m}, [6]bool{true, true, true, true, true, true}},
	} {
		store := wrap(test.store)
		_, sweeps := store.(ingest.Sweeper)
		_, claims := store.(ingest.Claimer)
		_, places := store.(ingest.Placer)
		_, probes := store.(ingest.Prober)
		_, announces := store.(ingest.Announcer)
		_, files := store.(ingest.FilePutter)
		if got := [6]bool{sweeps, claims, places, probes, announces, files}; got != test.want {
			t.Errorf("%s: sweeps, claims, places, probes, announces, puts files: %v, want %v", name, got, test.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an ability was lost without a word")
		}
	}()
	wrap(sweepsOnly{storetest.Discard{}, m})
}

func TestRetryHasTheAbilitiesOfItsStore(t *testing.T) {
	hasTheAbilitiesOfItsStore(t, func(s ingest.Store) ingest.Store { return storage.Retry(s, storage.Policy{}) })
}

func TestRetryOfAbilities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := placing{&storetest.Memory{}, map[string]int{}}
		s := storage.Retry(p, storage.Policy{})
		at, err := s.(ingest.Placer).PutAt(t.Context(), ingest.Position{}, ingest.Digest{}, nil)
		if err != nil || at.URI != "put" {
			t.Errorf("PutAt: %+v, %v", at, err)
		}
		if again, err := s.(ingest.Placer).ReplaceAt(t.Context(), at, ingest.Digest{}, nil); err != nil || again != at {
			t.Errorf("ReplaceAt: %+v, %v", again, err)
		}
		if err := s.(ingest.Prober).Probe(t.Context(), ingest.Digest{}, at); err != nil {
			t.Errorf("Probe: %v", err)
		}
		if since, err := s.(ingest.Announcer).Announce(t.Context(), "c"); err != nil || since != time.Unix(1, 0) {
			t.Errorf("Announce: %v, %v", since, err)
		}
		if err := s.(ingest.Announcer).Withdraw(t.Context(), "c", time.Unix(1, 0)); err != nil {
			t.Errorf("Withdraw: %v", err)
		}
		if at, err := s.(ingest.FilePutter).PutFile(t.Context(), ingest.Digest{}, strings.NewReader("abc"), 3); err != nil || at.URI != "file" || p.calls["PutFile"] != 1 {
			t.Errorf("PutFile: %+v, %v, %d calls", at, err, p.calls["PutFile"])
		}
		for _, verb := range []string{"PutAt", "ReplaceAt", "Probe", "Announce", "Withdraw"} {
			if p.calls[verb] != 2 {
				t.Errorf("%s was called %d times, want a second time after its fault", verb, p.calls[verb])
			}
		}
	})
}

func TestRetryGivesNothingWithAnError(t *testing.T) {
	m := &storetest.Memory{}
	late := func(_ context.Context, call storetest.Call) error {
		if call.Done {
			return fault{}
		}
		return nil
	}
	s := storage.Retry(&storetest.Faulty{Store: m, Hook: late}, storage.Policy{})
	payload := []byte("payload")
	digest := ingest.Sum(payload)
	address, err := s.Put(t.Context(), digest, payload)
	if err == nil || address != (ingest.Address{}) || m.Counts().Put != 1 {
		t.Errorf("Put: %+v, %v, %d calls", address, err, m.Counts().Put)
	}
	if got, err := s.Get(t.Context(), digest, ingest.Address{Bytes: 7}, nil); err == nil || got != nil {
		t.Errorf("Get: %q, %v", got, err)
	}
}

// A wish to wait that is as long as can be said is not granted.
func TestDoWithAnEndlessWish(t *testing.T) {
	calls := 0
	var gaveUp *storage.GaveUpError
	err := storage.Do(t.Context(), storage.Policy{}, func() error {
		calls++
		return fault{transient: true, after: math.MaxInt64}
	})
	if !errors.As(err, &gaveUp) || calls != 1 {
		t.Errorf("after %d calls: %v", calls, err)
	}
}
