package ingest

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Jobs keeps the runs. A job belongs to one process at a time: the one that holds its lease. The
// database's clock counts, so the clocks of the machines do not matter.
type Jobs interface {
	// Open starts a job over a source, or resumes the open one over the same source, and leases it
	// for request.TTL. If a live process holds it, the error is a *BusyError. Without request.Job,
	// it refuses an empty Pipeline or Source.
	Open(ctx context.Context, request JobRequest) (Lease, error)
	// Renew extends the lease to TTL from now; ErrLeaseLost if another process took over the job.
	Renew(ctx context.Context, lease Lease) error
	// CloseJob ends the lease. With outcome JobOpen, the job can be resumed.
	CloseJob(ctx context.Context, lease Lease, outcome Outcome) error
	// Job returns one job; ErrNotFound, wrapped, if there is none.
	Job(ctx context.Context, id int64) (Job, error)
	// AllJobs yields jobs by ID.
	AllJobs(ctx context.Context) iter.Seq2[Job, error]
}

// JobRequest asks for a job.
type JobRequest struct {
	Job      int64  // 0, or the job to resume
	Pipeline string // "models", "gc", ...; not empty
	// Source identifies the work. A request with the Pipeline and Source of an open job resumes
	// that job, so Source must differ for different files: models joins the absolute paths. It
	// must not be empty.
	Source  string
	Paths   []string
	Options map[string]string // what a later run needs to resume
	Holder  Holder
	TTL     time.Duration
	// Exclusive requests that no other job is live, and none starts, during this one.
	Exclusive bool
	// HolderDead reports whether a holder is known to have ended. Its lease then counts as expired.
	HolderDead func(Holder) bool
}

// Holder identifies a process, so that its own machine can tell whether it still runs.
type Holder struct {
	Host    string `json:"host"`    // host name, boot and container
	Process int    `json:"process"` // process ID
	Started int64  `json:"started"` // when the process started, in a unit of the operating system
}

func (h Holder) String() string {
	machine, _, _ := strings.Cut(h.Host, bootMark)
	return fmt.Sprintf("process %d on %s", h.Process, machine)
}

// bootMark separates the host name in Holder.Host from the boot and the container.
const bootMark = " boot "

// Lease is the right to work on a job.
type Lease struct {
	Job   int64
	Token int64 // grows when another process takes over; writes with an older one fail
	TTL   time.Duration
	// Continued is set if an earlier run started the job.
	Continued bool
}

// JobState is the state of a job.
type JobState string

// The states of a job, as in IngestionJobs.Status.
const (
	JobOpen     JobState = "open"
	JobComplete JobState = "complete"
	JobFailed   JobState = "failed"
	// JobPartial is a failed job of which something succeeded: the others were refused. It is read, and
	// never written: Status is failed, which other programs know.
	JobPartial JobState = "partial"
)

// Outcome is how a run ended.
type Outcome struct {
	State      JobState // not JobPartial
	Problems   []Problem
	Succeeded  int64 // models, payloads or objects; more than 0 makes a failed job JobPartial
	BytesSaved int64 // by encoding payloads, in this run
}

// Problem is one file that was refused or failed, and why.
type Problem struct {
	Path   string `json:"path"`   // of the file; empty if the problem is not one of a file
	Reason string `json:"reason"` // why; it does not repeat the path
}

// Job is a job as status prints it.
type Job struct {
	ID        int64
	Pipeline  string
	Source    string
	Paths     []string
	Options   map[string]string
	State     JobState
	Started   time.Time
	Completed time.Time // zero while the job is open
	Holder    Holder
	Live      bool // the lease has not expired
	Problems  []Problem
	// BytesSaved is how many bytes the job's runs saved by encoding payloads.
	BytesSaved int64
}

// BusyError says which process works on a job. It is ErrBusy.
type BusyError struct {
	Job    int64
	Holder Holder
	Until  time.Duration // time until the lease expires unless it is renewed
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%s is working on job %d (its lease expires in %s unless it is renewed)", e.Holder, e.Job,
		e.Until.Round(time.Second))
}

// Is makes errors.Is(err, ErrBusy) true.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }
