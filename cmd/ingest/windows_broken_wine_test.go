//go:build linux && amd64

package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// broken shows that the tests can fail: they detect programs with one wrong statement.
func (w *windows) broken(t *testing.T) {
	for _, test := range []struct{ name, file, from, to, says string }{
		{"a file that is not closed", "file.go", "failed := file.Close()", "failed := error(nil)",
			"data cannot be changed while a file is open"},
		{"the token of no transaction", "store.go", "opener{files, policy, token, begun}",
			"opener{files, policy, append(token[:0:0], make([]byte, 16)...), begun}", "Win32 error 87"},
		{"a payload that is not written", "store.go", "written, err := file.Write(payload[:n])",
			"written, err := n, error(nil)", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			source, err := filepath.Abs("../../storage/sqlserver/filestream/" + test.file)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(source)
			if err != nil || strings.Count(string(text), test.from) != 1 {
				t.Fatalf("%s does not have %q exactly once: %v", source, test.from, err)
			}
			mutant, overlay := filepath.Join(folder, test.file), filepath.Join(folder, "overlay.json")
			list, err := json.Marshal(map[string]any{"Replace": map[string]string{source: mutant}})
			if err := errors.Join(err, os.WriteFile(mutant, []byte(strings.Replace(string(text), test.from, test.to,
				1)), 0o666), os.WriteFile(overlay, list, 0o666)); err != nil {
				t.Fatal(err)
			}
			broken := *w
			broken.program = filepath.Join(folder, "ingest.exe")
			buildWindows(t, broken.program, "-overlay", overlay)
			s := newServerDouble(t)
			h := s.home(t, &broken, "win32")
			if test.says == "" { // the server accepts that; only reading detects it
				h.run(exitDone, "models", windowsPath(w.sample))
				h.run(exitDamage, "verify")
				return
			}
			if e := h.run(exitFailed, "models", windowsPath(w.sample)); !strings.Contains(e.stderr, test.says) {
				t.Errorf("got %s, want %q", e.stderr, test.says)
			}
			s.wantIdle(t)
			if rows, _ := s.payloads(); rows != 0 {
				t.Errorf("%d rows are recorded", rows)
			}
		})
	}
}
