package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

const leasedColumns = `IngestionJobId, coalesce(Status, ''), LeaseHolder, LeaseToken, LeaseExpiresMs - ` + nowMs + `, LeaseAlone`

// Open implements ingest.Jobs. Who asks again under the holder that has the lease, having
// lost the answer, gets it anew. A lapsed lease that stands in the way of an
// Alone job, or of which the Alone one stands in the way, is ended: its holder,
// should it wake up, finds ErrLeaseLost. So is the lease of every job whose holder is
// Gone, as Begin would wait for it to lapse. claim.Gone must not use the catalogue.
func (c *Catalog) Open(ctx context.Context, claim ingest.JobRequest) (ingest.Lease, error) {
	if err := storage.CheckClaim(claim); err != nil {
		return ingest.Lease{}, err
	}
	lease := ingest.Lease{TTL: claim.TTL}
	err := c.write(ctx, func(tx *tx) error {
		job, err := tx.claimed(claim)
		if err != nil {
			return err
		}
		if job != nil {
			if err := job.CheckTakeable(claim); err != nil {
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
		lease.Job, lease.Token, lease.Continued = job.Job, job.Token+1, true
		return tx.continueJob(claim, lease)
	})
	if err != nil {
		return ingest.Lease{}, err
	}
	return lease, nil
}

// claimed finds the job that claim would continue; nil if it starts one.
func (t *tx) claimed(claim ingest.JobRequest) (*storage.Leased, error) {
	var job storage.Leased
	if claim.Job == 0 {
		err := t.one(`SELECT `+leasedColumns+` FROM IngestionJobs
			WHERE PipelineName = ? AND SourceUri = ? AND Status = 'open'`, claim.Pipeline, claim.Source).Scan(job.Fields()...)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		return &job, err
	}
	err := t.one(`SELECT `+leasedColumns+` FROM IngestionJobs WHERE IngestionJobId = ?`, claim.Job).Scan(job.Fields()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("job %d: %w", claim.Job, ingest.ErrNotFound)
	}
	if err == nil {
		err = job.CheckOpen()
	}
	return &job, err
}

// makeWay ends the leases of holders that are gone, and the lapsed ones of jobs
// that may not run beside claim; it refuses if one of these is live.
func (t *tx) makeWay(claim ingest.JobRequest, own *storage.Leased) error {
	var id int64
	if own != nil {
		id = own.Job
	}
	var others []storage.Leased
	err := t.each(func(rows *sql.Rows) error {
		var other storage.Leased
		err := rows.Scan(other.Fields()...)
		others = append(others, other)
		return err
	}, `SELECT `+leasedColumns+` FROM IngestionJobs WHERE LeaseExpiresMs IS NOT NULL AND IngestionJobId <> ?`, id)
	if err != nil {
		return err
	}
	for _, other := range others {
		inTheWay, err := other.InTheWay(claim)
		if err != nil {
			return err
		}
		if !inTheWay {
			continue
		}
		if _, err := t.exec(`UPDATE IngestionJobs SET LeaseToken = LeaseToken + 1, LeaseExpiresMs = NULL
			WHERE IngestionJobId = ?`, other.Job); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) startJob(claim ingest.JobRequest) (int64, error) {
	meta := storage.JobMetadata{Paths: claim.Paths, Options: claim.Options}
	return t.insert(`INSERT INTO IngestionJobs
		(PipelineName, SourceUri, Status, Metadata, StartedAt, LeaseHolder, LeaseToken, LeaseExpiresMs, LeaseAlone)
		VALUES (?, ?, 'open', ?, `+nowText+`, ?, 1, `+nowMs+` + ?, ?)`,
		claim.Pipeline, claim.Source, meta.Encode(), storage.FormatHolder(claim.Holder), claim.TTL.Milliseconds(), claim.Exclusive)
}

// continueJob leases a job to a new holder.
func (t *tx) continueJob(claim ingest.JobRequest, lease ingest.Lease) error {
	meta, err := t.jobMetadata(lease.Job)
	if err != nil {
		return err
	}
	meta.Continue(claim)
	_, err = t.exec(`UPDATE IngestionJobs SET Metadata = ?, LeaseHolder = ?, LeaseToken = ?,
		LeaseExpiresMs = `+nowMs+` + ?, LeaseAlone = ? WHERE IngestionJobId = ?`,
		meta.Encode(), storage.FormatHolder(claim.Holder), lease.Token, lease.TTL.Milliseconds(), claim.Exclusive, lease.Job)
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
