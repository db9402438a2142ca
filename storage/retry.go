package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Policy says how often and how long an operation is tried. The zero value is
// right for a store: eight attempts within two minutes.
type Policy struct {
	// Attempts is the most times that the operation runs; 0 or less means 8.
	Attempts int
	// First is the pause after the first attempt, at most; each later one may be twice
	// as long as the one before. 0 or less means 250 ms.
	First time.Duration
	// Longest is the most that a pause may last, unless the error asks for more;
	// 0 or less means 15 s.
	Longest time.Duration
	// Total is how long after the first failure the last attempt may begin; 0 or less means 2 minutes. How long
	// the first attempt took does not count: what takes long may fail, too, and be tried again.
	Total time.Duration
}

func (p Policy) withDefaults() Policy {
	if p.Attempts <= 0 {
		p.Attempts = 8
	}
	if p.First <= 0 {
		p.First = 250 * time.Millisecond
	}
	if p.Longest <= 0 {
		p.Longest = 15 * time.Second
	}
	if p.Total <= 0 {
		p.Total = 2 * time.Minute
	}
	return p
}

// Transient is what an error satisfies whose driver knows that the same call
// may succeed later. An error that does not is final: nothing else is tried again.
type Transient interface {
	error
	Transient() bool
}

// Delayed is what an error satisfies that says how long to wait: an HTTP answer
// with a Retry-After.
type Delayed interface {
	error
	// RetryAfter returns the least time to wait; 0 or less for no wish.
	RetryAfter() time.Duration
}

// IsTransient reports whether err, or the first error in its chain that says so, is transient.
func IsTransient(err error) bool {
	says, ok := errors.AsType[Transient](err)
	return ok && says.Transient()
}

// GaveUpError says that an operation failed until its policy came to an end.
type GaveUpError struct {
	Attempts int
	Elapsed  time.Duration
	Err      error // of the last attempt
}

func (e *GaveUpError) Error() string {
	return fmt.Sprintf("%v (after %d attempts in %s)", e.Err, e.Attempts, e.Elapsed.Round(100*time.Millisecond))
}

// Unwrap returns the error of the last attempt.
func (e *GaveUpError) Unwrap() error { return e.Err }

// Transient is false: a caller that calls Do again on this error would be a second loop.
func (e *GaveUpError) Transient() bool { return false }

// Do runs op until it succeeds, fails with an error that is not transient, or
// the policy or ctx ends. It is the only loop of its kind in the project: a
// driver turns its SDK's own retries off. The error is that of op; when ctx ended
// during a pause, it is the context's as well.
func Do(ctx context.Context, policy Policy, op func() error) error {
	policy = policy.withDefaults()
	start, failed := time.Now(), time.Time{}
	for attempt := 1; ; attempt++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := op()
		if err == nil || !IsTransient(err) {
			return err
		}
		// A call that ran into the context's end looks transient, and is not.
		if ended := ctx.Err(); ended != nil {
			return both(ended, err)
		}
		if attempt == 1 {
			failed = time.Now()
		}
		pause := policy.pause(attempt, err)
		if attempt >= policy.Attempts || pause > policy.Total-time.Since(failed) { // a sum could overflow
			return &GaveUpError{Attempts: attempt, Elapsed: time.Since(start), Err: err}
		}
		if ended := sleep(ctx, pause); ended != nil {
			return both(ended, err)
		}
	}
}

// pause returns how long to wait after an attempt: a random time between half of
// the bound and the bound, so that writers that failed together do not come back together.
func (p Policy) pause(attempt int, err error) time.Duration {
	bound := p.First
	for range attempt - 1 {
		if bound >= p.Longest {
			break
		}
		bound *= 2
	}
	bound = min(bound, p.Longest)
	pause := bound/2 + rand.N(bound/2+1)
	if says, ok := errors.AsType[Delayed](err); ok {
		pause = max(pause, says.RetryAfter())
	}
	return pause
}

// sleep waits, or returns the context's error when that ends first.
func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// both is the context's error, with the last attempt's for the person who reads it.
func both(ended, last error) error {
	if errors.Is(last, ended) {
		return last
	}
	return fmt.Errorf("%w (last attempt: %w)", ended, last)
}
