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
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/pipeline"
)

// ingestFlags are the flags of models and resume.
type ingestFlags struct {
	segment  byteSize
	jobs     int
	workers  int
	compress codec.Level
	opaque   bool
	recheck  bool
	dryRun   bool
	selectFlags
}

func (f *ingestFlags) register(c *cobra.Command) {
	f.segment = ingest.DefaultSegmentBytes
	flags := c.Flags()
	flags.IntVar(&f.jobs, "jobs", 0, "files in parallel; 0 is 1, or 2 from four processors on, and 64 small models")
	flags.IntVar(&f.workers, "workers", 0, "segments in parallel per file; 0 is four per processor, at most 16")
}

func newModels(p *program) *cobra.Command {
	f := &ingestFlags{}
	c := &cobra.Command{
		Use:   "models PATH...",
		Short: "Ingest model files and folders",
		Long: `Ingest model files and folders: GGUF, safetensors, PyTorch and ONNX files, llamafiles, and the folders in
which Ollama, the Hugging Face hub, llama.cpp, LM Studio, Docker Model Runner and ramalama keep models.
Parts of a split model, and the files that belong to a model, are ingested with it.

Stored files that have not changed are skipped. If a run over the same paths was interrupted, the
command resumes it. In folders it skips hidden files, unfinished downloads, keys, logs and histories,
and counts files that are not models. A file that you name is ingested, as a blob if its format is unknown.

` + exitCodes,
		Example: `  ingest models ~/.ollama/models
  ingest models model-00001-of-00003.gguf --store dir:/mnt/payloads
  ingest models /mnt/models --include '*.gguf' --exclude 'drafts/**'`,
		Args: requirePaths,
		RunE: func(c *cobra.Command, paths []string) error {
			if c.Flags().Changed("compress") && f.compress != codec.Off && !p.encodes() {
				return usage("--compress %s: payloads in rows and in the blob layout position are not encoded, "+
					"because other programs read them: omit it, or use another store", f.compress)
			}
			return p.models(c.Context(), f, paths)
		},
	}
	f.register(c)
	f.compress = codec.Auto
	c.Flags().Var(&f.compress, "compress", compressHelp)
	c.Flags().Var(&f.segment, "segment-size", "maximum size of a segment, 1MiB to 64MiB")
	c.Flags().BoolVar(&f.opaque, "opaque", false,
		"store a damaged file of a known format as a blob instead of refusing it")
	f.selectFlags.addTo(c.Flags(), "in folders, store files that are not models as blobs, too")
	c.Flags().BoolVar(&f.recheck, "recheck", false, "read unchanged source files again, and compare them with the "+
		"recorded digests (verify checks the store)")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "list the files to ingest with totals and the disk "+
		"space needed; read headers only, and write nothing")
	return c
}

func (p *program) models(ctx context.Context, f *ingestFlags, args []string) error {
	paths, err := f.paths(ctx, args)
	if err != nil {
		return err
	}
	if f.dryRun {
		return p.dryRun(ctx, f, paths)
	}
	options, err := p.jobOptions(f)
	if err != nil {
		return err
	}
	request := ingest.JobRequest{Pipeline: "models", Source: f.source(paths), Paths: paths, Options: options}
	return p.runModels(ctx, f, request, p.printReport)
}

