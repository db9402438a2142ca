package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/pflag"

	"github.com/hartonomous/ingest/ingest"
)

// logFlags say what is logged, and where.
type logFlags struct {
	level, file string
	verbose     int
	opened      *os.File // nil for stderr
	to          *checkedWriter
}

func (f *logFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.level, "log-level", "warn", "debug, info, warn or error")
	flags.CountVarP(&f.verbose, "verbose", "v", "log more: -v is --log-level info, and -vv is debug")
	flags.StringVar(&f.file, "log-file", "", "append logs to this file, instead of writing them to stderr")
}

// open returns a logger to the file, or to stderr if none is named. The file is open until close.
func (f *logFlags) open(stderr io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, usage("--log-level %q: want debug, info, warn or error", f.level)
	}
	switch {
	case f.verbose > 1:
		level = min(level, slog.LevelDebug)
	case f.verbose == 1:
		level = min(level, slog.LevelInfo)
	}
	f.to = &checkedWriter{Writer: stderr}
	if f.file != "" {
		file, err := os.OpenFile(f.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return nil, fmt.Errorf("--log-file %s: %w", ingest.Printable(f.file), err)
		}
		f.opened, f.to.Writer = file, file
	}
	return slog.New(slog.NewTextHandler(f.to, &slog.HandlerOptions{Level: level})), nil
}

// close closes the file, and returns the first error of writing it.
func (f *logFlags) close() error {
	if f.opened == nil {
		return nil
	}
	err := cmp.Or(f.to.err, f.opened.Close())
	f.opened = nil
	if err != nil {
		err = fmt.Errorf("--log-file: %w: the log is incomplete", err)
	}
	return err
}

// withLog closes the log. A command whose log is lost has failed, but a full log does not stop it.
func (p *program) withLog(err error) error {
	lost := p.logging.close()
	if err == nil || lost == nil {
		return cmp.Or(err, lost)
	}
	fmt.Fprintln(p.stderr, "ingest:", terminalSafe(lost.Error()))
	return err
}
