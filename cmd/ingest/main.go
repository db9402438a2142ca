// Command ingest takes model files of many gigabytes into a database, and out again.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/hartonomous/ingest/ingest"
)

// The exit codes, as `ingest --help` documents them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitSomeRefused = 3
	exitDamage      = 4
	exitInterrupted = 130
)

// codeError ends the program with a code. Its message, if it has one, was not printed yet.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program but for its end. The first interrupt ends the context, so that
// batches in hand are finished; the second ends the process at once.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(stderr, "\ningest: stopping: the batches in hand are being finished (interrupt again to stop at once)")
		cancel(ingest.ErrInterrupted)
		<-signals
		fmt.Fprintln(stderr, "ingest: stopped at once; what was recorded is kept")
		os.Exit(exitInterrupted)
	}()
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	return report(root.ExecuteContext(ctx), stderr)
}
