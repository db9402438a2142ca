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

// tests runs all tests, and then removes the program that some of them build.
type tests struct{ *testing.M }

func (t tests) Run() int {
	// Programs that tests run have no configuration. Scripts have a home folder of their own.
	os.Setenv("XDG_CONFIG_HOME", filepath.Join(os.TempDir(), "no-such-folder"))
	code := t.M.Run()
	if buildFolder != "" {
		os.RemoveAll(buildFolder) // an error leaves a temporary folder
	}
	return code
}

// TestScripts runs command lines of users: testdata/*.txt.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:       "testdata",
		Condition: condition,
		Setup: func(env *testscript.Env) error {
			env.Setenv("INGEST_CATALOG", "sqlite:"+filepath.Join(env.WorkDir, "data", "catalog.db"))
			env.Setenv("INGEST_STORE", "")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // by default the race detector delays each exit by a second
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("USERPROFILE", filepath.Join(env.WorkDir, "home"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"append":    cmdAppend,
			"block":     cmdBlock,
			"case":      cmdCase,
			"damage":    cmdDamage,
			"exits":     cmdExits,
			"gguf":      cmdGGUF,
			"json":      cmdJSON,
			"ollama":    cmdOllama,
			"payload":   cmdPayload,
			"printable": cmdPrintable,
			"register":  cmdRegister,
			"same":      cmdSame,
			"small":     cmdSmall,
			"split":     cmdSplit,
			"garbage":   cmdGarbage,
		},
	})
}

// buildFolder is the folder of the program that realProgram builds.
var buildFolder string

// buildProgram builds the program without the race detector, which makes it several times slower.
var buildProgram = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("INGEST_TEST_PROGRAM"); path != "" { // set by rerunWithoutRace
		return path, nil
	}
	var err error
	if buildFolder, err = os.MkdirTemp("", "ingest-test"); err != nil {
		return "", err
	}
	if err := os.Chmod(buildFolder, 0o755); err != nil { // TestUnreadable runs it as another user
		return "", err
	}
	path := filepath.Join(buildFolder, "ingest")
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
	path, err := buildProgram()
	if err != nil {
		t.Fatalf("go build: %v", err)
	}
	return path
}
