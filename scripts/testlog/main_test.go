package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// jsonLines are the events as `go test -json` prints them.
func jsonLines(t *testing.T, events ...event) string {
	t.Helper()
	var all strings.Builder
	for _, e := range events {
		if err := json.NewEncoder(&all).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

func TestFilter(t *testing.T) {
	in := "go: no such tool\n" + jsonLines(t,
		event{Action: "build-output", Output: "a.go:1: undefined: x\n"},
		event{Action: "output", Package: "p", Test: "TestQuiet", Output: "noise\n"},
		event{Action: "pass", Package: "p", Test: "TestQuiet"},
		event{Action: "output", Package: "p", Test: "TestSkip/sub", Output: "=== RUN   TestSkip\n"},
		event{Action: "output", Package: "p", Test: "TestSkip/sub", Output: "    a_test.go:1: no server:\n"},
		event{Action: "output", Package: "p", Test: "TestSkip/sub", Output: "        set X\n"},
		event{Action: "output", Package: "p", Test: "TestSkip/sub", Output: "--- SKIP: TestSkip (0.00s)\n"},
		event{Action: "skip", Package: "p", Test: "TestSkip/sub"},
		event{Action: "output", Package: "p", Output: "PASS\n"},
		event{Action: "output", Package: "p", Output: "ok  \tp\t1s\n"},
		event{Action: "pass", Package: "p"},
		event{Action: "output", Package: "q", Test: "TestBad", Output: "bad value\n"},
		event{Action: "fail", Package: "q", Test: "TestBad"},
		event{Action: "output", Package: "q", Test: "TestStuck", Output: "waits\n"},
		event{Action: "output", Package: "q", Output: "panic: test timed out\n"},
		event{Action: "fail", Package: "q"},
		event{Action: "output", Package: "r", Output: "?   \tr\t[no test files]\n"},
		event{Action: "skip", Package: "r"})
	var out, skipped strings.Builder
	if err := filter(strings.NewReader(in), &out, &skipped); err != nil {
		t.Fatal(err)
	}
	const want = "go: no such tool\na.go:1: undefined: x\nok  \tp\t1s\nbad value\nwaits\npanic: test timed out\n"
	if got := out.String(); got != want {
		t.Errorf("prints\n%s\nwant\n%s", got, want)
	}
	if got, want := skipped.String(), "p: no server: set X\tTestSkip\n"; got != want {
		t.Errorf("skipped: %q, want %q", got, want)
	}
}

func TestRunNeedsAFile(t *testing.T) {
	if err := run(nil, strings.NewReader(""), &strings.Builder{}); err == nil {
		t.Error("no file for the skipped tests: no error")
	}
}
