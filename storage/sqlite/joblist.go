package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

const selectJobs = `SELECT IngestionJobId, PipelineName, coalesce(SourceUri, ''), coalesce(Status, ''), StartedAt, CompletedAt,
	LeaseHolder, coalesce(LeaseExpiresMs > ` + nowMs + `, 0), coalesce(Metadata, '') FROM IngestionJobs `

// Job implements ingest.Jobs.
func (c *Catalog) Job(ctx context.Context, id int64) (ingest.Job, error) {
	job, err := scanJob(c.reader.QueryRowContext(ctx, selectJobs+`WHERE IngestionJobId = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("job %d: %w", id, ingest.ErrNotFound)
	}
	return job, c.explain(err)
}

// AllJobs implements ingest.Jobs.
func (c *Catalog) AllJobs(ctx context.Context) iter.Seq2[ingest.Job, error] {
	return func(yield func(ingest.Job, error) bool) {
		for last := int64(0); ; {
			job, err := scanJob(c.reader.QueryRowContext(ctx,
				selectJobs+`WHERE IngestionJobId > ? ORDER BY IngestionJobId LIMIT 1`, last))
			if errors.Is(err, sql.ErrNoRows) {
				return
			}
			if !yield(job, c.explain(err)) || err != nil {
				return
			}
			last = job.ID
		}
	}
}

func scanJob(row *sql.Row) (ingest.Job, error) {
	var job ingest.Job
	var started, completed, holder sql.NullString
	var text string
	err := row.Scan(&job.ID, &job.Pipeline, &job.Source, &job.State, &started, &completed, &holder, &job.Live, &text)
	if err != nil {
		return ingest.Job{}, err
	}
	meta, err := storage.ParseJobMetadata(text)
	if err != nil {
		return ingest.Job{}, fmt.Errorf("metadata of job %d: %w", job.ID, err)
	}
	job.Paths, job.Options, job.Problems, job.Holder = meta.Paths, meta.Options, meta.Problems, storage.ParseHolder(holder.String)
	if job.Started, err = parseTime(started); err != nil {
		return ingest.Job{}, err
	}
	job.Completed, err = parseTime(completed)
	return job, err
}
