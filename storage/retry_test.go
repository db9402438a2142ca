package storage_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
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
			if gaveUp, ok := errors.AsType[*storage.GaveUpError](err); !ok || gaveUp.Attempts != 7 ||
				len(starts) != 7 || starts[0] != 0 {
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
		if !errors.Is(err, fault{transient: true}) || !strings.Contains(err.Error(),
			"put: fault (after 8 attempts in ") {
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
		for _, final := range []error{errors.New("no"), fault{transient: false}, ingest.ErrNoPayload,
			context.Canceled} {
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
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "put: fault") ||
			len(starts) != 1 || time.Since(start) != 3*time.Second {
			t.Errorf("ended in a pause: %v after %v, attempts at %v", err, time.Since(start), starts)
		}
		if starts, err = tries(ctx, policy, fault{transient: true}); len(starts) != 0 ||
			!errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended before: %d attempts, %v", len(starts), err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		err = storage.Do(ctx, policy, func() error { cancel(); return fault{transient: true} })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ended in an attempt: %v", err)
		}
	})
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

// TestObserver: Do reports each pause with the number of the next attempt, and not the last failure.
func TestObserver(t *testing.T) {
	var seen []string
	ctx := storage.WithObserver(t.Context(), func(r storage.Retry) {
		seen = append(seen, fmt.Sprintf("%d/%d %v %t", r.Attempt, r.Attempts, r.Err, r.Pause > 0))
	})
	_, err := tries(ctx, storage.Policy{Attempts: 3, First: 2 * time.Microsecond}, fault{transient: true})
	if want := []string{"2/3 put: fault true", "3/3 put: fault true"}; err == nil || !slices.Equal(seen, want) {
		t.Errorf("%q, want %q; %v", seen, want, err)
	}
}
