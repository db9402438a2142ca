package sqlcatalog

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

const jobColumns = ` j.IngestionJobId, j.PipelineName, {read j.SourceUri}, COALESCE(j.Status, ''),
	{time j.StartedAt}, {time j.CompletedAt}, COALESCE(j.LeaseHolder, ''), CASE WHEN {left j} > 0 THEN 1 ELSE 0 END,
	{readjson j.Metadata}, CASE WHEN j.LeaseToken IS NULL THEN 0 ELSE 1 END FROM dbo.IngestionJobs AS j`

var (
	oneJob  = shared("job", `SELECT`+jobColumns+` WHERE j.IngestionJobId = @p1`)
	jobPage = shared("jobs",
		`SELECT {top @p2}`+jobColumns+` WHERE j.IngestionJobId > @p1 ORDER BY j.IngestionJobId {limit @p2}`)
)

// Job implements ingest.Jobs.
func (c *Catalog) Job(ctx context.Context, id int64) (job ingest.Job, err error) {
	err = c.read(ctx, func(t *Tx) error {
		there, err := t.foundJob(t.One(oneJob, id), &job)
		if err == nil && !there {
			err = fmt.Errorf("job %d: %w", id, ingest.ErrNotFound)
		}
		return err
	})
	return job, err
}

// jobsAtOnce is the page size of AllJobs: a job's list of problems may be long.
const jobsAtOnce = 100

// AllJobs implements ingest.Jobs.
func (c *Catalog) AllJobs(ctx context.Context) iter.Seq2[ingest.Job, error] {
	return paged(func(last ingest.Job) (page []ingest.Job, err error) {
		err = c.read(ctx, func(t *Tx) error {
			page = page[:0]
			return t.Each(func(row Scanner) error {
				var job ingest.Job
				_, err := t.foundJob(row, &job)
				page = append(page, job)
				return err
			}, jobPage, last.ID, jobsAtOnce)
		})
		return page, err
	})
}

func (t *Tx) foundJob(row Scanner, job *ingest.Job) (bool, error) {
	var started, completed time.Time
	var holder string
	var text []byte
	var own bool
	there, err := t.found(row, &job.ID, &job.Pipeline, readText(&job.Source), &job.State, &started, &completed,
		&holder, &job.Live, readJSON(&text), &own)
	if err != nil || !there {
		return there, err
	}
	meta, err := parseJobMetadata(string(text))
	if err != nil && own { // the metadata of another program's job may be anything
		return there, fmt.Errorf("metadata of job %d: %w", job.ID, err)
	}
	job.Started, job.Completed, job.Holder = started, completed, parseHolder(holder)
	job.Paths, job.Options, job.Problems, job.BytesSaved = meta.Paths, meta.Options, meta.Problems, meta.Saved
	if job.State == ingest.JobFailed && meta.Succeeded > 0 {
		job.State = ingest.JobPartial
	}
	return there, nil
}
