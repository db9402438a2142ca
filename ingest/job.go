package ingest

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Jobs keeps the runs. A job belongs to one process at a time: the one that
// holds its lease. Time is the database's, so the clocks of machines do not matter.
type Jobs interface {
	// Open starts a job over a source, or continues the one over the same source that
	// was left open, and leases it for claim.TTL. If a live process holds it,
	// the error is a *BusyError.
	Open(ctx context.Context, claim JobRequest) (Lease, error)
	// Renew prolongs the lease by its TTL from now; ErrLeaseLost if another has taken it over.
	Renew(ctx context.Context, lease Lease) error
	// CloseJob ends the lease. With outcome JobOpen the job stays to be continued.
	CloseJob(ctx context.Context, lease Lease, outcome Outcome) error
	// Job returns one job; ErrNotFound, wrapped, if there is none.
	Job(ctx context.Context, id int64) (Job, error)
	// AllJobs yields jobs by ID.
	AllJobs(ctx context.Context) iter.Seq2[Job, error]
}

// Claim asks for a job.
type JobRequest struct {
	Job      int64  // 0, or the job that is to be continued
	Pipeline string // "models", "gc", ...
	Source   string // the paths as given, made absolute, joined; one open job for each
	Paths    []string
	Options  map[string]string // what a continuation needs to know
	Holder   Holder
	TTL      time.Duration
	// Alone asks that no other job be live, and none start, while this one is.
	Exclusive bool
	// Gone says whether a holder is known to have ended, so that its lease need not be waited for.
	HolderDead func(Holder) bool
}

// Holder names a process: enough to say whether it still runs, on its own machine.
type Holder struct {
	Host    string `json:"host"`    // name of the machine, with what tells its restarts and containers apart
	Process int    `json:"process"` // process ID
	Started int64  `json:"started"` // when the process started, in a unit of the system's; 0 if not known
}

func (h Holder) String() string { return fmt.Sprintf("process %d on %s", h.Process, h.Host) }

// Lease is the right to work on a job.
type Lease struct {
	Job   int64
	Token int64 // grows with each taking over; what an older holder writes is refused
	TTL   time.Duration
	// Continued is set if the job was begun by an earlier run.
	Continued bool
}

// JobState is where a job stands.
type JobState string

// The states of a job, as IngestionJobs.Status has them.
const (
	JobOpen     JobState = "open"
	JobComplete JobState = "complete"
	JobFailed   JobState = "failed"
)

// Outcome is how a run ended.
type Outcome struct {
	State    JobState
	Problems []Problem
}

// Problem is one file that was refused or failed, and why.
type Problem struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Job is a job as `status` prints it.
type Job struct {
	ID        int64
	Pipeline  string
	Source    string
	Paths     []string
	Options   map[string]string
	State     JobState
	Started   time.Time
	Completed time.Time // zero while it is open
	Holder    Holder
	Live      bool // its lease has not lapsed
	Problems  []Problem
}

// BusyError says who is at work. It is ErrBusy.
type BusyError struct {
	Job    int64
	Holder Holder
	Until  time.Duration // at most this long until the lease lapses, if it is not renewed
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("job %d is being worked on by %s (its lease lapses in %s unless it is renewed)",
		e.Job, e.Holder, e.Until.Round(time.Second))
}

// Is makes errors.Is(err, ErrBusy) true.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }
