package lease_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/lease"
)

func (j *jobs) Open(_ context.Context, request ingest.JobRequest) (ingest.Lease, error) {
	j.request = request
	return held, j.busy
}

func (j *jobs) CloseJob(ctx context.Context, _ ingest.Lease, outcome ingest.Outcome) error {
	j.outcomes = append(j.outcomes, outcome)
	return errors.Join(ctx.Err(), j.closing)
}

// TestRun: the job is closed with the outcome of work's error, which Run returns.
func TestRun(t *testing.T) {
	failed := errors.New("failed")
	for _, test := range []struct {
		work  error
		state ingest.JobState
	}{{nil, ingest.JobComplete}, {failed, ingest.JobFailed}, {ingest.ErrInterrupted, ingest.JobOpen}} {
		j := &jobs{}
		err := lease.Run(t.Context(), j, ingest.JobRequest{Source: "s"}, nil,
			func(_ context.Context, l ingest.Lease) error {
				if l != held || len(j.outcomes) > 0 {
					t.Errorf("work has the lease %+v, and %d jobs are closed", l, len(j.outcomes))
				}
				return test.work
			}, nil)
		if err != test.work && !errors.Is(err, test.work) || len(j.outcomes) != 1 || j.outcomes[0].State != test.state {
			t.Errorf("%v: error is %v, outcomes %+v", test.work, err, j.outcomes)
		}
		if r := j.request; r.Source != "s" || r.TTL != lease.DefaultTTL || r.Holder != ingest.ThisProcess() ||
			r.HolderDead == nil {
			t.Errorf("the job was opened with %+v", r)
		}
	}
}

// TestRunOutcome: the caller's outcome gets work's error.
func TestRunOutcome(t *testing.T) {
	j, failed := &jobs{}, errors.New("failed")
	want := ingest.Outcome{State: ingest.JobOpen}
	err := lease.Run(t.Context(), j, ingest.JobRequest{}, nil,
		func(context.Context, ingest.Lease) error { return failed },
		func(err error) ingest.Outcome {
			if err != failed {
				t.Errorf("the outcome is that of %v", err)
			}
			return want
		})
	if !errors.Is(err, failed) || len(j.outcomes) != 1 || j.outcomes[0].State != want.State {
		t.Errorf("error is %v, outcomes %+v", err, j.outcomes)
	}
}

// TestRunBusy: without a lease, Run calls neither work nor CloseJob.
func TestRunBusy(t *testing.T) {
	j := &jobs{busy: &ingest.BusyError{Job: 7}}
	err := lease.Run(t.Context(), j, ingest.JobRequest{}, nil, func(context.Context, ingest.Lease) error {
		t.Error("work was called")
		return nil
	}, nil)
	if !errors.Is(err, ingest.ErrBusy) || len(j.outcomes) != 0 {
		t.Errorf("error is %v, outcomes %+v", err, j.outcomes)
	}
}

// TestRunClosing: Run returns an error of CloseJob, but not ErrLeaseLost: the work is done, and the
// process that took over the job closes it.
func TestRunClosing(t *testing.T) {
	broken := errors.New("broken")
	for closing, want := range map[error]error{ingest.ErrLeaseLost: nil, broken: broken} {
		err := lease.Run(t.Context(), &jobs{closing: closing}, ingest.JobRequest{}, nil,
			func(context.Context, ingest.Lease) error { return nil }, nil)
		if !errors.Is(err, want) {
			t.Errorf("%v: error is %v", closing, err)
		}
	}
}

// TestRunEnds: if the lease is lost or ctx ends during the work, the error says so, and the job is
// closed nevertheless.
func TestRunEnds(t *testing.T) {
	wait := func(ctx context.Context, _ ingest.Lease) error {
		<-ctx.Done()
		return ctx.Err()
	}
	synctest.Test(t, func(t *testing.T) {
		j := &jobs{answers: []error{ingest.ErrLeaseLost}}
		if err := lease.Run(t.Context(), j, ingest.JobRequest{}, nil, wait, nil); !errors.Is(err, ingest.ErrLeaseLost) {
			t.Errorf("the lease was lost, and the error is %v", err)
		}
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ingest.ErrInterrupted)
	j := &jobs{}
	err := lease.Run(ctx, j, ingest.JobRequest{}, nil, wait, nil)
	if !errors.Is(err, ingest.ErrInterrupted) || errors.Is(err, context.Canceled) || len(j.outcomes) != 1 ||
		j.outcomes[0].State != ingest.JobOpen || len(j.outcomes[0].Problems) != 1 {
		t.Errorf("error is %v, outcomes %+v", err, j.outcomes)
	}
}
