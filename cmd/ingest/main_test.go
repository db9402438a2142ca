package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"ingest": main})
}

// tests are all tests, and the removal of the program that some of them build.
type tests struct{ *testing.M }

func (t tests) Run() int {
	code := t.M.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn) // a remnant in the system's folder for temporary files
	}
	return code
}

// TestScripts runs what a user types: testdata/*.txt, one file a subject.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("INGEST_CATALOG", "sqlite:"+filepath.Join(env.WorkDir, "data", "catalog.db"))
			env.Setenv("INGEST_STORE", "")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // the detector sleeps for a second at each end
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("USERPROFILE", filepath.Join(env.WorkDir, "home"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"append":    cmdAppend,
			"block":     cmdBlock,
			"exits":     cmdExits,
			"gguf":      cmdGGUF,
			"json":      cmdJSON,
			"ollama":    cmdOllama,
			"payload":   cmdPayload,
			"printable": cmdPrintable,
			"register":  cmdRegister,
			"same":      cmdSame,
			"split":     cmdSplit,
			"stray":     cmdStray,
		},
	})
}

// builtIn is the folder of the program that realProgram built.
var builtIn string

// built makes the program as a user has it: without the race detector, which makes it several times slower.
var built = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("INGEST_TEST_PROGRAM"); path != "" { // a test that runs tests has built it
		return path, nil
	}
	var err error
	if builtIn, err = os.MkdirTemp("", "ingest-test"); err != nil {
		return "", err
	}
	if err := os.Chmod(builtIn, 0o755); err != nil { // one test runs it as another user
		return "", err
	}
	path := filepath.Join(builtIn, "ingest")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	build := exec.Command("go", "build", "-race=false", "-o", path, ".")
	build.Stderr = os.Stderr
	return path, build.Run()
})

// realProgram returns the path of the real program.
func realProgram(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatalf("go build: %v", err)
	}
	return path
}
