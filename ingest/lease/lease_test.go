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

// jobs answers renewals, one after the other, and counts them.
type jobs struct {
	ingest.Jobs
	answers  []error
	renewals int
}

func (j *jobs) Renew(context.Context, ingest.Lease) error {
	j.renewals++
	if len(j.answers) == 0 {
		return nil
	}
	answer := j.answers[0]
	j.answers = j.answers[1:]
	return answer
}

var held = ingest.Lease{Job: 7, TTL: 30 * time.Second}

// TestKeep: the lease is renewed three times in its TTL, until the end and no longer.
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

// TestKeepLoses: a lease that was lost ends the work, and says so; a renewal that fails otherwise
// is told and tried again.
func TestKeepLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &jobs{answers: []error{errors.New("no answer"), nil, ingest.ErrLeaseLost}}
		var told strings.Builder
		work, end := lease.Keep(t.Context(), j, held, slog.New(slog.NewTextHandler(&told, nil)))
		defer end()
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if work.Err() != nil || !strings.Contains(told.String(), "no answer") {
			t.Errorf("after a renewal that failed: %v, told %q", work.Err(), told.String())
		}
		<-work.Done()
		time.Sleep(time.Minute)
		synctest.Wait()
		if cause := context.Cause(work); !errors.Is(cause, ingest.ErrLeaseLost) || j.renewals != 3 {
			t.Errorf("the work ended with %v after %d renewals", cause, j.renewals)
		}
	})
}

// TestKeepEndsWithItsContext: the cause is that of the context.
func TestKeepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	work, end := lease.Keep(ctx, &jobs{}, held, nil)
	cancel(ingest.ErrInterrupted)
	<-work.Done()
	end()
	if cause := context.Cause(work); !errors.Is(cause, ingest.ErrInterrupted) {
		t.Errorf("the work ended with %v", cause)
	}
}
