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
	return err
}

// endMigration returns the error, with its exit code, that ends a migration. After an interruption, it
// leaves an open job, so that resume finds the command even if it was between two jobs. After
// success, it ends the open jobs of the same command: nothing is left of them.
func (p *program) endMigration(ctx context.Context, catalog ingest.Catalog, options map[string]string, err error,
	failed int64) error {
	command := options[optionCommand]
	switch {
	case command == "": // a dry run
		if err == nil && failed > 0 {
			err = &codeError{code: exitSomeRefused}
		}
		return err
	case errors.Is(err, ingest.ErrInterrupted) || errors.Is(err, context.Canceled):
		request := ingest.JobRequest{Pipeline: "migrate", Source: command, Options: options}
		err = errors.Join(err, json.Unmarshal([]byte(command), &request.Paths))
		open := lease.Run(context.WithoutCancel(ctx), catalog, request, p.log,
			func(context.Context, ingest.Lease) error { return ingest.ErrInterrupted }, nil)
		if !errors.Is(open, ingest.ErrInterrupted) {
			err = errors.Join(err, open)
		}
		return &codeError{exitInterrupted, fmt.Errorf("%w: `ingest resume` or the same command continues", err)}
	case err != nil:
		return fmt.Errorf("%w\nRows that changed stay changed: `ingest resume` or the same command continues", err)
	}
	for job, err := range catalog.AllJobs(ctx) {
		if err == nil && job.State == ingest.JobOpen && job.Options[optionCommand] == command && !isLive(job) {
			err = lease.Run(ctx, catalog, ingest.JobRequest{Job: job.ID}, p.log,
				func(context.Context, ingest.Lease) error { return nil }, nil)
		}
		if err != nil && !errors.Is(err, ingest.ErrBusy) {
			return err
		}
	}
	if failed > 0 {
		return &codeError{code: exitSomeRefused}
	}
	return nil
}
