package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
)

func newStatus(p *program) *cobra.Command {
	watching := false
	c := &cobra.Command{
		Use:   "status",
		Short: "List jobs: running, interrupted, complete, partial, or failed and why",
		Long: `List jobs: running, interrupted, complete, partial, or failed and why. A partial job refused some files
or rows, and finished the others. Below a running ingestion are the models that it has begun: how many of their
bytes have rows, the rate, and the time until these models are complete. To tell the rate, status looks twice,
two seconds apart. --watch looks every two seconds until you interrupt it, which is success.

` + exitCodes,
		Example: "  ingest status\n  ingest status --watch\n  ingest status --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if watching {
				return p.watchStatus(c.Context())
			}
			return p.status(c.Context())
		},
	}
	c.Flags().BoolVar(&watching, "watch", false, "show the jobs every two seconds until interrupted")
	return c
}

func (p *program) status(ctx context.Context) error {
	catalog, err := p.openExisting(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close()
	var s paces
	progress, err := s.look(ctx, catalog)
	if err == nil && len(progress) > 0 {
		if err = pause(ctx, watchEvery); err == nil {
			progress, err = s.look(ctx, catalog)
		}
	}
	if err != nil {
		return err
	}
	return p.printJobs(ctx, p.stdout, catalog, progress)
}

// printJobs prints all jobs, with the progress of those that run.
func (p *program) printJobs(ctx context.Context, to io.Writer, catalog ingest.Jobs,
	progress map[int64]*jobProgress) error {
	rows := [][]any{{"JOB", "STATE", "STARTED", "COMMAND", "SAVED", "PATHS"}}
	for job, err := range catalog.AllJobs(ctx) {
		if err != nil {
			return err
		}
		if p.json {
			p.printJSON(jobObject(job, progress[job.ID]))
			continue
		}
		saved := ""
		if job.BytesSaved != 0 {
			saved = human(job.BytesSaved)
		}
		rows = append(rows, []any{job.ID, jobState(job), job.Started.Local().Format(time.DateTime), job.Pipeline,
			saved, joinPaths(job.Paths)})
		lines := problemLines(job.Problems)
		if running := progress[job.ID]; running != nil {
			lines = append(lines, running.lines()...)
		}
		for _, line := range lines {
			rows = append(rows, []any{"", "", "", "", "", "  " + line})
		}
	}
	if !p.json {
		writeTable(to, rows)
	}
	return nil
}

// maxLines is how many paths of a job are printed, and how many of its problems. There may be thousands;
// --json has them all.
const maxLines = 20

// joinPaths puts quotes around paths with spaces.
func joinPaths(paths []string) string {
	var all []string
	for i, path := range paths {
		if i == maxLines {
			all = append(all, fmt.Sprintf("and %d more", len(paths)-i))
			break
		}
		if strings.Contains(path, " ") {
			path = `"` + path + `"`
		}
		all = append(all, path)
	}
	return strings.Join(all, " ")
}

// problemLines returns a line for each problem, and how many there are more.
func problemLines(problems []ingest.Problem) (lines []string) {
	for i, problem := range problems {
		if i == maxLines {
			return append(lines, fmt.Sprintf("and %d more: `ingest status --json` prints all", len(problems)-i))
		}
		lines = append(lines, problemText(problem))
	}
	return lines
}

// withoutPath removes the path from the reason of a problem. Earlier versions recorded some reasons with it.
func withoutPath(problem ingest.Problem) ingest.Problem {
	if problem.Path != "" {
		problem.Reason = strings.TrimPrefix(problem.Reason, ingest.Printable(problem.Path)+": ")
	}
	return problem
}

func problemText(problem ingest.Problem) string {
	if problem.Path == "" {
		return problem.Reason
	}
	return ingest.Printable(problem.Path) + ": " + withoutPath(problem).Reason
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

func jobObject(job ingest.Job, progress *jobProgress) map[string]any {
	problems := make([]ingest.Problem, len(job.Problems))
	for i, problem := range job.Problems {
		problems[i] = withoutPath(problem)
	}
	o := map[string]any{"id": job.ID, "state": jobState(job), "command": job.Pipeline, "paths": list(job.Paths),
		"started": job.Started.UTC(), "bytes_saved": job.BytesSaved, "problems": problems}
	if !job.Completed.IsZero() {
		o["completed"] = job.Completed.UTC()
	}
	if progress != nil {
		o["models"] = append([]modelProgress{}, progress.models...)
		o["bytes"], o["bytes_recorded"] = progress.bytes, progress.recorded
		if progress.rate > 0 {
			o["bytes_per_second"], o["seconds_left"] = progress.rate, progress.secondsLeft()
		}
	}
	return o
}
