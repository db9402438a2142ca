package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
)

func newStatus(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "List jobs: running, interrupted, complete, or failed and why",
		Example: "  ingest status\n  ingest status --json",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return p.status(c.Context()) },
	}
}

func (p *program) status(ctx context.Context) error {
	catalog, err := p.openExisting(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close()
	rows := [][]any{{"JOB", "STATE", "STARTED", "COMMAND", "SAVED", "PATHS"}}
	for job, err := range catalog.AllJobs(ctx) {
		if err != nil {
			return err
		}
		if p.json {
			p.printJSON(jobObject(job))
			continue
		}
		saved := ""
		if job.BytesSaved != 0 {
			saved = human(job.BytesSaved)
		}
		rows = append(rows, []any{job.ID, jobState(job), job.Started.Local().Format(time.DateTime), job.Pipeline,
			saved, joinPaths(job.Paths)})
		for _, problem := range job.Problems {
			rows = append(rows, []any{"", "", "", "", "", "  " + problemText(problem)})
		}
	}
	if !p.json {
		p.table(rows)
	}
	return nil
}

// joinPaths puts quotes around paths with spaces.
func joinPaths(paths []string) string {
	var all []string
	for _, path := range paths {
		if strings.Contains(path, " ") {
			path = `"` + path + `"`
		}
		all = append(all, path)
	}
	return strings.Join(all, " ")
}

// problemText names the path once: some reasons start with it.
func problemText(problem ingest.Problem) string {
	path := ingest.Printable(problem.Path)
	if path == "" || strings.HasPrefix(problem.Reason, path) {
		return problem.Reason
	}
	return path + ": " + problem.Reason
}

// jobState is a job's state as printed: an open job is running or interrupted.
func jobState(job ingest.Job) string {
	switch {
	case job.State != ingest.JobOpen:
		return string(job.State)
	case isLive(job):
		return "running"
	default:
		return "interrupted"
	}
}

// isLive reports whether a process works on an open job.
func isLive(job ingest.Job) bool { return job.Live && !job.Holder.Dead() }

func jobObject(job ingest.Job) map[string]any {
	o := map[string]any{"id": job.ID, "state": jobState(job), "command": job.Pipeline, "paths": list(job.Paths),
		"started": job.Started.UTC(), "bytes_saved": job.BytesSaved,
		"problems": append([]ingest.Problem{}, job.Problems...)}
	if !job.Completed.IsZero() {
		o["completed"] = job.Completed.UTC()
	}
	return o
}
