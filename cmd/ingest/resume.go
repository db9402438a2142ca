package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/pipeline"
)

func newResume(p *program) *cobra.Command {
	f := &ingestFlags{}
	c := &cobra.Command{
		Use:   "resume [JOB]",
		Short: "Resume interrupted jobs",
		Long: `Resume an interrupted job, or all interrupted ingestions if you name none. Each job keeps its paths,
store and segment size. A job of migrate or recompress is resumed by its number only: its command runs again,
over all that it selects.

` + exitCodes,
		Example: "  ingest resume\n  ingest resume 7",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return p.resume(c, f, args) },
	}
	f.register(c)
	return c
}

func (p *program) resume(c *cobra.Command, f *ingestFlags, args []string) error {
	ctx := c.Context()
	jobs, err := p.resumable(ctx, args)
	if err != nil {
		return err
	}
	if len(jobs) == 0 {
		p.printf("no ingestion is interrupted\n")
	}
	if len(jobs) == 1 && jobs[0].Pipeline != "models" {
		var coded *codeError
		err := p.resumeMigration(c, jobs[0]) // prints the objects of its command, and the summary
		if err != nil && ctx.Err() == nil && !errors.As(err, &coded) {
			err = fmt.Errorf("job %d: %w", jobs[0].ID, err)
		}
		return err
	}
	return p.resumeModels(ctx, f, jobs, len(args) == 1)
}

// resumeModels resumes ingestions. If the only one is named, its settings must fit.
func (p *program) resumeModels(ctx context.Context, f *ingestFlags, jobs []ingest.Job, named bool) error {
	sum := &resumeSummary{summaryHead: newSummary(), Jobs: len(jobs), runCounts: runCounts{Types: []typeSizes{}}}
	defer func() { p.printSummary(sum) }()
	report := func(r *pipeline.Report) {
		counts := p.printRun(r)
		p.printSummary(resumedObject{"job", counts})
		sum.add(counts)
	}
	refused := false
	var failed error
	given := p.store
	for _, job := range jobs {
		each := *f
		p.store = given
		err := p.restore(&each, job)
		if err != nil {
			sum.Failed++
			if named {
				return err
			}
			failed = errors.Join(failed, err)
			continue
		}
		err = p.runModels(ctx, &each, ingest.JobRequest{Job: job.ID, Pipeline: job.Pipeline, Source: job.Source,
			Paths: job.Paths, Options: job.Options}, report)
		var coded *codeError
		switch {
		case err == nil:
		case errors.As(err, &coded) && coded.code == exitSomeRefused:
			refused = true
		case ctx.Err() != nil:
			return err
		default: // the other jobs may succeed
			sum.Failed++
			failed = errors.Join(failed, fmt.Errorf("job %d: %w", job.ID, err))
		}
	}
	if failed == nil && refused {
		return &codeError{code: exitSomeRefused}
	}
	return failed
}

// add adds the counts of a job.
func (s *resumeSummary) add(c runCounts) {
	s.Job = 0
	if s.Jobs == 1 {
		s.Job = c.Job
	}
	s.Continued = s.Continued || c.Continued
	s.Interrupted = s.Interrupted || c.Interrupted
	s.Taken += c.Taken
	s.Skipped += c.Skipped
	s.Refused += c.Refused
	s.BytesRead += c.BytesRead
	s.BytesStored += c.BytesStored
	s.BytesShared += c.BytesShared
	s.BytesPresent += c.BytesPresent
	s.BytesSaved += c.BytesSaved
	s.Seconds += c.Seconds
	for _, t := range c.Types {
		i := slices.IndexFunc(s.Types, func(o typeSizes) bool { return o.Type == t.Type && o.Codec == t.Codec })
		if i < 0 {
			s.Types = append(s.Types, t)
			continue
		}
		s.Types[i].Segments += t.Segments
		s.Types[i].Bytes += t.Bytes
		s.Types[i].BytesEncoded += t.BytesEncoded
	}
}

// restore applies the settings of the job to resume. --store must agree with the job's store: a
// model with payloads in two stores cannot be read from either.
func (p *program) restore(f *ingestFlags, job ingest.Job) error {
	if err := f.restore(job.Options); err != nil {
		return fmt.Errorf("job %d: %w", job.ID, err)
	}
	if layout, ok := job.Options["blob-layout"]; ok {
		p.blobs.layout = layout
	}
	named, given := job.Options[ingest.OptionStore], p.store != ""
	if named == "" {
		return nil
	}
	if !given {
		p.store = named
	}
	store, err := p.storeName()
	if err == nil && store != named {
		err = usage("job %d uses the store %s: omit --store, or name that store", job.ID, ingest.Printable(named))
	}
	return err
}

// resumable returns the job that args name, or all open jobs without a live owner.
func (p *program) resumable(ctx context.Context, args []string) ([]ingest.Job, error) {
	h, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	defer h.catalog.Close()
	if len(args) == 1 {
		id, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return nil, usage("job %q: want a number; `ingest status` lists the jobs", args[0])
		}
		job, err := h.catalog.Job(ctx, id)
		if errors.Is(err, ingest.ErrNotFound) {
			err = fmt.Errorf("%w: `ingest status` lists the jobs", err)
		}
		if err == nil && !resumes(job) {
			err = fmt.Errorf("job %d is a %s job: run that command again", id, job.Pipeline)
		}
		if err == nil && job.State != ingest.JobOpen {
			err = fmt.Errorf("job %d is %s and cannot be resumed: `ingest models` with the same paths retries "+
				"refused files", id, jobState(job))
		}
		return []ingest.Job{job}, err
	}
	var jobs []ingest.Job
	for job, err := range h.catalog.AllJobs(ctx) {
		if err != nil {
			return nil, err
		}
		switch {
		case job.State != ingest.JobOpen || isLive(job):
		case job.Pipeline == "models":
			jobs = append(jobs, job)
		case resumes(job):
			fmt.Fprintf(p.stderr, "ingest: not resumed: job %d (%s): `%s` runs its command again\n",
				job.ID, job.Pipeline, p.given.ofMigration().again("resume", job.ID))
		}
	}
	return jobs, nil
}
