// Command ingest moves model files of many gigabytes into a database, and back out bit for bit.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
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

// checkedWriter keeps the first error: a command whose output or log is lost has failed.
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
	p, root := newProgram(out, stderr)
	root.SetArgs(args)
	stderr = p.stderr
	command := ""
	if c, _, err := root.Find(args); err == nil {
		command = c.Name()
	}
	go func() {
		<-signals
		if stopping := stopping(command); stopping != "" {
			fmt.Fprintf(stderr, "\ningest: %s (interrupt again to stop at once)\n", stopping)
		}
		cancel(ingest.ErrInterrupted)
		<-signals
		fmt.Fprintf(stderr, "ingest: stopped%s\n", p.continues(command))
		os.Exit(exitInterrupted)
	}()
	err := p.withLog(root.ExecuteContext(ctx))
	if err == nil && out.err != nil {
		err = fmt.Errorf("stdout: %w", out.err)
	}
	return report(err, stderr)
}

// stopping is the answer to the first interrupt.
func stopping(command string) string {
	switch command {
	case "models", "resume":
		return "stopping after the pending batches"
	case "status": // it ends at once, and an interrupt is how --watch ends
		return ""
	}
	return "stopping"
}

// continues says what continues the work of a process that ends at once.
func (p *program) continues(command string) string {
	job := p.watch.job()
	switch {
	case job != 0:
		return fmt.Sprintf("; recorded batches are kept: `%s` or the same command continues job %d",
			p.given.again("resume", job), job)
	case slices.Contains([]string{"models", "resume", "register", "segments", "locators", "recompress"}, command):
		return "; what is recorded is kept: the same command continues"
	}
	return ""
}
