package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLogFlags(t *testing.T) {
	for _, test := range []struct {
		level   string
		verbose int
		want    slog.Level
	}{{"warn", 0, slog.LevelWarn}, {"warn", 1, slog.LevelInfo}, {"warn", 2, slog.LevelDebug},
		{"error", 3, slog.LevelDebug}, {"debug", 1, slog.LevelDebug}} {
		var stderr strings.Builder
		log, err := (&logFlags{level: test.level, verbose: test.verbose}).open(&stderr)
		if err != nil {
			t.Fatal(err)
		}
		if !log.Enabled(t.Context(), test.want) || log.Enabled(t.Context(), test.want-1) {
			t.Errorf("--log-level %s and %d times -v do not log from %s on", test.level, test.verbose, test.want)
		}
	}
}

func TestLogFileIsAppended(t *testing.T) {
	f := &logFlags{level: "info", file: filepath.Join(t.TempDir(), "log")}
	for range 2 {
		var stderr strings.Builder
		log, err := f.open(&stderr)
		if err != nil {
			t.Fatal(err)
		}
		log.Info("text")
		if stderr.Len() > 0 {
			t.Errorf("stderr has %q", stderr.String())
		}
	}
	text, err := os.ReadFile(f.file)
	if err != nil || strings.Count(string(text), "msg=text\n") != 2 {
		t.Errorf("the file has %q, %v", text, err)
	}
}
