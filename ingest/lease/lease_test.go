package lease_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/lease"
)

// jobs grants held, counts renewals, and returns answers in order.
type jobs struct {
	ingest.Jobs
	answers  []error // of Renew
	renewals int
	busy     error // of Open
	request  ingest.JobRequest
	closing  error // of CloseJob
	outcomes []ingest.Outcome
}

func (j *jobs) Renew(ctx context.Context, _ ingest.Lease) error {
	j.renewals++
	if len(j.answers) == 0 {
		return nil
	}
	answer := j.answers[0]
	j.answers = j.answers[1:]
	if answer == errHangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return answer
}

// errHangs as an answer makes Renew wait until its context ends.
var errHangs = errors.New("hangs")

var held = ingest.Lease{Job: 7, TTL: 30 * time.Second}

// TestKeep: the lease is renewed three times per TTL until end.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &jobs{}
		work, end := lease.Keep(t.Context(), j, held, nil)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if j.renewals != 6 || work.Err() != nil {
			t.Errorf("%d renewals in two TTLs, %v", j.renewals, work.Err())
		}
		end()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if j.renewals != 6 || !errors.Is(work.Err(), context.Canceled) {
			t.Errorf("after the end: %d renewals, %v", j.renewals, work.Err())
		}
	})
}

// TestKeepLoses: a lost lease ends the work with ErrLeaseLost. Other errors are logged and retried.
func TestKeepLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &jobs{answers: []error{errors.New("no answer"), nil, ingest.ErrLeaseLost}}
		var log strings.Builder
		work, end := lease.Keep(t.Context(), j, held, slog.New(slog.NewTextHandler(&log, nil)))
		defer end()
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if work.Err() != nil || !strings.Contains(log.String(), "no answer") {
			t.Errorf("after a failed renewal: %v, logged %q", work.Err(), log.String())
		}
		<-work.Done()
		time.Sleep(time.Minute)
		synctest.Wait()
		if cause := context.Cause(work); !errors.Is(cause, ingest.ErrLeaseLost) || j.renewals != 3 {
			t.Errorf("the work ended with %v after %d renewals", cause, j.renewals)
		}
	})
}

// TestKeepHangs: a renewal that does not return is cancelled, and the next one is in time.
func TestKeepHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &jobs{answers: []error{errHangs}}
		work, end := lease.Keep(t.Context(), j, held, nil)
		defer end()
		time.Sleep(held.TTL - time.Second)
		synctest.Wait()
		if j.renewals < 2 || work.Err() != nil {
			t.Errorf("%d renewals within the TTL, %v", j.renewals, work.Err())
		}
	})
}

// TestKeepCancelled: the cause of work is that of the context.
func TestKeepCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	work, end := lease.Keep(ctx, &jobs{}, held, nil)
	cancel(ingest.ErrInterrupted)
	<-work.Done()
	end()
	if cause := context.Cause(work); !errors.Is(cause, ingest.ErrInterrupted) {
		t.Errorf("the work ended with %v", cause)
	}
}
