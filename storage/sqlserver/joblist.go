package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

const jobColumns = `IngestionJobId, PipelineName, SourceUri, SourceUriExact, COALESCE(Status, N''), StartedAt, CompletedAt, LeaseHolder,
	CASE WHEN LeaseExpires > SYSUTCDATETIME() THEN 1 ELSE 0 END, CONVERT(nvarchar(max), Metadata), MetadataExact,
	CASE WHEN LeaseToken IS NULL THEN 0 ELSE 1 END FROM dbo.IngestionJobs`

// Job implements ingest.Jobs.
func (c *Catalog) Job(ctx context.Context, id int64) (job ingest.Job, err error) {
	err = c.read(ctx, func(tx *tx) error {
		job, err = scanJob(tx.one(`/* ingest: job */ SELECT `+jobColumns+` WHERE IngestionJobId = @p1`, id))
		if errors.Is(err, sql.ErrNoRows) {
			err = fmt.Errorf("job %d: %w", id, ingest.ErrNotFound)
		}
		return err
	})
	return job, err
}

// AllJobs implements ingest.Jobs.
func (c *Catalog) AllJobs(ctx context.Context) iter.Seq2[ingest.Job, error] {
	return storage.Paged(func(last ingest.Job) (page []ingest.Job, err error) {
		err = c.read(ctx, func(tx *tx) error {
			page = page[:0]
			return tx.each(func(rows *sql.Rows) error {
				job, err := scanJob(rows)
				page = append(page, job)
				return err
			}, `/* ingest: jobs */ SELECT TOP (100) `+jobColumns+` WHERE IngestionJobId > @p1 ORDER BY IngestionJobId`, last.ID)
		})
		return page, err
	})
}

// scanner is a row, *sql.Row or *sql.Rows.
type scanner interface{ Scan(...any) error }

func scanJob(row scanner) (ingest.Job, error) {
	var job ingest.Job
	var started, completed sql.NullTime
	var holder sql.NullString
	var source, text exact
	var own bool
	err := row.Scan(&job.ID, &job.Pipeline, &source.text, &source.bytes, &job.State, &started, &completed, &holder, &job.Live,
		&text.text, &text.bytes, &own)
	if err != nil {
		return ingest.Job{}, err
	}
	meta, err := storage.ParseJobMetadata(string(text.json()))
	if err != nil && own { // another program's may hold anything
		return ingest.Job{}, fmt.Errorf("metadata of job %d: %w", job.ID, err)
	}
	job.Source, job.Started, job.Completed = source.String(), started.Time, completed.Time
	job.Paths, job.Options, job.Problems, job.Holder = meta.Paths, meta.Options, meta.Problems, storage.ParseHolder(holder.String)
	return job, nil
}
