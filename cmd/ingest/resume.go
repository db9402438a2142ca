package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
)

func newResume(p *program) *cobra.Command {
	f := &intakeFlags{}
	c := &cobra.Command{
		Use:   "resume [JOB]",
		Short: "Continue what was interrupted",
		Long: `Continue a job that was interrupted, or, without an argument, all of them.

` + exitCodes,
		Example: "  ingest resume\n  ingest resume 7",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return p.resume(c.Context(), f, args) },
	}
	f.register(c)
	return c
}

func (p *program) resume(ctx context.Context, f *intakeFlags, args []string) error {
	jobs, err := p.resumable(ctx, args)
	if err != nil {
		return err
	}
	if len(jobs) == 0 {
		p.printf("nothing was interrupted\n")
	}
	refused := false
	for _, job := range jobs {
		each := *f
		if err := each.restore(job.Options); err != nil {
			return fmt.Errorf("job %d: %w", job.ID, err)
		}
		err := p.takeIn(ctx, &each, ingest.Claim{Job: job.ID, Pipeline: job.Pipeline, Source: job.Source, Paths: job.Paths, Options: job.Options})
		var coded *codeError
		if errors.As(err, &coded) && coded.code == exitSomeRefused {
			refused = true
		} else if err != nil {
			return err
		}
	}
	if refused {
		return &codeError{code: exitSomeRefused}
	}
	return nil
}

// resumable returns the job that args name, or all that are open and not being worked on.
func (p *program) resumable(ctx context.Context, args []string) ([]ingest.Job, error) {
	h, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	defer h.catalog.Close()
	if len(args) == 1 {
		id, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return nil, usage("job %q: want a number; `ingest status` lists them", args[0])
		}
		job, err := h.catalog.Job(ctx, id)
		if err == nil && job.State != ingest.JobOpen {
			err = fmt.Errorf("job %d is %s: there is nothing to continue", id, job.State)
		}
		return []ingest.Job{job}, err
	}
	var jobs []ingest.Job
	for job, err := range h.catalog.AllJobs(ctx) {
		if err != nil {
			return nil, err
		}
		if job.State == ingest.JobOpen && job.Pipeline == "models" && (!job.Live || job.Holder.Gone()) {
			jobs = append(jobs, job)
		}
	}
	return jobs, nil
}
