package storage

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// CheckClaim refuses a claim whose lease would lapse at once: catalogues count in milliseconds.
func CheckClaim(claim ingest.JobRequest) error {
	if claim.TTL < time.Millisecond {
		return fmt.Errorf("a lease of %s is too short", claim.TTL)
	}
	return nil
}

// Leased is a job as another one meets it.
type Leased struct {
	Job    int64
	Token  int64
	Alone  bool
	status string
	holder *string
	left   *int64 // ms until the lease lapses by the catalogue's clock; nil while nobody holds the job
}

// Fields are where the columns of a job are scanned into: its number, Status,
// LeaseHolder, LeaseToken, the milliseconds that LeaseExpires is away, and LeaseAlone.
// Holder and milliseconds may be NULL.
func (j *Leased) Fields() []any {
	return []any{&j.Job, &j.status, &j.holder, &j.Token, &j.left, &j.Alone}
}

// Holder is the process that holds the job, or did so last.
func (j *Leased) Holder() ingest.Holder {
	if j.holder == nil {
		return ingest.Holder{}
	}
	return ParseHolder(*j.holder)
}

// Left is for how many milliseconds the lease was still good when it was read; nil while nobody holds the job.
func (j *Leased) Left() *int64 { return j.left }

// Busy returns the error for a lease that has to be respected, an *ingest.BusyError, and
// nil for one that nobody holds, that lapsed, or whose holder has ended. gone may be nil.
func (j *Leased) Busy(gone func(ingest.Holder) bool) error {
	if j.left == nil || *j.left <= 0 {
		return nil
	}
	holder := j.Holder()
	if gone != nil && gone(holder) {
		return nil
	}
	return &ingest.BusyError{Job: j.Job, Holder: holder, Until: time.Duration(*j.left) * time.Millisecond}
}

// CheckOpen refuses to continue a job that is closed.
func (j *Leased) CheckOpen() error {
	if j.status != string(ingest.JobOpen) {
		return fmt.Errorf("job %d is %s: there is nothing to continue", j.Job, j.status)
	}
	return nil
}

// CheckTakeable refuses to give the job to claim while another holder's lease has to be
// respected. The holder itself, having lost the answer, may ask again.
func (j *Leased) CheckTakeable(claim ingest.JobRequest) error {
	if j.Holder() == claim.Holder {
		return nil
	}
	return j.Busy(claim.HolderDead)
}

// InTheWay reports whether the job's lease has to be ended before claim can be met: its
// holder is gone, or it lapsed and one of the two is to be alone. It returns the error of
// Busy for one that is to be alone, or beside which claim is, and that is live.
func (j *Leased) InTheWay(claim ingest.JobRequest) (bool, error) {
	if claim.HolderDead != nil && claim.HolderDead(j.Holder()) {
		return true, nil
	}
	if !claim.Exclusive && !j.Alone {
		return false, nil // even if it lapsed: nobody wants it
	}
	err := j.Busy(nil)
	return err == nil, err
}

// FormatHolder returns the value of IngestionJobs.LeaseHolder.
func FormatHolder(holder ingest.Holder) string { return mustJSON(holder) }

// ParseHolder reads what FormatHolder wrote; what it cannot read is nobody.
func ParseHolder(text string) (holder ingest.Holder) {
	_ = json.Unmarshal([]byte(text), &holder)
	return holder
}
