package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Policy limits the attempts of an operation. The zero value suits a store: eight attempts within
// two minutes.
type Policy struct {
	// Attempts is the maximum number of attempts; 0 or less means 8.
	Attempts int
	// First bounds the pause after the first attempt; each later bound is twice the one before. 0
	// or less means 250 ms.
	First time.Duration
	// Longest bounds every pause, unless the error asks for more; 0 or less means 15 s.
	Longest time.Duration
	// Total is how long after the first failure the last attempt may begin; 0 or less means 2
	// minutes. The duration of the first attempt does not count, so that a long operation is
	// retried, too.
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

// Transient is implemented by errors of calls that may succeed later. Other errors are final and
// not retried.
type Transient interface {
	error
	Transient() bool
}

// Delayed is implemented by errors that say how long to wait: an HTTP response with Retry-After.
type Delayed interface {
	error
	// RetryAfter returns the minimum time to wait; 0 or less for no minimum.
	RetryAfter() time.Duration
}

// IsTransient reports whether the first error in err's chain that implements Transient is
// transient.
func IsTransient(err error) bool {
	transient, ok := errors.AsType[Transient](err)
	return ok && transient.Transient()
}

// GaveUpError is returned for an operation that failed until its policy ended.
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

// Transient returns false, so that no caller retries again.
func (e *GaveUpError) Transient() bool { return false }

// Retry is a pause of Do before another attempt.
type Retry struct {
	Attempt, Attempts int           // the attempt that follows, and how many there are at most
	Pause             time.Duration // until it begins
	Err               error         // of the attempt that failed
}

type observerKey struct{}

// WithObserver returns a context under which Do reports each pause before it begins. Several goroutines
// may call observe at once.
func WithObserver(ctx context.Context, observe func(Retry)) context.Context {
	return context.WithValue(ctx, observerKey{}, observe)
}

// Do runs op until it succeeds, fails with an error that is not transient, or policy or ctx ends.
// Drivers retry with it only, and turn the retries of their SDKs off. The error is op's; if ctx
// ended during a pause, it wraps the context's as well.
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
		// An error caused by the end of the context may look transient.
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
		if observe, ok := ctx.Value(observerKey{}).(func(Retry)); ok {
			observe(Retry{Attempt: attempt + 1, Attempts: policy.Attempts, Pause: pause, Err: err})
		}
		if ended := sleep(ctx, pause); ended != nil {
			return both(ended, err)
		}
	}
}

// pause returns a random time between half of the bound and the bound, so that writers that failed
// together do not retry together.
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
	if delayed, ok := errors.AsType[Delayed](err); ok {
		pause = max(pause, delayed.RetryAfter())
	}
	return pause
}

// sleep waits, or returns the context's error if that ends first.
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

// both wraps the context's error and the last attempt's.
func both(ended, last error) error {
	if errors.Is(last, ended) {
		return last
	}
	return fmt.Errorf("%w (last attempt: %w)", ended, last)
}
