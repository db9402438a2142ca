package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
)

// selectFlags choose what models and register search for, and where.
type selectFlags struct {
	patterns format.Selection
	from     []string // files with paths
	others   bool
}

func (f *selectFlags) addTo(flags *pflag.FlagSet, others string) {
	flags.StringArrayVar(&f.patterns.Include, "include", nil,
		"in folders, only models whose path below the folder matches this `pattern`, such as '*.gguf'; repeatable")
	flags.StringArrayVar(&f.patterns.Exclude, "exclude", nil,
		"in folders, no file whose path below the folder matches this `pattern`, such as '/old/**'; repeatable")
	flags.StringArrayVar(&f.from, "files-from", nil,
		"also the paths in this `file`, one per line; - is stdin; lines that start with # are comments")
	flags.BoolVar(&f.others, "opaque-files", false, others)
}

// filesFrom is the flag that stands for PATH.
const filesFrom = "files-from"

// requirePaths requires a PATH or --files-from.
func requirePaths(c *cobra.Command, args []string) error {
	if c.Flags().Changed(filesFrom) {
		return nil
	}
	return requireArg("PATH", cobra.MinimumNArgs(1))(c, args)
}

// paths returns the absolute paths of the arguments and of --files-from, and checks the patterns.
func (f *selectFlags) paths(ctx context.Context, args []string) ([]string, error) {
	if err := f.patterns.Check(); err != nil {
		return nil, usage("--include, --exclude: %w", err)
	}
	paths := slices.Clone(args)
	for _, name := range f.from {
		listed, err := readPaths(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("--files-from %s: %w", ingest.Printable(name), err)
		}
		paths = append(paths, listed...)
	}
	if len(paths) == 0 {
		return nil, usage("--files-from: no path is listed")
	}
	return absolute(paths)
}

// readPaths reads paths, one per line, from a file or stdin.
func readPaths(ctx context.Context, name string) ([]string, error) {
	type result struct {
		paths []string
		err   error
	}
	done := make(chan result, 1)
	go func() { // an interrupt does not end a wait for a terminal or a pipe
		paths, err := listedPaths(name)
		done <- result{paths, err}
	}()
	select {
	case r := <-done:
		return r.paths, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func listedPaths(name string) (paths []string, err error) {
	file := os.Stdin
	if name != "-" {
		if name, err = expandHomePath(name); err != nil {
			return nil, err
		}
		if file, err = os.Open(name); err != nil {
			return nil, err
		}
		defer file.Close()
	}
	err = eachLine(file, func(number int, line string) error {
		if strings.ContainsRune(line, 0) {
			return fmt.Errorf("line %d has a zero byte: want one path per line", number)
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			paths = append(paths, line)
		}
		return nil
	})
	return paths, err
}

// eachLine passes the lines of a text, numbered from 1, without their ends and the mark with which some
// editors begin a text.
func eachLine(text io.Reader, use func(number int, line string) error) error {
	lines := bufio.NewScanner(text)
	number := 0
	for lines.Scan() {
		number++
		line := lines.Text() // without \r\n
		if number == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if err := use(number, line); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d has more than %s", number+1, human(bufio.MaxScanTokenSize))
	}
	return lines.Err()
}

// source identifies the work of a job over paths.
func (f *selectFlags) source(paths []string) string {
	parts := slices.Clone(paths)
	for _, pattern := range f.patterns.Include {
		parts = append(parts, "--include="+pattern)
	}
	for _, pattern := range f.patterns.Exclude {
		parts = append(parts, "--exclude="+pattern)
	}
	return strings.Join(parts, "\n")
}

// optionPatterns is the key in the options of a job with its patterns.
const optionPatterns = "patterns"

// record adds the patterns to the options of a job, if there are any.
func (f *selectFlags) record(options map[string]string) {
	if len(f.patterns.Include)+len(f.patterns.Exclude) > 0 {
		text, _ := json.Marshal(f.patterns) // strings cannot fail
		options[optionPatterns] = string(text)
	}
	options["opaque-files"] = fmt.Sprint(f.others)
}

// recall sets the flags that record has recorded.
func (f *selectFlags) recall(options map[string]string) error {
	f.others = options["opaque-files"] == "true"
	text := options[optionPatterns]
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), &f.patterns); err != nil {
		return fmt.Errorf("the job's patterns are %s: run its command again", ingest.Printable(text))
	}
	return nil
}

// expandHome replaces ~ at the start of a path: a shell does not do so after dir: or in a list.
func expandHome(path string) (string, error) {
	if path != "~" && !strings.HasPrefix(path, "~/") && !(runtime.GOOS == "windows" &&
		strings.HasPrefix(path, `~\`)) {
		if strings.HasPrefix(path, "~") {
			return "", usage("%s: only ~ itself stands for your home folder: write the path in full, or ./%s",
				ingest.Printable(path), ingest.Printable(path))
		}
		return path, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, path[1:]), err
}

// expandHomePath is expandHome for the value of a flag. A shell does not replace the ~ after --flag=. A ~
// before a name is part of an ordinary file name.
func expandHomePath(path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "~"); !ok || rest != "" && !os.IsPathSeparator(rest[0]) {
		return path, nil
	}
	return expandHome(path)
}

// expandPaths expands the flags of a command that are paths of files and folders.
func expandPaths(c *cobra.Command) error {
	for _, name := range []string{"log-file", "out", "output", "repair", "root"} {
		f := c.Flags().Lookup(name)
		if f == nil {
			continue
		}
		path, err := expandHomePath(f.Value.String())
		if err == nil {
			err = f.Value.Set(path)
		}
		if err != nil {
			return usage("--%s: %w", name, err)
		}
	}
	return nil
}

// expandAddress replaces ~ in the address of a folder or a file.
func expandAddress(flag string, address *string) error {
	for _, scheme := range []string{"dir:", "sqlite:"} {
		path, ok := strings.CutPrefix(*address, scheme)
		if !ok || !strings.HasPrefix(path, "~") {
			continue
		}
		path, err := expandHome(path)
		if err != nil {
			return usage("%s: %w", flag, err)
		}
		*address = scheme + path
	}
	return nil
}
