package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/storage/azureblob"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

// intakeFlags are the settings of models and resume.
type intakeFlags struct {
	segment byteSize
	jobs    int
	workers int
	// transactions are batches of a file that are written at once.
	transactions int
	opaque       bool
	recheck      bool
	dryRun       bool
}

func (f *intakeFlags) register(c *cobra.Command) {
	f.segment = ingest.DefaultSegmentBytes
	flags := c.Flags()
	flags.IntVar(&f.jobs, "jobs", 0, "files at once (0: by the number of processors)")
	flags.IntVar(&f.workers, "workers", 0, "segments at once of each file (0: by the number of processors)")
	flags.IntVar(&f.transactions, "transactions", 0, fmt.Sprintf("with --store row in SQL Server: transactions at once for each file, each on a connection of its own; 1 to %d (default 1)", ingest.MaxTransactions))
}

func newModels(p *program) *cobra.Command {
	f := &intakeFlags{}
	c := &cobra.Command{
		Use:   "models PATH...",
		Short: "Take in model files and folders",
		Long: `Take in model files and folders: GGUF files, split GGUF files, an Ollama models folder or its
blobs folder, or any other file, which is kept as it is.

A file that is stored already and has not changed is not read. What an earlier run over the same
paths left undone is continued.

` + exitCodes,
		Example: `  ingest models ~/.ollama/models
  ingest models model-00001-of-00003.gguf --store dir:/mnt/payloads`,
		Args: needs("PATH", cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, paths []string) error { return p.models(c.Context(), f, paths) },
	}
	f.register(c)
	c.Flags().Var(&f.segment, "segment-size", "most bytes of a segment, 1MiB to 64MiB")
	c.Flags().BoolVar(&f.opaque, "opaque", false, "keep a damaged GGUF file as a blob instead of refusing it")
	c.Flags().BoolVar(&f.recheck, "recheck", false, "read source files again that have not changed, and compare them with the recorded digests (verify checks the store)")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what is there to be taken in, stored already or not; read headers only and write nothing")
	return c
}

