//go:build linux && amd64

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestWindowsProgram runs the program for Windows under Wine, and reads on Linux what it wrote.
// Wine is not Windows: this does not test NTFS.
func TestWindowsProgram(t *testing.T) {
	w := newWindows(t)
	t.Run("the data folder", w.dataFolder)
	t.Run("payloads in rows", w.inRows)
	t.Run("long paths", w.longPaths)
	t.Run("killed", w.killed)
	t.Run("on a console", w.console)
	t.Run("FILESTREAM", w.filestream)
}

// windows is the program for Windows and what it ingests.
type windows struct {
	program string // a Linux path, as all paths here that are not made by windowsPath
	sample  string
	files   map[string][]byte // of the sample, by name
}

func newWindows(t *testing.T) *windows {
	for _, program := range []string{"wine", "wineserver", "x86_64-w64-mingw32-gcc"} {
		if _, err := exec.LookPath(program); err == nil {
			continue
		} else if os.Getenv("CI") == "true" {
			t.Fatalf("%v: run scripts/wine install", err)
		} else {
			t.Skipf("%v: `scripts/wine install`, as root, installs what this test needs", err)
		}
	}
	folder := t.TempDir()
	w := &windows{program: filepath.Join(folder, "ingest.exe"), sample: filepath.Join(folder, "models"),
		files: map[string][]byte{}}
	buildWindows(t, w.program)
	// A copy protects the repository's files.
	if err := os.CopyFS(w.sample, os.DirFS("../../scripts/sample/models")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tiny.gguf", "tiny-chat.gguf"} {
		content, err := os.ReadFile(filepath.Join(w.sample, name))
		if err != nil {
			t.Fatal(err)
		}
		w.files[name] = content
	}
	return w
}

