package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/lease"
)

// optionCommand is the key in the options of a job of migrate or recompress with its command, a JSON
// array of arguments.
const optionCommand = "command"

// runFlags are global flags that do not change the work. The command of a job does not have them.
var runFlags = []string{"catalog", "json", "quiet", "log-level", "verbose", "log-file", "memory"}

// commandOption returns the options of jobs that resume runs again. given are the values of flags
// with addresses and paths: absolute and without secrets; an empty one omits the flag. models are the
// command's arguments.
func commandOption(c *cobra.Command, given map[string]string, models ...string) (map[string]string, error) {
	arguments := append(strings.Fields(c.CommandPath())[1:], models...)
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

// isRunFlag reports whether an argument is one of runFlags. A recorded command has none: it concerns
// the catalogue that has it.
func isRunFlag(argument string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(argument, "-"), "=")
	return strings.HasPrefix(argument, "-") && (slices.Contains(runFlags, name) || !strings.HasPrefix(argument, "--"))
}

// resumes reports whether resume continues a job.
func resumes(job ingest.Job) bool {
	return job.Pipeline == "models" || job.Options[optionCommand] != ""
}

// rerun are the commands that resume runs again.
var rerun = []string{"migrate", "recompress"}

// resumeMigration runs the command of a job again.
func (p *program) resumeMigration(c *cobra.Command, job ingest.Job) error {
	var arguments []string
	if err := json.Unmarshal([]byte(job.Options[optionCommand]), &arguments); err != nil || len(arguments) < 2 ||
		!slices.Contains(rerun, arguments[0]) || slices.ContainsFunc(arguments, isRunFlag) {
		return fmt.Errorf("the command of job %d is %s: run it again by hand", job.ID,
			ingest.Printable(job.Options[optionCommand]))
	}
	p.printf("ingest %s\n", ingest.Printable(strings.Join(arguments, " ")))
	for _, name := range runFlags {
		if f := c.Flags().Lookup(name); f.Changed {
			arguments = append(arguments, "--"+name+"="+f.Value.String())
		}
	}
	again, root := newProgram(p.stdout, p.stderr)
	root.SetArgs(arguments)
	return again.withLog(root.ExecuteContext(c.Context()))
}

// endMigration returns the error, with its exit code, that ends a migration. After an interruption or
// an error, it leaves an open job with the command: those of parts may all have ended. Otherwise it ends
// the open jobs of the same command: nothing is left of them.
func (p *program) endMigration(ctx context.Context, catalog ingest.Catalog, options map[string]string, err error,
	failed int64) error {
	command := options[optionCommand]
	switch {
	case command == "": // a dry run
		if err == nil && failed > 0 {
			err = &codeError{code: exitSomeRefused}
		}
		return err
	case err != nil:
		code := exitFailed
		if errors.Is(err, ingest.ErrInterrupted) || errors.Is(err, context.Canceled) {
			code = exitInterrupted
		}
		by := "the same command"
		number, openErr := p.leaveOpen(context.WithoutCancel(ctx), catalog, options)
		if openErr == nil {
			by = fmt.Sprintf("`%s` or the same command", p.given.ofMigration().again("resume", number))
		}
		return &codeError{code, fmt.Errorf("%w\nRows that changed stay changed: %s continues",
			errors.Join(err, openErr), by)}
	}
	for job, err := range catalog.AllJobs(ctx) {
		if err == nil && job.State == ingest.JobOpen && job.Options[optionCommand] == command && !isLive(job) {
			err = p.endJob(ctx, catalog, job.ID)
		}
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return &codeError{code: exitSomeRefused}
	}
	return nil
}

// endJob ends an open job, unless another process continues it or has ended it.
func (p *program) endJob(ctx context.Context, catalog ingest.Catalog, id int64) error {
	err := lease.Run(ctx, catalog, ingest.JobRequest{Job: id}, p.log,
		func(context.Context, ingest.Lease) error { return nil }, nil)
	if err == nil || errors.Is(err, ingest.ErrBusy) {
		return nil
	}
	if job, readErr := catalog.Job(ctx, id); readErr == nil && job.State != ingest.JobOpen {
		return nil
	}
	return err
}

// leaveTime is how long leaveOpen may take: the catalogue may be what failed.
const leaveTime = 10 * time.Second

// leaveOpen leaves an open job for a command, and returns its number.
func (p *program) leaveOpen(ctx context.Context, catalog ingest.Catalog, options map[string]string) (number int64,
	err error) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	request := ingest.JobRequest{Source: options[optionCommand], Options: options}
	if err := json.Unmarshal([]byte(options[optionCommand]), &request.Paths); err != nil {
		return 0, err
	}
	request.Pipeline = request.Paths[0]
	err = lease.Run(ctx, catalog, request, p.log, func(_ context.Context, job ingest.Lease) error {
		number = job.Job
		return ingest.ErrInterrupted
	}, nil)
	if errors.Is(err, ingest.ErrInterrupted) {
		err = nil
	}
	return number, err
}
