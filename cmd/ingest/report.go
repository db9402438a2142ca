package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hartonomous/ingest/ingest"
)

// report prints why the program ends, with a hint where the cure is known, and
// returns its exit code.
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
	fmt.Fprintln(stderr, "ingest:", harmless(err.Error()))
	if hint := hintFor(err); hint != "" {
		fmt.Fprintln(stderr, "ingest: hint:", hint)
	}
	return code
}

func hintFor(err error) string {
	switch {
	case errors.Is(err, ingest.ErrBusy):
		return "wait until it has ended, or watch it with `ingest status`"
	case errors.Is(err, ingest.ErrLeaseLost):
		return "this process was stopped or cut off for so long that another one took over; `ingest status` shows which"
	default:
		return ""
	}
}

func usage(format string, args ...any) error {
	return &codeError{exitUsage, fmt.Errorf(format, args...)}
}
