//go:build linux && amd64

package filestream

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWine runs the tests of files_windows_test.go: the real Windows code calls a DLL that is
// compiled against Microsoft's header. That verifies the calls and their order under Wine, but not
// a real driver or server.
func TestWine(t *testing.T) {
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
	program := filepath.Join(folder, "filestream.test.exe")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, ".")
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range []struct{ name, hide, driver, run string }{
		{"all", "", "msoledbsql19.dll", "."},
		{"driver 18", "msoledbsql19=", "msoledbsql.dll", "^(TestFind|TestStoreAndLoad)$"},
		{"native client", "msoledbsql19,msoledbsql=", "sqlncli11.dll", "^(TestFind|TestStoreAndLoad)$"},
		{"no driver", "msoledbsql19,msoledbsql,sqlncli11=", "none", "^TestFind$"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := run(t, t.TempDir(), program, []string{"WINEDLLOVERRIDES=" + test.hide,
				"INGEST_TEST_DRIVER=" + test.driver}, "-test.v", "-test.run", test.run)
			if !strings.Contains(out, "--- PASS: TestFind") || strings.Contains(out, "--- SKIP: TestFind") {
				t.Errorf("not run:\n%s", out)
			}
		})
	}
}

// run runs a Windows program, with a folder for the double of the driver, and returns its output.
// The output is a file, because background processes of Wine would keep a pipe open.
func run(t *testing.T, folder, program string, env []string, args ...string) string {
	t.Helper()
	output, err := os.Create(filepath.Join(folder, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	wine := exec.CommandContext(t.Context(), "../../../scripts/wine", append([]string{"run", program}, args...)...)
	wine.Env = append(append(os.Environ(), "INGEST_FILESTREAM_FOLDER=Z:"+strings.ReplaceAll(folder, "/", `\`)), env...)
	wine.Stdout, wine.Stderr = output, output
	failed := wine.Run()
	printed, err := os.ReadFile(output.Name())
	if err != nil {
		t.Fatal(err)
	}
	if failed != nil {
		t.Fatalf("%v\n%s", failed, printed)
	}
	t.Logf("%s", printed)
	return string(printed)
}
