package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// selectLeased reads jobs by the server's clock, so that those of machines do not matter.
const selectLeased = `SELECT j.IngestionJobId, COALESCE(j.Status, N''), j.LeaseHolder, COALESCE(j.LeaseToken, 0),
	DATEDIFF_BIG(millisecond, SYSUTCDATETIME(), j.LeaseExpires), COALESCE(j.LeaseAlone, 0) FROM dbo.IngestionJobs AS j `

// lockJobs lets one process at a time open a job: whether another may start is a question about
// all rows, those included that are not there yet. The lock ends with the transaction.
const lockJobs = `/* ingest: lock-jobs */ DECLARE @got int;
EXEC @got = sp_getapplock @Resource = N'ingest:jobs', @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 30000;
IF @got = -1 THROW 51002, N'another process has been opening a job for half a minute', 1;
IF @got < 0 THROW 51003, N'the lock of jobs was not to be had: a deadlock, or the request was cancelled', 1;`

// Open implements ingest.Jobs. Who asks again under the holder that has the lease, having
// lost the answer, gets it anew. A lapsed lease that stands in the way of an
// Alone job, or of which the Alone one stands in the way, is ended: its holder,
// should it wake up, finds ErrLeaseLost. claim.Gone must not use the catalogue.
func (c *Catalog) Open(ctx context.Context, claim ingest.JobRequest) (ingest.Lease, error) {
	if err := storage.CheckClaim(claim); err != nil {
		return ingest.Lease{}, err
	}
	var lease ingest.Lease
	err := c.write(ctx, func(tx *tx) error {
		lease = ingest.Lease{TTL: claim.TTL}
		if err := tx.exec(lockJobs); err != nil {
			return err
		}
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
		return tx.continueJob(claim, lease, job)
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
		err := t.one(`/* ingest: claimed-source */ `+selectLeased+`
			INNER JOIN dbo.IngestionJobKeys AS k ON k.IngestionJobId = j.IngestionJobId WHERE k.KeyHash = @p1`,
			keyOf(claim.Pipeline, claim.Source)).Scan(job.Fields()...)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		return &job, err
	}
	err := t.one(`/* ingest: claimed-job */ `+selectLeased+`WHERE j.IngestionJobId = @p1`, claim.Job).Scan(job.Fields()...)
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
	}, `/* ingest: leased-jobs */ `+selectLeased+`WHERE j.LeaseExpires IS NOT NULL AND j.IngestionJobId <> @p1`, id)
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
		if err := t.changeLease(&other, `/* ingest: end-lease */ UPDATE dbo.IngestionJobs SET LeaseToken = @p2 + 1, LeaseExpires = NULL`); err != nil {
			return err
		}
	}
	return nil
}

// changeLease changes the lease of a job, if it is as it was read. Whoever renews or closes it does not take the
// lock of those that open jobs: one that is good for longer now was renewed, and one with another token is closed
// or taken over. Then look again. Of update, @p1 to @p3 are the job, its token and how long its lease was good for.
func (t *tx) changeLease(job *storage.Leased, update string, args ...any) error {
	n, err := t.change(update+` WHERE IngestionJobId = @p1 AND COALESCE(LeaseToken, 0) = @p2
			AND (@p3 IS NULL AND LeaseExpires IS NULL OR DATEDIFF_BIG(millisecond, SYSUTCDATETIME(), LeaseExpires) <= @p3)`,
		append([]any{job.Job, job.Token, nullInt(job.Left())}, args...)...)
	if err == nil && n == 0 {
		err = raceError(fmt.Sprintf("the lease of job %d changed meanwhile", job.Job))
	}
	return err
}

// nullInt is a number or NULL as a parameter: not every engine takes a NULL that has no type.
func nullInt(n *int64) sql.NullInt64 {
	if n == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: *n, Valid: true}
}

func (t *tx) startJob(claim ingest.JobRequest) (int64, error) {
	source, sourceExact := t.c.columns.fit("IngestionJobs.SourceUri", claim.Source)
	meta := storage.JobMetadata{Paths: claim.Paths, Options: claim.Options}
	text, textExact := t.c.columns.fit("IngestionJobs.Metadata", meta.Encode())
	id, err := t.insert(`/* ingest: start-job */ INSERT INTO dbo.IngestionJobs (PipelineName, SourceUri, SourceUriExact, Status, Metadata, MetadataExact,
			StartedAt, LeaseHolder, LeaseToken, LeaseExpires, LeaseAlone)
		VALUES (@p1, @p2, @p3, N'open', `+t.c.columns.json("IngestionJobs.Metadata", "@p4")+`, @p5,
			SYSUTCDATETIME(), @p6, 1, DATEADD(millisecond, @p7, SYSUTCDATETIME()), @p8)`,
		claim.Pipeline, source, sourceExact, text, textExact, storage.FormatHolder(claim.Holder), milliseconds(claim.TTL), claim.Exclusive)
	if err != nil {
		return 0, err
	}
	err = t.exec(`/* ingest: start-job-key */ INSERT INTO dbo.IngestionJobKeys (KeyHash, IngestionJobId) VALUES (@p1, @p2)`,
		keyOf(claim.Pipeline, claim.Source), id)
	return id, err
}

