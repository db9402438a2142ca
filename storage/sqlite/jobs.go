package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// leased is a job as another one meets it.
type leased struct {
	id     int64
	status string
	holder sql.NullString
	token  int64
	left   sql.NullInt64 // ms until the lease lapses; NULL while nobody holds the job
	alone  bool
}

const leasedColumns = `IngestionJobId, coalesce(Status, ''), LeaseHolder, LeaseToken, LeaseExpiresMs - ` + nowMs + `, LeaseAlone`

func (j *leased) fields() []any {
	return []any{&j.id, &j.status, &j.holder, &j.token, &j.left, &j.alone}
}

// busy returns the error for a lease that has to be respected, and nil for one
// that nobody holds, that lapsed, or whose holder has ended.
func (j *leased) busy(gone func(ingest.Holder) bool) error {
	if !j.left.Valid || j.left.Int64 <= 0 {
		return nil
	}
	holder := parseHolder(j.holder)
	if gone != nil && gone(holder) {
		return nil
	}
	return &ingest.BusyError{Job: j.id, Holder: holder, Until: time.Duration(j.left.Int64) * time.Millisecond}
}

// Open implements ingest.Jobs. Who asks again under the holder that has the lease, having
// lost the answer, gets it anew. A lapsed lease that stands in the way of an
// Alone job, or of which the Alone one stands in the way, is ended: its holder,
// should it wake up, finds ErrLeaseLost. So is the lease of every job whose holder is
// Gone, as Begin would wait for it to lapse. claim.Gone must not use the catalogue.
func (c *Catalog) Open(ctx context.Context, claim ingest.Claim) (ingest.Lease, error) {
	lease := ingest.Lease{TTL: claim.TTL}
	if claim.TTL < time.Millisecond {
		return lease, fmt.Errorf("a lease of %s is too short", claim.TTL)
	}
	err := c.write(ctx, func(tx *tx) error {
		job, err := tx.claimed(claim)
		if err != nil {
			return err
		}
		if job != nil && parseHolder(job.holder) != claim.Holder {
			if err := job.busy(claim.Gone); err != nil {
				return err
			}
		}
		if err := tx.makeWay(claim, job); err != nil {
			return err
		}
		if job == nil {
			lease.Token = 1
			lease.Job, err = tx.startJob(claim)
			return err
		}
		lease.Job, lease.Token, lease.Continued = job.id, job.token+1, true
		return tx.continueJob(claim, lease)
	})
	if err != nil {
		return ingest.Lease{}, err
	}
	return lease, nil
}

// claimed finds the job that claim would continue; nil if it starts one.
func (t *tx) claimed(claim ingest.Claim) (*leased, error) {
	var job leased
	if claim.Job == 0 {
		err := t.one(`SELECT `+leasedColumns+` FROM IngestionJobs
			WHERE PipelineName = ? AND SourceUri = ? AND Status = 'open'`, claim.Pipeline, claim.Source).Scan(job.fields()...)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		return &job, err
	}
	err := t.one(`SELECT `+leasedColumns+` FROM IngestionJobs WHERE IngestionJobId = ?`, claim.Job).Scan(job.fields()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("job %d: %w", claim.Job, ingest.ErrNotFound)
	}
	if err == nil && job.status != string(ingest.JobOpen) {
		return nil, fmt.Errorf("job %d is %s: there is nothing to continue", claim.Job, job.status)
	}
	return &job, err
}

