// Command ingest moves model files of many gigabytes into a database, and back out bit for bit.
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

// The exit codes, as `ingest help exit-codes` documents them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitSomeRefused = 3
	exitDamage      = 4
	exitInterrupted = 130
)

// codeError ends the program with an exit code. report prints its error, if there is one.
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

// checkedWriter keeps the first error: a command whose output is lost has failed.
type checkedWriter struct {
	io.Writer
	err error
}

func (w *checkedWriter) Write(text []byte) (int, error) {
	n, err := w.Writer.Write(text)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// run is main without os.Exit. The first interrupt cancels the context, and pending batches are
// committed. The second ends the process at once.
//
// On Windows, Ctrl-C and Ctrl-Break are os.Interrupt. Go turns a closed console, a logoff and, in a
// service, a shutdown into SIGTERM, and delays Windows while the program handles it. Windows waits
// for a few seconds. The next run repeats a batch that takes longer, as after a kill.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // nohup ignores signals, and so does a shell for background jobs
			signal.Notify(signals, s)
		}
	}
	out := &checkedWriter{Writer: stdout}
	root := newRoot(out, stderr)
	root.SetArgs(args)
	stderr = root.ErrOrStderr()
	stopping, stopped := "stopping", "stopped"
	if c, _, err := root.Find(args); err == nil {
		switch c.Name() {
		case "models", "resume":
			stopping += " after the pending batches"
			stopped += "; recorded batches are kept: `ingest resume` or the same command continues"
		case "status": // it ends at once, and an interrupt is how --watch ends
			stopping = ""
		}
	}
	go func() {
		<-signals
		if stopping != "" {
			fmt.Fprintf(stderr, "\ningest: %s (interrupt again to stop at once)\n", stopping)
		}
		cancel(ingest.ErrInterrupted)
		<-signals
		fmt.Fprintf(stderr, "ingest: %s\n", stopped)
		os.Exit(exitInterrupted)
	}()
	err := root.ExecuteContext(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("stdout: %w", out.err)
	}
	return report(err, stderr)
}
