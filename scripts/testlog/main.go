// Command testlog reads the output of `go test -json`. It prints a line for each package and the output of each
// test that did not pass, and appends a line for each skipped test to a file: its package, the reason, and
// after a tab its name.
//
//	go test -json ./... | go run ./scripts/testlog SKIPPED
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// event is a line of `go test -json`.
type event struct {
	Action, Package, Test, Output string
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "testlog:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("want the file for the skipped tests")
	}
	skipped, err := os.OpenFile(args[0], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	return errors.Join(filter(in, out, skipped), skipped.Close())
}

// filter copies what matters of in to out, and the skipped tests to skipped.
func filter(in io.Reader, out, skipped io.Writer) error {
	output := map[event]string{} // of running and failed tests; only Package and Test are set
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		if json.Unmarshal(line, &e) != nil {
			out.Write(line) // the go command prints some errors as they are
		}
		key := event{Package: e.Package, Test: e.Test}
		switch {
		case e.Action == "build-output":
			fmt.Fprint(out, e.Output)
		case e.Action == "output":
			output[key] += e.Output
		case e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
			printPackage(out, output, e)
		case e.Action == "skip":
			test, _, _ := strings.Cut(e.Test, "/")
			fmt.Fprintf(skipped, "%s: %s\t%s\n", e.Package, reason(output[key]), test)
			delete(output, key)
		case e.Action == "pass":
			delete(output, key)
		case e.Action == "fail":
			fmt.Fprint(out, output[key])
			delete(output, key)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// printPackage prints the end of a package. After a failure, tests without an end are those that ran.
func printPackage(out io.Writer, output map[event]string, end event) {
	for key, text := range output {
		if key.Package == end.Package && key.Test != "" {
			if end.Action == "fail" {
				fmt.Fprint(out, text)
			}
			delete(output, key)
		}
	}
	key := event{Package: end.Package}
	for line := range strings.Lines(output[key]) {
		if line != "PASS\n" && !strings.Contains(line, "[no test files]") {
			fmt.Fprint(out, line)
		}
	}
	delete(output, key)
}

// place starts what a test logs: its file and line.
var place = regexp.MustCompile(`^\S+\.go:\d+: `)

// reason is what a test logged before it was skipped, in one line.
func reason(output string) string {
	var kept []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			kept = append(kept, place.ReplaceAllString(line, ""))
		}
	}
	return strings.Join(kept, " ")
}