// makeWay ends the leases of holders that are gone, and the lapsed ones of jobs
// that may not run beside claim; it refuses if one of these is live.
func (t *tx) makeWay(claim ingest.Claim, own *leased) error {
	var id int64
	if own != nil {
		id = own.id
	}
	var others []leased
	err := t.each(func(rows *sql.Rows) error {
		var other leased
		err := rows.Scan(other.fields()...)
		others = append(others, other)
		return err
	}, `SELECT `+leasedColumns+` FROM IngestionJobs WHERE LeaseExpiresMs IS NOT NULL AND IngestionJobId <> ?`, id)
	if err != nil {
		return err
	}
	for _, other := range others {
		if claim.Gone == nil || !claim.Gone(parseHolder(other.holder)) {
			if !claim.Alone && !other.alone {
				continue // even if it lapsed: nobody wants it
			}
			if err := other.busy(nil); err != nil {
				return err
			}
		}
		if _, err := t.exec(`UPDATE IngestionJobs SET LeaseToken = LeaseToken + 1, LeaseExpiresMs = NULL
			WHERE IngestionJobId = ?`, other.id); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) startJob(claim ingest.Claim) (int64, error) {
	meta := storage.JobMetadata{Paths: claim.Paths, Options: claim.Options}
	return t.insert(`INSERT INTO IngestionJobs
		(PipelineName, SourceUri, Status, Metadata, StartedAt, LeaseHolder, LeaseToken, LeaseExpiresMs, LeaseAlone)
		VALUES (?, ?, 'open', ?, `+nowText+`, ?, 1, `+nowMs+` + ?, ?)`,
		claim.Pipeline, claim.Source, meta.Encode(), formatHolder(claim.Holder), claim.TTL.Milliseconds(), claim.Alone)
}

// continueJob leases a job to a new holder. What the claim says of paths and
// options replaces what an earlier run said; a resume by number says nothing.
func (t *tx) continueJob(claim ingest.Claim, lease ingest.Lease) error {
	meta, err := t.jobMetadata(lease.Job)
	if err != nil {
		return err
	}
	if claim.Paths != nil {
		meta.Paths = claim.Paths
	}
	if claim.Options != nil {
		meta.Options = claim.Options
	}
	_, err = t.exec(`UPDATE IngestionJobs SET Metadata = ?, LeaseHolder = ?, LeaseToken = ?,
		LeaseExpiresMs = `+nowMs+` + ?, LeaseAlone = ? WHERE IngestionJobId = ?`,
		meta.Encode(), formatHolder(claim.Holder), lease.Token, lease.TTL.Milliseconds(), claim.Alone, lease.Job)
	return err
}

func (t *tx) jobMetadata(job int64) (storage.JobMetadata, error) {
	var text sql.NullString
	if err := t.one(`SELECT Metadata FROM IngestionJobs WHERE IngestionJobId = ?`, job).Scan(&text); err != nil {
		return storage.JobMetadata{}, err
	}
	return storage.ParseJobMetadata(text.String)
}

// hold makes sure that lease has not been taken over. One that lapsed and that
// nobody wanted still holds: whoever takes it changes the token.
func (t *tx) hold(lease ingest.Lease) error {
	var held bool
	err := t.one(`SELECT LeaseExpiresMs IS NOT NULL FROM IngestionJobs WHERE IngestionJobId = ? AND LeaseToken = ?`,
		lease.Job, lease.Token).Scan(&held)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !held {
		return fmt.Errorf("job %d: %w", lease.Job, ingest.ErrLeaseLost)
	}
	return err
}

// Renew implements ingest.Jobs.
func (c *Catalog) Renew(ctx context.Context, lease ingest.Lease) error {
	return c.write(ctx, func(tx *tx) error {
		if err := tx.hold(lease); err != nil {
			return err
		}
		_, err := tx.exec(`UPDATE IngestionJobs SET LeaseExpiresMs = `+nowMs+` + ? WHERE IngestionJobId = ?`,
			lease.TTL.Milliseconds(), lease.Job)
		return err
	})
}

// CloseJob implements ingest.Jobs.
func (c *Catalog) CloseJob(ctx context.Context, lease ingest.Lease, outcome ingest.Outcome) error {
	return c.write(ctx, func(tx *tx) error {
		var again bool
		err := tx.one(`SELECT count(*) > 0 FROM IngestionJobs
			WHERE IngestionJobId = ? AND LeaseToken = ? AND LeaseExpiresMs IS NULL AND Status = ?`,
			lease.Job, lease.Token, outcome.State).Scan(&again)
		if err != nil || again {
			return err
		}
		if err := tx.hold(lease); err != nil {
			return err
		}
		meta, err := tx.jobMetadata(lease.Job)
		if err != nil {
			return err
		}
		meta.Problems = outcome.Problems
		_, err = tx.exec(`UPDATE IngestionJobs SET Status = ?, Metadata = ?, LeaseExpiresMs = NULL, LeaseAlone = 0,
			CompletedAt = iif(? = 'open', NULL, `+nowText+`) WHERE IngestionJobId = ?`,
			outcome.State, meta.Encode(), outcome.State, lease.Job)
		return err
	})
}

func formatHolder(holder ingest.Holder) string {
	text, _ := json.Marshal(holder) // strings and numbers do not fail
	return string(text)
}

// parseHolder reads what formatHolder wrote; what it cannot read is nobody.
func parseHolder(text sql.NullString) (holder ingest.Holder) {
	_ = json.Unmarshal([]byte(text.String), &holder)
	return holder
}
