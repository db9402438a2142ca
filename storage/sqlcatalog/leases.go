package sqlcatalog

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// checkRequest refuses a claim whose lease would lapse at once: catalogues count in milliseconds.
func checkRequest(claim ingest.JobRequest) error {
	if claim.TTL < time.Millisecond {
		return fmt.Errorf("a lease of %s is too short", claim.TTL)
	}
	return nil
}

// leased is a job as another one meets it.
type leased struct {
	Job    int64
	Token  int64
	Alone  bool
	status string
	holder *string
	left   *int64 // ms until the lease lapses by the catalogue's clock; nil while nobody holds the job
}

// fields are where the columns of a job are scanned into: its number, Status,
// LeaseHolder, LeaseToken, the milliseconds that LeaseExpires is away, and LeaseAlone.
// Holder and milliseconds may be NULL.
func (j *leased) fields() []any {
	return []any{&j.Job, &j.status, &j.holder, &j.Token, &j.left, &j.Alone}
}

// heldBy is the process that holds the job, or did so last.
func (j *leased) heldBy() ingest.Holder {
	if j.holder == nil {
		return ingest.Holder{}
	}
	return parseHolder(*j.holder)
}

// remaining is for how many milliseconds the lease was still good when it was read; nil while nobody holds the job.
func (j *leased) remaining() *int64 { return j.left }

// busy returns the error for a lease that has to be respected, an *ingest.BusyError, and
// nil for one that nobody holds, that lapsed, or whose holder has ended. gone may be nil.
func (j *leased) busy(gone func(ingest.Holder) bool) error {
	if j.left == nil || *j.left <= 0 {
		return nil
	}
	holder := j.heldBy()
	if gone != nil && gone(holder) {
		return nil
	}
	return &ingest.BusyError{Job: j.Job, Holder: holder, Until: time.Duration(*j.left) * time.Millisecond}
}

// checkOpen refuses to continue a job that is closed.
func (j *leased) checkOpen() error {
	if j.status != string(ingest.JobOpen) {
		return fmt.Errorf("job %d is %s: there is nothing to continue", j.Job, j.status)
	}
	return nil
}

// checkTakeable refuses to give the job to claim while another holder's lease has to be
// respected. The holder itself, having lost the answer, may ask again.
func (j *leased) checkTakeable(claim ingest.JobRequest) error {
	if j.heldBy() == claim.Holder {
		return nil
	}
	return j.busy(claim.HolderDead)
}

// inTheWay reports whether the job's lease has to be ended before claim can be met: its
// holder is gone, or it lapsed and one of the two is to be alone. It returns the error of
// Busy for one that is to be alone, or beside which claim is, and that is live.
func (j *leased) inTheWay(claim ingest.JobRequest) (bool, error) {
	if claim.HolderDead != nil && claim.HolderDead(j.heldBy()) {
		return true, nil
	}
	if !claim.Exclusive && !j.Alone {
		return false, nil // even if it lapsed: nobody wants it
	}
	err := j.busy(nil)
	return err == nil, err
}

// formatHolder returns the value of IngestionJobs.LeaseHolder.
func formatHolder(holder ingest.Holder) string { return mustJSON(holder) }

// parseHolder reads what formatHolder wrote; what it cannot read is nobody.
func parseHolder(text string) (holder ingest.Holder) {
	_ = json.Unmarshal([]byte(text), &holder)
	return holder
}
