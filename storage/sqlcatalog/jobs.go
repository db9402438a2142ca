package sqlcatalog

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// lockJobs serializes Open: whether a job may start depends on all rows, including those that do
// not exist yet. The lock ends with the transaction. An engine with a single writer needs no lock.
var lockJobs = differs("lock-jobs")

// cutLeases shortens leases that expire later than their duration allows, which happens if the
// clock was set back. Old versions did not store the duration (LeaseMs is NULL); the requested one
// counts then.
var cutLeases = shared("cut-leases", `UPDATE dbo.IngestionJobs SET {expires} = {until COALESCE(LeaseMs,@p1)}
	WHERE {expires} IS NOT NULL AND {left} > COALESCE(LeaseMs, @p1)`)

// Open implements ingest.Jobs. If the answer was lost and the holder asks again, it gets a new
// lease. Open revokes expired leases that conflict with an exclusive job, and the lease of every
// job whose holder is dead, as Begin would wait for it to expire. A holder whose lease was revoked
// gets ErrLeaseLost. request.HolderDead must not use the catalogue.
func (c *Catalog) Open(ctx context.Context, request ingest.JobRequest) (ingest.Lease, error) {
	if err := checkRequest(request); err != nil {
		return ingest.Lease{}, err
	}
	var lease ingest.Lease
	var refusal error
	err := c.write(ctx, func(t *Tx) (err error) {
		if err := t.Exec(lockJobs); err != nil {
			return err
		}
		if err := t.Exec(cutLeases, milliseconds(request.TTL)); err != nil {
			return err
		}
		lease, refusal, err = t.open(request)
		return err
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return ingest.Lease{}, err
	}
	return lease, nil
}

// open grants a lease or returns why not. A refusal does not roll the transaction back: cutLeases
// stays in effect.
func (t *Tx) open(request ingest.JobRequest) (lease ingest.Lease, refusal, err error) {
	job, err := t.requested(request)
	if err != nil {
		return lease, nil, err
	}
	if job != nil {
		if err := job.checkTakeable(request); err != nil {
			return lease, err, nil
		}
	}
	revoked, refusal, err := t.inTheWay(request, job)
	if err != nil || refusal != nil {
		return lease, refusal, err
	}
	for i := range revoked {
		if err := t.changeLease(endLease, &revoked[i]); err != nil {
			return lease, nil, err
		}
	}
	lease = ingest.Lease{TTL: request.TTL, Token: 1}
	if job == nil {
		lease.Job, err = t.startJob(request)
		return lease, nil, err
	}
	lease.Job, lease.Token, lease.Continued = job.Job, job.Token+1, true
	return lease, nil, t.continueJob(request, job)
}

// LeasedColumns begins a statement that reads jobs. Times count by the database's clock, not the
// machines'.
const LeasedColumns = `SELECT j.IngestionJobId, COALESCE(j.Status, ''), j.LeaseHolder, COALESCE(j.LeaseToken, 0),
		{left j}, COALESCE(j.LeaseAlone, 0)
	FROM dbo.IngestionJobs AS j`

var (
	requestedJob = shared("requested-job", LeasedColumns+` WHERE j.IngestionJobId = @p1`)
	// requestedSource finds the open job of the pipeline and source in Key @p1.
	requestedSource = differs("requested-source")
)

// requested finds the job that request continues; nil if it starts one.
func (t *Tx) requested(request ingest.JobRequest) (*leased, error) {
	var job leased
	if request.Job == 0 {
		there, err := t.found(t.One(requestedSource, Key{request.Pipeline, request.Source}), job.fields()...)
		if err != nil || !there {
			return nil, err
		}
		return &job, nil
	}
	there, err := t.found(t.One(requestedJob, request.Job), job.fields()...)
	switch {
	case err != nil:
		return nil, err
	case !there:
		return nil, fmt.Errorf("job %d: %w", request.Job, ingest.ErrNotFound)
	}
	return &job, job.checkOpen()
}

var leasedJobs = shared("leased-jobs", LeasedColumns+` WHERE j.{expires} IS NOT NULL AND j.IngestionJobId <> @p1`)

// inTheWay returns the jobs whose leases must be revoked before request can be granted: those of
// dead holders, and expired ones that conflict with it. It refuses if a conflicting lease is live.
func (t *Tx) inTheWay(request ingest.JobRequest, own *leased) (revoked []leased, refusal, err error) {
	var id int64
	if own != nil {
		id = own.Job
	}
	var others []leased
	err = t.Each(func(row Scanner) error {
		var other leased
		err := row.Scan(other.fields()...)
		others = append(others, other)
		return err
	}, leasedJobs, id)
	if err != nil {
		return nil, nil, err
	}
	for _, other := range others {
		inTheWay, refusal := other.inTheWay(request)
		if refusal != nil {
			return nil, refusal, nil
		}
		if inTheWay {
			revoked = append(revoked, other)
		}
	}
	return revoked, nil, nil
}

// asRead holds if a lease has not changed since it was read. Renew and CloseJob do not take the
// lock of Open: a lease that lasts longer now was renewed, and one with another token was closed or
// taken over. @p1 to @p3 are the job, its token and the milliseconds that its lease had left.
const asRead = ` WHERE IngestionJobId = @p1 AND COALESCE(LeaseToken, 0) = @p2
	AND (@p3 IS NULL AND {expires} IS NULL OR {left} <= @p3)`

var (
	endLease    = shared("end-lease", `UPDATE dbo.IngestionJobs SET LeaseToken = @p2 + 1, {expires} = NULL`+asRead)
	continueJob = shared("continue-job", `UPDATE dbo.IngestionJobs
		SET {setjson IngestionJobs.Metadata 4}, LeaseHolder = @p5, LeaseToken = @p2 + 1,
			{expires} = {until @p6}, LeaseMs = @p6, LeaseAlone = @p7`+asRead)
)

// changeLease changes the lease of a job if it is as it was read. Otherwise it returns a RaceError.
func (t *Tx) changeLease(s *Statement, job *leased, args ...any) error {
	left := sql.NullInt64{}
	if job.left != nil {
		left = sql.NullInt64{Int64: *job.left, Valid: true}
	}
	n, err := t.Change(s, append([]any{job.Job, job.Token, left}, args...)...)
	if err == nil && n == 0 {
		err = RaceError(fmt.Sprintf("another process has changed the lease of job %d", job.Job))
	}
	return err
}

var (
	startJob = shared("start-job", `INSERT INTO dbo.IngestionJobs
			(PipelineName, {cols SourceUri}, Status, {cols Metadata}, StartedAt,
			LeaseHolder, LeaseToken, {expires}, LeaseMs, LeaseAlone)
		VALUES (@p1, {vals 2}, 'open', {json IngestionJobs.Metadata 3}, {now}, @p4, 1, {until @p5}, @p5, @p6)`)
	// startJobKey adds the key of the open job of a pipeline and source, and closeJobKey deletes
	// it.
	startJobKey = differs("start-job-key")
	closeJobKey = differs("close-job-key")
)

func (t *Tx) startJob(request ingest.JobRequest) (int64, error) {
	meta := jobMetadata{Paths: request.Paths, Options: request.Options}
	id, err := t.insert(startJob, request.Pipeline, Text{Column: "IngestionJobs.SourceUri", Value: request.Source},
		Text{Column: "IngestionJobs.Metadata", Value: meta.encode()}, formatHolder(request.Holder),
		milliseconds(request.TTL), request.Exclusive)
	if err != nil {
		return 0, err
	}
	return id, t.Exec(startJobKey, Key{request.Pipeline, request.Source}, id)
}

// continueJob leases a job to a new holder.
func (t *Tx) continueJob(request ingest.JobRequest, job *leased) error {
	meta, err := t.jobMetadata(job.Job)
	if err != nil {
		return err
	}
	meta.update(request)
	return t.changeLease(continueJob, job, Text{Column: "IngestionJobs.Metadata", Value: meta.encode()},
		formatHolder(request.Holder), milliseconds(request.TTL), request.Exclusive)
}

// milliseconds is a TTL that every engine can add to a time: at most 24 days.
func milliseconds(ttl time.Duration) int64 { return min(ttl.Milliseconds(), 1<<31-1) }

var jobMetadataOf = shared("job-metadata",
	`SELECT {readjson Metadata} FROM dbo.IngestionJobs WHERE IngestionJobId = @p1`)

func (t *Tx) jobMetadata(job int64) (jobMetadata, error) {
	var text []byte
	if err := t.One(jobMetadataOf, job).Scan(readJSON(&text)); err != nil {
		return jobMetadata{}, err
	}
	return parseJobMetadata(string(text))
}

const stillHeld = ` WHERE IngestionJobId = @p1 AND LeaseToken = @p2 AND {expires} IS NOT NULL`

var renewLease = shared("renew", `UPDATE dbo.IngestionJobs SET {expires} = {until @p3}, LeaseMs = @p3`+stillHeld)

// Renew implements ingest.Jobs.
func (c *Catalog) Renew(ctx context.Context, lease ingest.Lease) error {
	return c.write(ctx, func(t *Tx) error {
		n, err := t.Change(renewLease, lease.Job, lease.Token, milliseconds(lease.TTL))
		if err == nil && n == 0 {
			err = lost(lease)
		}
		return err
	})
}

var (
	jobClosed = shared("job-closed", `SELECT COUNT(*) FROM dbo.IngestionJobs
		WHERE IngestionJobId = @p1 AND LeaseToken = @p2 AND {expires} IS NULL AND Status = @p3`)
	closeJob = shared("close-job", `UPDATE dbo.IngestionJobs
		SET Status = @p3, {setjson IngestionJobs.Metadata 4}, {expires} = NULL, LeaseAlone = 0,
			CompletedAt = CASE WHEN @p3 = 'open' THEN NULL ELSE {now} END`+stillHeld)
)

// CloseJob implements ingest.Jobs. A call repeated after a lost answer finds the job closed.
func (c *Catalog) CloseJob(ctx context.Context, lease ingest.Lease, outcome ingest.Outcome) error {
	return c.write(ctx, func(t *Tx) error {
		var again int
		if err := t.One(jobClosed, lease.Job, lease.Token, string(outcome.State)).Scan(&again); err != nil ||
			again > 0 {
			return err
		}
		if err := t.Hold(lease); err != nil {
			return err
		}
		meta, err := t.jobMetadata(lease.Job)
		if err != nil {
			return err
		}
		meta.Problems, meta.Succeeded = outcome.Problems, outcome.Succeeded
		meta.Saved += outcome.BytesSaved
		return t.closeJob(lease, outcome.State, meta)
	})
}

func (t *Tx) closeJob(lease ingest.Lease, state ingest.JobState, meta jobMetadata) error {
	n, err := t.Change(closeJob, lease.Job, lease.Token, string(state),
		Text{Column: "IngestionJobs.Metadata", Value: meta.encode()})
	if err == nil && n == 0 {
		return lost(lease)
	}
	if err == nil && state != ingest.JobOpen {
		err = t.Exec(closeJobKey, lease.Job)
	}
	return err
}
