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
two seconds apart. --watch looks every two seconds until you interrupt it, which is success. It omits the problems of
jobs that ended before.

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
	sum := statusSummary{summaryHead: newSummary()}
	defer func() { p.printSummary(sum) }()
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
	sum, err = p.printJobs(ctx, statusView{to: p.stdout, columns: terminalColumns(p.stdout)}, catalog, progress)
	return err
}

// statusView is where and how jobs are printed.
type statusView struct {
	to      io.Writer
	columns int            // which the lines below a job fit; 0 is no limit
	ended   map[int64]bool // jobs without their problems
}

// printJobs prints all jobs, with the progress of those that run, and counts those that it printed.
func (p *program) printJobs(ctx context.Context, view statusView, catalog ingest.Jobs,
	progress map[int64]*jobProgress) (statusSummary, error) {
	sum := statusSummary{summaryHead: newSummary()}
	rows := [][]any{{"JOB", "STATE", "STARTED", "COMMAND", "SAVED", "PATHS"}}
	for job, err := range catalog.AllJobs(ctx) {
		if err != nil {
			return sum, err
		}
		if sum.add(jobState(job)); p.json {
			p.printJSON(jobOf(job, progress[job.ID]))
			continue
		}
		saved := ""
		if job.BytesSaved != 0 {
			saved = human(job.BytesSaved)
		}
		rows = append(rows, []any{job.ID, jobState(job), job.Started.Local().Format(time.DateTime), job.Pipeline,
			saved, joinPaths(job.Paths)})
		if view.ended[job.ID] {
			job.Problems = nil
		}
		rows = append(rows, linesBelow(job, progress[job.ID], view.columns)...)
	}
	if !p.json {
		writeTable(view.to, rows)
	}
	return sum, nil
}

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

func jobOf(job ingest.Job, progress *jobProgress) jobObject {
	o := jobObject{Object: "job", ID: job.ID, State: jobState(job), Command: job.Pipeline, Paths: list(job.Paths),
		Started: job.Started.UTC(), BytesSaved: job.BytesSaved, Problems: list(job.Problems)}
	for i := range o.Problems {
		o.Problems[i] = withoutPath(o.Problems[i])
	}
	if completed := job.Completed.UTC(); !job.Completed.IsZero() {
		o.Completed = &completed
	}
	if progress == nil {
		return o
	}
	o.runningJob = &runningJob{Models: list(progress.models), Bytes: progress.bytes, BytesRecorded: progress.recorded}
	if progress.rate > 0 {
		left := progress.secondsLeft()
		o.BytesPerSecond, o.SecondsLeft = progress.rate, &left
	}
	return o
}

// add counts a job.
func (s *statusSummary) add(state string) {
	s.Jobs++
	switch ingest.JobState(state) {
	case "running":
		s.Running++
	case "interrupted":
		s.Interrupted++
	case ingest.JobComplete:
		s.Complete++
	case ingest.JobPartial:
		s.Partial++
	case ingest.JobFailed:
		s.Failed++
	}
}
