package main

import (
	"fmt"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// maxLines is how many paths of a job are printed, and how many of its problems. There may be thousands;
// --json has them all.
const maxLines = 20

// indent starts the lines below a job.
const indent = "    "

// linesBelow returns rows of one cell below a job: its problems, and its progress if it runs. They fit
// the given columns; 0 is no limit.
func linesBelow(job ingest.Job, running *jobProgress, columns int) (rows [][]any) {
	if columns > 0 {
		columns = max(columns-len(indent), minFlex)
	}
	lines := problemLines(job.Problems, columns)
	if running != nil {
		lines = append(lines, running.lines()...)
	}
	for _, line := range lines {
		if line = ingest.Printable(line); columns > 0 {
			line = cutMiddle(line, columns)
		}
		rows = append(rows, []any{indent + line})
	}
	return rows
}

// problemLines returns a line for each problem, and how many there are more.
func problemLines(problems []ingest.Problem, columns int) (lines []string) {
	for i, problem := range problems {
		if i == maxLines {
			return append(lines, fmt.Sprintf("and %d more: `ingest status --json` prints all", len(problems)-i))
		}
		lines = append(lines, problemText(problem, columns))
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

// problemText returns a problem in the given columns, which the path and the reason share; 0 is no limit.
func problemText(problem ingest.Problem, columns int) string {
	path, reason := ingest.Printable(problem.Path), ingest.Printable(withoutPath(problem).Reason)
	if path == "" {
		return reason
	}
	if columns > 0 {
		widths := []int{textWidth(path), textWidth(reason)}
		share(widths, []int{0, 1}, columns-len(": "))
		path, reason = cutMiddle(path, widths[0]), cutMiddle(reason, widths[1])
	}
	return path + ": " + reason
}
