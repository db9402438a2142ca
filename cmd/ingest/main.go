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

// checkedWriter remembers the first error: what was printed to nobody was not done.
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

// run is the program but for its end. The first interrupt ends the context, so that
// batches in hand are finished; the second ends the process at once.
//
// On Windows, Ctrl-C and Ctrl-Break are os.Interrupt. SIGTERM is what Go makes of a console that is closed, of
// logging off, and, in a service, of the system's shutdown; while the program is at its end, Go has Windows wait, which Windows does
// for some seconds. A batch that takes longer is done anew by the next run, as after a kill.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // as nohup does, and a shell for what it starts in the background
			signal.Notify(signals, s)
		}
	}
	go func() {
		<-signals
		fmt.Fprintln(stderr, "\ningest: stopping: what is in hand is being finished (interrupt again to stop at once)")
		cancel(ingest.ErrInterrupted)
		<-signals
		fmt.Fprintln(stderr, "ingest: stopped at once; what was recorded is kept: `ingest resume`, or the same command, goes on")
		os.Exit(exitInterrupted)
	}()
	out := &checkedWriter{Writer: stdout}
	root := newRoot(out, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("stdout: %w", out.err)
	}
	return report(err, stderr)
}