// buildWindows builds the program for Windows, with more arguments of go build.
func buildWindows(t *testing.T, program string, args ...string) {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-race=false"}, args...), "-o",
		program, ".")...)
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// windowsPath returns the path that Wine's programs have for a Linux path.
func windowsPath(path string) string { return `Z:` + strings.ReplaceAll(path, "/", `\`) }

// windowsHome has the data of a test, and the settings that tell the program where they are.
type windowsHome struct {
	*testing.T
	*windows
	box                // the data, with Linux paths
	flags     []string // --catalog, --store and others
	localData string   // %LOCALAPPDATA%; empty for Wine's own
	env       []string // more environment variables
}

// command returns the program with --json in the folder of the sample. Its output goes to files,
// because processes that Wine starts itself would keep a pipe open.
func (h windowsHome) command(args ...string) *exec.Cmd {
	h.T.Helper()
	command := append(append([]string{"run", windowsPath(h.windows.program)}, args...), append(h.flags, "--json")...)
	if h.localData != "" {
		// Wine sets the variable itself, so a shell must set it again.
		command = []string{"run", "cmd", "/c", "set LOCALAPPDATA=" + windowsPath(h.localData) + "&& " +
			strings.Join(command[1:], " ")}
	}
	script, err := filepath.Abs("../../scripts/wine")
	if err != nil {
		h.T.Fatal(err)
	}
	wine := exec.CommandContext(h.T.Context(), script, command...)
	wine.Dir = h.sample
	wine.Env = append(append(os.Environ(), "INGEST_CATALOG=", "INGEST_STORE=", "LC_ALL=C.UTF-8"), h.env...)
	folder := h.T.TempDir()
	stdout, err := os.Create(filepath.Join(folder, "stdout"))
	stderr, err2 := os.Create(filepath.Join(folder, "stderr"))
	if err := errors.Join(err, err2); err != nil {
		h.T.Fatal(err)
	}
	h.T.Cleanup(func() { stdout.Close(); stderr.Close() })
	wine.Stdout, wine.Stderr = stdout, stderr
	return wine
}

// run runs the program, which must end with this code.
func (h windowsHome) run(code int, args ...string) result {
	h.T.Helper()
	wine := h.command(args...)
	var exit *exec.ExitError
	if err := wine.Run(); err != nil && !errors.As(err, &exit) {
		h.T.Fatal(err)
	}
	stdout, err := os.ReadFile(wine.Stdout.(*os.File).Name())
	stderr, err2 := os.ReadFile(wine.Stderr.(*os.File).Name())
	if err := errors.Join(err, err2); err != nil {
		h.T.Fatal(err)
	}
	e := result{code: wine.ProcessState.ExitCode(), stderr: string(stderr)}
	if e.code != code {
		h.T.Fatalf("ingest.exe %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), e.code, code, stdout, stderr)
	}
	for line := range bytes.Lines(stdout) {
		var object map[string]any
		if err := json.Unmarshal(line, &object); err != nil {
			h.T.Fatalf("stdout holds %q: %v", line, err)
		}
		e.lines = append(e.lines, object)
	}
	return e
}

// wantSummary compares numbers of the summary.
func (h windowsHome) wantSummary(e result, numbers map[string]int64) {
	h.T.Helper()
	for field, n := range numbers {
		if got := number(e.event("summary"), field); got != n {
			h.T.Errorf("%s is %d, want %d: %v\n%s", field, got, n, e.event("summary"), e.stderr)
		}
	}
}

// exportAndCompare exports a model and compares the file with its source.
func (h windowsHome) exportAndCompare(model, to string, content []byte) {
	h.T.Helper()
	line := h.run(exitDone, "export", model, "-o", windowsPath(to)).event("exported")
	got, err := os.ReadFile(to)
	if err != nil {
		h.T.Fatal(err)
	}
	if line["sha256"] != ingest.Sum(content).String() || !bytes.Equal(got, content) {
		h.T.Errorf("%s: exported %d bytes with SHA-256 %s, reported as %v; want %d bytes, %s",
			model, len(got), ingest.Sum(got), line["sha256"], len(content), ingest.Sum(content))
	}
}

// auditFiles is the box's audit for files of a folder.
func (h windowsHome) auditFiles(folder string, files map[string][]byte) rows {
	h.T.Helper()
	want := map[string]ingest.Digest{}
	for name, content := range files {
		want[windowsPath(filepath.Join(folder, name))] = ingest.Sum(content)
	}
	return h.audit(want)
}

// dataFolder uses the default data folder of a Windows user.
func (w *windows) dataFolder(t *testing.T) {
	local := filepath.Join(t.TempDir(), "Local data") // a space, as in the names of many users
	data := filepath.Join(local, "ingest")
	h := windowsHome{T: t, windows: w, localData: local,
		box: box{TB: t, catalog: filepath.Join(data, "catalog.db"), store: filepath.Join(data, "store")}}

	h.wantSummary(h.run(exitDone, "models", windowsPath(w.sample)), map[string]int64{"taken": 2, "skipped": 0,
		"refused": 0, "bytes_read": 2 * 153472})
	h.wantSummary(h.run(exitDone, "models", "."), map[string]int64{"taken": 0, "skipped": 2, "bytes_read": 0})

	listed := map[string]string{}
	for _, model := range h.run(exitDone, "list").objects() {
		file := model["files"].([]any)[0].(map[string]any)
		listed[file["path"].(string)] = file["sha256"].(string)
	}
	for name, content := range w.files {
		if got := listed[windowsPath(filepath.Join(w.sample, name))]; got != ingest.Sum(content).String() ||
			len(listed) != len(w.files) {
			t.Errorf("%s is listed with SHA-256 %q, want %s: %v", name, got, ingest.Sum(content), listed)
		}
	}
	h.wantSummary(h.run(exitDone, "verify"), map[string]int64{"models": 2, "damaged": 0, "not_verified": 0})
	h.exportAndCompare("tiny", filepath.Join(t.TempDir(), "restored.gguf"), w.files["tiny.gguf"])

	// gc deletes a payload that no row refers to, and keeps the others.
	garbage := []byte("a killed run left this")
	path := payloadPath(h.store, ingest.Sum(garbage))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, garbage, 0o644)); err != nil {
		t.Fatal(err)
	}
	h.wantSummary(h.run(exitDone, "gc", "--yes"), map[string]int64{"payloads": 1, "bytes": int64(len(garbage))})
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("gc left %s (%v)", path, err)
	}
	if r := h.auditFiles(w.sample, w.files); len(r.models) != 2 || r.open != 0 || len(r.stored) != len(h.box.files()) {
		t.Errorf("%d models, %d of them open, %d segments in %d files of the store", len(r.models), r.open,
			len(r.stored), len(h.box.files()))
	}
	h.exportAndCompare("1", filepath.Join(t.TempDir(), "restored.gguf"), w.files["tiny-chat.gguf"])

	// Damage in the store is found and repaired. These bytes are the tensor blk.0.ffn_up.weight.
	weights := w.files["tiny.gguf"][56960:126592]
	if err := os.WriteFile(payloadPath(h.store, ingest.Sum(weights)), make([]byte, len(weights)), 0o644); err != nil {
		t.Fatal(err)
	}
	h.wantSummary(h.run(exitDamage, "verify", "tiny"), map[string]int64{"damaged": 1})
	h.wantSummary(h.run(exitDone, "verify", "tiny", "--repair", windowsPath(filepath.Join(w.sample, "tiny.gguf"))),
		map[string]int64{"damaged": 0, "repaired": 1})
	h.wantSummary(h.run(exitDone, "verify"), map[string]int64{"models": 2, "damaged": 0})
}

// inRows keeps payloads in the catalogue, whose path has a drive letter and backslashes.
func (w *windows) inRows(t *testing.T) {
	folder := t.TempDir()
	h := windowsHome{T: t, windows: w, box: box{TB: t, catalog: filepath.Join(folder, "catalog.db")}}
	h.flags = []string{"--catalog", "sqlite:" + windowsPath(h.catalog), "--store", inRows}

	h.wantSummary(h.run(exitDone, "models", windowsPath(w.sample)), map[string]int64{"taken": 2, "refused": 0})
	h.wantSummary(h.run(exitDone, "verify"), map[string]int64{"models": 2, "damaged": 0, "not_verified": 0})
	h.exportAndCompare("tiny", filepath.Join(folder, "restored.gguf"), w.files["tiny.gguf"])
	h.wantSummary(h.run(exitDone, "models", windowsPath(w.sample)), map[string]int64{"taken": 0, "skipped": 2,
		"bytes_read": 0})
	h.wantSummary(h.run(exitDone, "gc", "--yes"), map[string]int64{"payloads": 0, "atoms": 0})
	if r := h.auditFiles(w.sample, w.files); len(r.models) != 2 || r.open != 0 {
		t.Errorf("%d models, %d of them open", len(r.models), r.open)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			t.Errorf("payloads are in rows, but there is a folder %s", entry.Name())
		}
	}
}

// longPaths uses paths above the old Windows limit of 260 characters for everything that the
// program reads and writes, and file names that are not ASCII.
func (w *windows) longPaths(t *testing.T) {
	part := strings.Repeat("long", 25)
	folder := filepath.Join(t.TempDir(), part, part, part)
	source := filepath.Join(folder, "mod\u00e8les")
	if err := errors.Join(os.MkdirAll(source, 0o755), os.WriteFile(filepath.Join(source, "\u5c0f\u3055\u3044.gguf"),
		w.files["tiny.gguf"], 0o644)); err != nil {
		t.Fatal(err)
	}
	h := windowsHome{T: t, windows: w, box: box{TB: t, catalog: filepath.Join(folder, "data", "catalog.db"),
		store: filepath.Join(folder, "store")}}
	h.flags = []string{"--catalog", "sqlite:" + windowsPath(h.catalog), "--store", "dir:" + windowsPath(h.store)}

	h.wantSummary(h.run(exitDone, "models", windowsPath(source)), map[string]int64{"taken": 1, "refused": 0})
	h.wantSummary(h.run(exitDone, "verify"), map[string]int64{"models": 1, "damaged": 0, "not_verified": 0})
	h.exportAndCompare("tiny", filepath.Join(folder, "restored.gguf"), w.files["tiny.gguf"])
	h.wantSummary(h.run(exitDone, "gc"), map[string]int64{"payloads": 0, "remains": 0})
	stored := map[string][]byte{"\u5c0f\u3055\u3044.gguf": w.files["tiny.gguf"]}
	if r := h.auditFiles(source, stored); len(r.models) != 1 || r.open != 0 {
		t.Errorf("%d models, %d of them open", len(r.models), r.open)
	}
}

// killed kills the program within a file. resume detects at once that the job's owner has ended.
func (w *windows) killed(t *testing.T) {
	const size = 1 << 30 // a sparse file of several batches
	zeros := filepath.Join(t.TempDir(), "zeros")
	if err := errors.Join(os.WriteFile(zeros, nil, 0o644), os.Truncate(zeros, size)); err != nil {
		t.Fatal(err)
	}
	for range 10 { // the kill may come after the last batch, or before the first one is committed
		folder := t.TempDir()
		h := windowsHome{T: t, windows: w, box: box{TB: t, catalog: filepath.Join(folder, "catalog.db"),
			store: filepath.Join(folder, "store")}}
		h.flags = []string{"--catalog", "sqlite:" + windowsPath(h.catalog)}
		run := h.command("models", windowsPath(zeros))
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		began := int64(-1) // size of SQLite's log with the first payload; it grows with the first batch
		h.waitFor("a batch of rows", func() bool {
			log, err := os.Stat(h.catalog + "-wal")
			if err == nil && began < 0 {
				if payloads, _ := filepath.Glob(filepath.Join(h.store, "sha256", "*", "*")); len(payloads) > 0 {
					began = log.Size()
				}
			}
			return began >= 0 && (err != nil || log.Size() > began)
		})
		run.Process.Kill() // it may have ended
		if err := run.Wait(); err == nil {
			continue
		}
		left := h.auditFiles(filepath.Dir(zeros), nil)
		if left.open != 1 {
			t.Fatalf("%d models are open, %d bytes recorded", left.open, left.recorded)
		}
		if left.recorded == 0 { // the log grew, but the batch was not committed
			continue
		}
		resumed := h.run(exitDone, "resume")
		h.wantSummary(resumed, map[string]int64{"taken": 1, "refused": 0})
		if got := number(resumed.event("taken"), "bytes_resumed"); got != left.recorded ||
			strings.Contains(resumed.stderr, "waiting") {
			t.Errorf("it resumed after %d bytes, and %d were recorded\n%s", got, left.recorded, resumed.stderr)
		}
		h.wantSummary(h.run(exitDone, "verify"), map[string]int64{"models": 1, "damaged": 0})
		return
	}
	t.Error("no kill came between the first batch and the last")
}
