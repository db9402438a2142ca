package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/azureblob"
)

// TestRetrying: without a bar, the first retry is a line, and others within ten seconds are not. Short
// pauses are not reported.
func TestRetrying(t *testing.T) {
	busy := &azureblob.Error{Act: "store", URL: "https://account.blob.core.windows.net/c/x", Status: 503,
		Code: "ServerBusy"}
	for _, c := range []struct {
		name  string
		retry storage.Retry
		quiet bool
		want  string
	}{
		{"code", storage.Retry{Attempt: 3, Attempts: 8, Pause: time.Second, Err: busy}, false,
			"ingest: retrying: server busy, attempt 3 of 8\n"},
		{"hostile code", storage.Retry{Attempt: 2, Attempts: 8, Pause: time.Second,
			Err: &azureblob.Error{Status: 503, Code: "a\x1b[1m"}}, false,
			"ingest: retrying: \"a\\x1b[1m\", attempt 2 of 8\n"},
		{"no code", storage.Retry{Attempt: 2, Attempts: 8, Pause: time.Second,
			Err: &azureblob.Error{Status: 502}}, false, "ingest: retrying: status 502, attempt 2 of 8\n"},
		{"no answer", storage.Retry{Attempt: 2, Attempts: 8, Pause: time.Second, Err: &azureblob.Error{}}, false,
			"ingest: retrying: no answer from the store, attempt 2 of 8\n"},
		{"other", storage.Retry{Attempt: 2, Attempts: 8, Pause: time.Second, Err: errors.New("a\x1b[1m\nb")}, false,
			"ingest: retrying: a\\x1b[1m, attempt 2 of 8\n"},
		{"short", storage.Retry{Attempt: 2, Attempts: 8, Pause: time.Millisecond, Err: busy}, false, ""},
		{"quiet", storage.Retry{Attempt: 2, Attempts: 8, Pause: time.Second, Err: busy}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var printed strings.Builder
			p := &program{quiet: c.quiet}
			p.stdout, p.stderr, p.screen = onScreen(&printed, &printed)
			p.retrying(c.retry)
			p.retrying(c.retry)
			if printed.String() != c.want {
				t.Errorf("%q, want %q", printed.String(), c.want)
			}
		})
	}
}
