// Command ingest takes model files of many gigabytes into a database, and out again.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
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
	// A thread that waits in a direct write keeps its processor from other goroutines until the runtime takes it
	// away, which is late. With one more than the machine has, hashing goes on: a tenth of the time of a run on two.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
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
func run(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		fmt.Fprintln(stderr, "\ningest: stopping: the batches in hand are being finished (interrupt again to stop at once)")
		cancel(ingest.ErrInterrupted)
		<-signals
		fmt.Fprintln(stderr, "ingest: stopped at once; what was recorded is kept")
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