// milliseconds is a lease as DATEADD takes it: at most 24 days.
func milliseconds(ttl time.Duration) int32 { return int32(min(ttl.Milliseconds(), 1<<31-1)) }

// continueJob leases a job to a new holder.
func (t *tx) continueJob(claim ingest.JobRequest, lease ingest.Lease, job *storage.Leased) error {
	meta, err := t.jobMetadata(lease.Job)
	if err != nil {
		return err
	}
	meta.Continue(claim)
	text, textExact := t.c.columns.fit("IngestionJobs.Metadata", meta.Encode())
	return t.changeLease(job, `/* ingest: continue-job */ UPDATE dbo.IngestionJobs
		SET Metadata = `+t.c.columns.json("IngestionJobs.Metadata", "@p4")+`, MetadataExact = @p5, LeaseHolder = @p6, LeaseToken = @p2 + 1,
			LeaseExpires = DATEADD(millisecond, @p7, SYSUTCDATETIME()), LeaseAlone = @p8`,
		text, textExact, storage.FormatHolder(claim.Holder), milliseconds(lease.TTL), claim.Exclusive)
}

func (t *tx) jobMetadata(job int64) (storage.JobMetadata, error) {
	var text exact
	err := t.one(`/* ingest: job-metadata */ SELECT CONVERT(nvarchar(max), Metadata), MetadataExact FROM dbo.IngestionJobs WHERE IngestionJobId = @p1`,
		job).Scan(&text.text, &text.bytes)
	if err != nil {
		return storage.JobMetadata{}, err
	}
	return storage.ParseJobMetadata(string(text.json()))
}

// Renew implements ingest.Jobs.
func (c *Catalog) Renew(ctx context.Context, lease ingest.Lease) error {
	return c.write(ctx, func(tx *tx) error {
		n, err := tx.change(`/* ingest: renew */ UPDATE dbo.IngestionJobs SET LeaseExpires = DATEADD(millisecond, @p3, SYSUTCDATETIME())
			WHERE IngestionJobId = @p1 AND LeaseToken = @p2 AND LeaseExpires IS NOT NULL`, lease.Job, lease.Token, milliseconds(lease.TTL))
		if err == nil && n == 0 {
			err = fmt.Errorf("job %d: %w", lease.Job, ingest.ErrLeaseLost)
		}
		return err
	})
}

// CloseJob implements ingest.Jobs.
func (c *Catalog) CloseJob(ctx context.Context, lease ingest.Lease, outcome ingest.Outcome) error {
	return c.write(ctx, func(tx *tx) error {
		var again int
		err := tx.one(`/* ingest: job-closed */ SELECT COUNT(*) FROM dbo.IngestionJobs
			WHERE IngestionJobId = @p1 AND LeaseToken = @p2 AND LeaseExpires IS NULL AND Status = @p3`,
			lease.Job, lease.Token, string(outcome.State)).Scan(&again)
		if err != nil || again > 0 {
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
		return tx.closeJob(lease, outcome.State, meta)
	})
}

func (t *tx) closeJob(lease ingest.Lease, state ingest.JobState, meta storage.JobMetadata) error {
	text, textExact := t.c.columns.fit("IngestionJobs.Metadata", meta.Encode())
	n, err := t.change(`/* ingest: close-job */ UPDATE dbo.IngestionJobs SET Status = @p3, Metadata = `+t.c.columns.json("IngestionJobs.Metadata", "@p4")+`,
			MetadataExact = @p5, LeaseExpires = NULL, LeaseAlone = 0, CompletedAt = CASE WHEN @p3 = N'open' THEN NULL ELSE SYSUTCDATETIME() END
		WHERE IngestionJobId = @p1 AND LeaseToken = @p2 AND LeaseExpires IS NOT NULL`,
		lease.Job, lease.Token, string(state), text, textExact)
	if err == nil && n == 0 {
		return fmt.Errorf("job %d: %w", lease.Job, ingest.ErrLeaseLost)
	}
	if err == nil && state != ingest.JobOpen {
		err = t.exec(`/* ingest: close-job-key */ DELETE FROM dbo.IngestionJobKeys WHERE IngestionJobId = @p1`, lease.Job)
	}
	return err
}