func (p *program) models(ctx context.Context, f *intakeFlags, paths []string) error {
	for i, path := range paths {
		if path == "" {
			return usage("an empty PATH (a variable that is not set?)")
		}
		if strings.Contains(path, "://") {
			return usage("PATH %s: want a file or a folder, no address", redact(path))
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		paths[i] = absolute
	}
	if f.dryRun {
		return p.dryRun(ctx, f, paths)
	}
	options, err := p.jobOptions(f)
	if err != nil {
		return err
	}
	return p.takeIn(ctx, f, ingest.JobRequest{Pipeline: "models", Source: strings.Join(paths, "\n"), Paths: paths, Options: options})
}

// jobOptions are what a continuation of the job needs to know.
func (p *program) jobOptions(f *intakeFlags) (map[string]string, error) {
	store, err := p.storeName()
	return map[string]string{"segment-size": f.segment.String(), "opaque": strconv.FormatBool(f.opaque),
		"recheck": strconv.FormatBool(f.recheck), "blob-layout": p.blobs.layout, ingest.OptionStore: store}, err
}

func (f *intakeFlags) restore(options map[string]string) error {
	if text, ok := options["segment-size"]; ok {
		if err := f.segment.Set(text); err != nil {
			return err
		}
	}
	f.opaque = options["opaque"] == "true"
	f.recheck = options["recheck"] == "true"
	return nil
}

// settings are those of a run, checked.
func (p *program) settings(f *intakeFlags) (ingest.Options, error) {
	if f.jobs < 0 || f.workers < 0 || f.transactions < 0 {
		return ingest.Options{}, usage("--jobs %d, --workers %d, --transactions %d: want 0 or more", f.jobs, f.workers, f.transactions)
	}
	options := ingest.Options{SegmentBytes: int64(f.segment), MemoryBytes: int64(p.memory), Jobs: f.jobs, Workers: f.workers,
		Transactions: f.transactions, Recheck: f.recheck}
	if err := options.Check(); err != nil {
		return options, usage("%w", err)
	}
	if f.transactions > 1 && (p.store != inRows || !sqlserver.IsAddress(p.catalog)) {
		return options, usage("--transactions %d: several are for payloads in rows of SQL Server: --catalog sqlserver://HOST?database=NAME --store row", f.transactions)
	}
	return options.WithDefaults(), nil
}

// spareProcessor lets one more goroutine run than there are processors. A thread that waits in a direct write keeps
// its processor from other goroutines until the runtime takes it away, which is late: on two processors a durable run took 2.6 s
// without and 2.4 s with it, medians of twelve. The price: the runtime no longer follows a quota that changes.
func spareProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

// takeIn runs one job and reports it.
func (p *program) takeIn(ctx context.Context, f *intakeFlags, claim ingest.JobRequest) error {
	options, err := p.settings(f)
	if err != nil {
		return err
	}
	spareProcessor()
	p.blobs.calls = options.Jobs * options.Workers
	p.connections = options.Jobs*options.Transactions + 6
	h, err := p.openNew(ctx)
	if err != nil {
		return err
	}
	defer h.catalog.Close()
	h.logWay(p.log)
	if err := p.warnOfLayout(ctx, h, claim.Options); err != nil {
		return err
	}
	found, err := p.find(ctx, claim.Paths)
	if err != nil {
		return err
	}
	if len(found.Sources)+len(found.Skipped)+len(found.Refused) == 0 {
		fmt.Fprintf(p.stderr, "ingest: there are no files under %s\n", ingest.Printable(strings.Join(claim.Paths, ", ")))
	}
	claim.Holder, claim.TTL, claim.HolderDead = ingest.ThisProcess(), ingest.DefaultLease, ingest.Holder.Dead
	progress := &ingest.Progress{}
	run := ingest.Ingester{Catalog: h.catalog, Store: h.store, StoreAddress: claim.Options[ingest.OptionStore],
		Unshared: isBlobs(p.store) && p.blobs.layout == string(azureblob.ByPosition), Parse: f.parser(p, options).Parse, Options: options, Progress: progress, Log: p.log}
	stop := p.showProgress(progress)
	result, err := p.runWhenFree(ctx, &run, claim, found)
	stop()
	if result == nil {
		return err
	}
	p.printReport(result)
	return outcome(result, err)
}

// warnOfLayout says so where earlier runs have named blobs otherwise: their rows and payloads stay as they are.
func (p *program) warnOfLayout(ctx context.Context, h *home, options map[string]string) error {
	if !isBlobs(p.store) {
		return nil
	}
	for job, err := range h.catalog.AllJobs(ctx) {
		if err != nil {
			return err
		}
		before := job.Options["blob-layout"]
		if job.Options[ingest.OptionStore] == options[ingest.OptionStore] && before != "" && before != options["blob-layout"] {
			fmt.Fprintf(p.stderr, "ingest: warning: job %d has put payloads into this store in the layout %s, and this run uses %s: what is known by content is stored a second time, and counted as shared\n",
				job.ID, before, options["blob-layout"])
			return nil
		}
	}
	return nil
}

// headerShare is the part of the memory that headers may take: its reciprocal. In the pipeline's own form and in the
// catalogue's rows each takes about as much again.
const headerShare = 6

// parser shares that memory among the headers that are read at once.
func (f *intakeFlags) parser(p *program, options ingest.Options) format.Parser {
	return format.Parser{Opaque: f.opaque, HeaderBytes: int64(p.memory) / headerShare / int64(options.Jobs)}
}

// runWhenFree runs the job. If its last process was killed on another machine, the lease
// has to lapse first; that is waited for once.
func (p *program) runWhenFree(ctx context.Context, run *ingest.Ingester, claim ingest.JobRequest, found ingest.Found) (*ingest.Report, error) {
	result, err := run.Run(ctx, claim, found)
	var busy *ingest.BusyError
	if result != nil || !errors.As(err, &busy) || busy.Holder.Host == ingest.ThisProcess().Host {
		return result, err // a process of this machine that is known to run is not waited for
	}
	fmt.Fprintf(p.stderr, "ingest: %v; waiting for it to end or lapse\n", err)
	select {
	case <-time.After(busy.Until + time.Second):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return run.Run(ctx, claim, found)
}

// outcome turns a report into an exit code.
func outcome(result *ingest.Report, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%w\nWhat was recorded is kept: `ingest resume %d` goes on", err, result.Job)
	case result.Interrupted:
		return &codeError{exitInterrupted, fmt.Errorf("interrupted; what was stored is recorded: `ingest resume %d`, or the same command, goes on", result.Job)}
	case len(result.Refused) > 0:
		return &codeError{code: exitSomeRefused}
	default:
		return nil
	}
}
