package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/lease"
)

// optionCommand is the key in the options of a migration's jobs with its command, a JSON array of
// arguments.
const optionCommand = "command"

// runFlags are global flags that do not change the work. The command of a job does not have them.
var runFlags = []string{"catalog", "json", "quiet", "log-level", "memory"}

// commandOption returns the options of jobs that resume runs again. given are the values of flags
// with addresses and paths: absolute and without secrets; an empty one omits the flag.
func commandOption(c *cobra.Command, given map[string]string) (map[string]string, error) {
	arguments := strings.Fields(c.CommandPath())[1:]
	c.Flags().VisitAll(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		if value, replaced := given[f.Name]; replaced && value != "" {
			values = []string{value}
		} else if replaced || !f.Changed || slices.Contains(runFlags, f.Name) {
			return
		}
		for _, value := range values {
			arguments = append(arguments, "--"+f.Name+"="+value)
		}
	})
	text, err := json.Marshal(arguments)
	return map[string]string{optionCommand: string(text)}, err
}

// resumes reports whether resume continues a job.
func resumes(job ingest.Job) bool {
	return job.Pipeline == "models" || job.Options[optionCommand] != ""
}

// resumeMigration runs the command of a job again, unless another job has the same and it ran
// already. ran are the errors of those that did.
func (p *program) resumeMigration(c *cobra.Command, job ingest.Job, ran map[string]error) error {
	command := job.Options[optionCommand]
	err, known := ran[command]
	if !known {
		var arguments []string
		if err := json.Unmarshal([]byte(command), &arguments); err != nil || len(arguments) < 2 ||
			arguments[0] != "migrate" {
			return fmt.Errorf("its command is %s: run it again by hand", ingest.Printable(command))
		}
		p.printf("ingest %s\n", ingest.Printable(strings.Join(arguments, " ")))
		for _, name := range runFlags {
			if f := c.Flags().Lookup(name); f.Changed {
				arguments = append(arguments, "--"+name+"="+f.Value.String())
			}
		}
		root := newRoot(p.stdout, p.stderr)
		root.SetArgs(arguments)
		err = root.ExecuteContext(c.Context())
		ran[command] = err
	}
	if err != nil {
		return err
	}
	return p.closeJob(c, job)
}

// closeJob ends a job of which nothing is left to do. The command takes over only jobs that have
// work left.
func (p *program) closeJob(c *cobra.Command, job ingest.Job) error {
	catalog, err := p.openExisting(c.Context())
	if err != nil {
		return err
	}
	defer catalog.Close()
	job, err = catalog.Job(c.Context(), job.ID)
	if err != nil || job.State != ingest.JobOpen {
		return err
	}
	err = lease.Run(c.Context(), catalog, ingest.JobRequest{Job: job.ID}, p.log,
		func(context.Context, ingest.Lease) error { return nil }, nil)
	if errors.Is(err, ingest.ErrBusy) {
		return nil // another process continues it
	}
	return err
}

// migrationError returns the error, with its exit code, that ends a migration.
func migrationError(err error, failed int64) error {
	switch {
	case err != nil && !errors.Is(err, ingest.ErrInterrupted):
		return fmt.Errorf("%w\nRows that changed stay changed: `ingest resume` or the same command continues", err)
	case err == nil && failed > 0:
		return &codeError{code: exitSomeRefused}
	}
	return err
}