// absolute returns the absolute paths of files and folders.
func absolute(paths []string) ([]string, error) {
	all := make([]string, len(paths))
	for i, path := range paths {
		if path == "" {
			return nil, usage("PATH is empty: is a variable unset?")
		}
		if strings.Contains(path, "://") {
			return nil, usage("PATH %s: want a file or a folder, not a URL", redact(path))
		}
		var err error
		if _, statErr := os.Lstat(path); statErr != nil {
			if path, err = expandHome(path); err != nil {
				return nil, err
			}
		}
		if all[i], err = filepath.Abs(path); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// jobOptions returns the settings that resume restores.
func (p *program) jobOptions(f *ingestFlags) (map[string]string, error) {
	store, err := p.storeName()
	options := map[string]string{"segment-size": f.segment.String(), "opaque": strconv.FormatBool(f.opaque),
		"recheck": strconv.FormatBool(f.recheck), "compress": f.compress.String(), "blob-layout": p.blobs.layout,
		ingest.OptionStore: store}
	f.record(options)
	return options, err
}

func (f *ingestFlags) restore(options map[string]string) error {
	if text, ok := options["segment-size"]; ok {
		if err := f.segment.Set(text); err != nil {
			return err
		}
	}
	if text, ok := options["compress"]; ok {
		if err := f.compress.Set(text); err != nil {
			return err
		}
	}
	f.opaque = options["opaque"] == "true"
	f.recheck = options["recheck"] == "true"
	return f.recall(options)
}

// encodes reports whether payloads may be encoded: those in rows and those by position may not, because
// other programs read them.
func (p *program) encodes() bool { return p.store != inRows && !p.blobs.byPosition() }

// settings returns the checked options of a run.
func (p *program) settings(f *ingestFlags) (pipeline.Options, error) {
	if f.jobs < 0 || f.workers < 0 {
		return pipeline.Options{}, usage("--jobs %d, --workers %d: want 0 or more", f.jobs, f.workers)
	}
	options := pipeline.Options{SegmentBytes: int64(f.segment), MemoryBytes: int64(p.memory), Jobs: f.jobs,
		Workers: f.workers, Compress: f.compress, Recheck: f.recheck}
	if !p.encodes() {
		options.Compress = codec.Off
	}
	if err := options.Check(); err != nil {
		return options, usage("%w", err)
	}
	return options.WithDefaults(), nil
}

// addProcessor lets one more goroutine run than there are processors. A thread that waits in a
// direct write keeps its processor until the runtime takes it away, which is late: on two
// processors a durable run took 2.6 s without this and 2.4 s with it, medians of twelve. The cost:
// the runtime no longer follows a CPU quota that changes.
func addProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

// runModels runs a job of models, and calls print with its report.
func (p *program) runModels(ctx context.Context, f *ingestFlags, request ingest.JobRequest,
	print func(*pipeline.Report)) error {
	options, err := p.settings(f)
	if err != nil {
		return err
	}
	addProcessor()
	p.blobs.calls = options.Jobs * options.Workers
	p.connections = options.Jobs + 6
	h, err := p.openFirst(ctx)
	if err != nil {
		return err
	}
	defer h.catalog.Close()
	h.logPayloadMode(p.log)
	if err := p.warnOnNewLayout(ctx, h, request.Options); err != nil {
		return err
	}
	found, err := p.find(ctx, f.selectFlags, request.Paths)
	if err != nil {
		return err
	}
	progress := &ingest.Progress{}
	run := pipeline.Ingester{Catalog: h.catalog, Store: h.store, StoreAddress: request.Options[ingest.OptionStore],
		Descriptions: h.descriptions, Unshared: p.blobs.byPosition(), Pool: p.pool(), Parse: f.parser(p, options).Parse,
		Options: options, Progress: progress, Log: p.log}
	stop := p.showProgress(progress)
	result, err := p.runWhenFree(ctx, &run, request, found)
	stop()
	if result == nil {
		return err
	}
	print(result)
	if err := p.outcome(result, err); err != nil || request.Job != 0 {
		return err // a job that is resumed was given its paths before
	}
	return requireFound(found, request.Paths)
}

// warnOnNewLayout warns if earlier runs used another blob layout. It changes nothing.
func (p *program) warnOnNewLayout(ctx context.Context, h *env, options map[string]string) error {
	if !isBlobs(p.store) {
		return nil
	}
	for job, err := range h.catalog.AllJobs(ctx) {
		if err != nil {
			return err
		}
		store, before, now := job.Options[ingest.OptionStore], job.Options["blob-layout"], options["blob-layout"]
		if store == options[ingest.OptionStore] && before != "" && before != now {
			fmt.Fprintf(p.stderr, "ingest: warning: job %d used the blob layout %s in this store, and this run uses "+
				"%s: content that is already present is stored again, and counted as shared\n", job.ID, before, now)
			return nil
		}
	}
	return nil
}

// headerShare is the divisor of --memory for headers. Pipeline and catalogue take about as much
// each.
const headerShare = 6

// parser divides the memory for headers among the files that are read at once.
func (f *ingestFlags) parser(p *program, options pipeline.Options) format.Parser {
	return format.Parser{Opaque: f.opaque, HeaderBytes: int64(p.memory) / headerShare / int64(options.Jobs)}
}

// runWhenFree runs the job. If a process on another machine holds the lease, it waits once for the
// lease to expire: that process may have been killed.
func (p *program) runWhenFree(ctx context.Context, run *pipeline.Ingester, request ingest.JobRequest,
	found ingest.Found) (*pipeline.Report, error) {
	result, err := run.Run(ctx, request, found)
	var busy *ingest.BusyError
	if result != nil || !errors.As(err, &busy) || busy.Holder.Host == ingest.ThisProcess().Host {
		return result, err // on this machine, only a running process holds a lease
	}
	fmt.Fprintf(p.stderr, "ingest: %v; waiting for the lease to expire\n", err)
	select {
	case <-time.After(busy.Until + time.Second):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return run.Run(ctx, request, found)
}

// outcome returns the error, with its exit code, that ends a run.
func (p *program) outcome(result *pipeline.Report, err error) error {
	resume := p.given.again("resume", result.Job)
	switch {
	case err != nil:
		return fmt.Errorf("%w\nRecorded batches are kept: `%s` continues", err, resume)
	case result.Interrupted:
		return &codeError{exitInterrupted, fmt.Errorf("interrupted; stored segments are recorded: "+
			"`%s` or the same command continues", resume)}
	case len(result.Refused) > 0:
		return &codeError{code: exitSomeRefused}
	default:
		return nil
	}
}
