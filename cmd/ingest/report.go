package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// report prints the error that ends the program and a hint, and returns the exit code.
func report(err error, stderr io.Writer) int {
	if err == nil {
		return exitDone
	}
	var coded *codeError
	code := exitFailed
	if errors.As(err, &coded) {
		code = coded.code
		if coded.err == nil {
			return code
		}
		err = coded.err
	} else if errors.Is(err, context.Canceled) || errors.Is(err, ingest.ErrInterrupted) {
		code = exitInterrupted
	}
	// Only an interrupt cancels calls, and some report that in Go's words.
	text := strings.ReplaceAll(err.Error(), context.Canceled.Error(), ingest.ErrInterrupted.Error())
	fmt.Fprintln(stderr, "ingest:", terminalSafe(withoutSecrets(text)))
	if hint := hintFor(err); hint != "" {
		fmt.Fprintln(stderr, "ingest: hint:", hint)
	}
	return code
}

// secrets match what an address in the wrong place, such as -store=ADDRESS, has of secrets. Errors about
// arguments repeat them.
var (
	secretLogin = regexp.MustCompile(`(://[^\s/:@"]*):[^\s"]*@`)
	secretValue = regexp.MustCompile(`(?i)\b(sig|accountkey|sharedaccesssignature|password|pwd)\s*=[^&;"\n]+`)
)

func withoutSecrets(text string) string {
	return secretValue.ReplaceAllString(secretLogin.ReplaceAllString(text, "$1:xxxxx@"), "$1=...")
}

func hintFor(err error) string {
	switch {
	case errors.Is(err, ingest.ErrBusy):
		return "wait for the other process to end, and run the command again; `ingest status` shows it"
	case errors.Is(err, ingest.ErrLeaseLost):
		return "this process was suspended or disconnected until its lease expired; `ingest status` shows the job"
	default:
		return ""
	}
}

func usage(format string, args ...any) error {
	return &codeError{exitUsage, fmt.Errorf(format, args...)}
}
