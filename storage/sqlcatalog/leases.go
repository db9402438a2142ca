package sqlcatalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// checkRequest returns an error for a request that does not say which job, and for a lease shorter
// than a millisecond, the catalogues' resolution.
func checkRequest(request ingest.JobRequest) error {
	if request.Job == 0 && (request.Pipeline == "" || request.Source == "") {
		return errors.New("job request without a pipeline or a source")
	}
	if request.TTL < time.Millisecond {
		return fmt.Errorf("a lease of %s is too short", request.TTL)
	}
	return nil
}

// leased is a job and its lease.
type leased struct {
	Job       int64
	Token     int64
	Exclusive bool
	status    string
	holder    *string
	left      *int64 // ms until the lease expires by the catalogue's clock; nil if there is no lease
}

// fields are the scan targets for the columns of a job: number, Status, LeaseHolder, LeaseToken,
// the milliseconds until LeaseExpires, and LeaseAlone. Holder and milliseconds may be NULL.
func (j *leased) fields() []any {
	return []any{&j.Job, &j.status, &j.holder, &j.Token, &j.left, &j.Exclusive}
}

// heldBy returns the process that holds the job, or held it last.
func (j *leased) heldBy() ingest.Holder {
	if j.holder == nil {
		return ingest.Holder{}
	}
	return parseHolder(*j.holder)
}

// busy returns an *ingest.BusyError for a live lease. It returns nil if there is no lease, it has
// expired, or dead reports that its holder is dead. dead may be nil.
func (j *leased) busy(dead func(ingest.Holder) bool) error {
	if j.left == nil || *j.left <= 0 {
		return nil
	}
	holder := j.heldBy()
	if dead != nil && dead(holder) {
		return nil
	}
	return &ingest.BusyError{Job: j.Job, Holder: holder, Until: time.Duration(*j.left) * time.Millisecond}
}

// checkOpen returns an error if the job is closed.
func (j *leased) checkOpen() error {
	if j.status != string(ingest.JobOpen) {
		return fmt.Errorf("job %d is %s: nothing to resume", j.Job, j.status)
	}
	return nil
}

// checkTakeable returns an error if another holder's lease is live. The holder itself may ask
// again, having lost the answer.
func (j *leased) checkTakeable(request ingest.JobRequest) error {
	if j.heldBy() == request.Holder {
		return nil
	}
	return j.busy(request.HolderDead)
}

// inTheWay reports whether the lease must be revoked before request can be granted: its holder is
// dead, or it has expired and one of the two jobs is exclusive. It returns an error if one of the
// two is exclusive and the lease is live.
func (j *leased) inTheWay(request ingest.JobRequest) (bool, error) {
	if request.HolderDead != nil && request.HolderDead(j.heldBy()) {
		return true, nil
	}
	if !request.Exclusive && !j.Exclusive {
		return false, nil // no conflict, even if it is live
	}
	err := j.busy(nil)
	return err == nil, err
}

// formatHolder returns the value of IngestionJobs.LeaseHolder.
func formatHolder(holder ingest.Holder) string { return mustJSON(holder) }

// parseHolder reads what formatHolder wrote. It returns the zero Holder for other texts.
func parseHolder(text string) (holder ingest.Holder) {
	_ = json.Unmarshal([]byte(text), &holder)
	return holder
}
