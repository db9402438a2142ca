package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

// onlyArguments are the flags that neither the environment nor the configuration sets: what deletes,
// clears, overwrites or takes over must be asked for each time.
var onlyArguments = []string{"help", "version", "yes", "force", "cascade", "unfinished", "clear-source",
	"clear-locators", "back", "take-over"}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "INGEST_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// readSettings sets the flags of a command that its arguments do not set, from the environment or else
// the configuration: all flags, or only those of the given names. The values are no defaults: the help
// would print their secrets.
func (p *program) readSettings(c *cobra.Command, only ...string) error {
	path, config, err := readConfig(c.Root())
	if err != nil {
		return err
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || err != nil || slices.Contains(onlyArguments, f.Name) ||
			len(only) > 0 && !slices.Contains(only, f.Name) {
			return
		}
		value, source := os.Getenv(variable(f.Name)), variable(f.Name)
		if value == "" {
			value, source = config[f.Name], path
		}
		if value == "" {
			return
		}
		if invalid := f.Value.Set(value); invalid != nil {
			if want := wantedValue(f); want != "" {
				invalid = fmt.Errorf("%q: want %s", value, want)
			}
			err = usage("%s sets --%s: %w", ingest.Printable(source), f.Name, invalid)
			return
		}
		f.Changed, p.sources[f.Name] = true, source
	})
	return err
}

// noFlags are variables of ours that set no flag.
var noFlags = []string{sqlserver.PasswordVariable, sqlserver.PasswordFileVariable}

// minMistyped is the length of the names, without INGEST_, that warnMistyped checks. Shorter ones are similar to
// those of flags by chance: Kubernetes sets INGEST_PORT for a service with the name ingest.
const minMistyped = 5

// warnMistyped warns of variables whose names are almost those of flags that variables can set, such as
// INGEST_CATALOGUE: without INGEST_STORE, payloads go elsewhere. It does not refuse them, because other programs
// may use them.
func (p *program) warnMistyped(root *cobra.Command) {
	flags := flagsOf(root)
	for _, setting := range os.Environ() {
		name, value, _ := strings.Cut(setting, "=")
		typed, ours := strings.CutPrefix(name, variable(""))
		typed = strings.ToLower(strings.ReplaceAll(typed, "_", "-"))
		if !ours || value == "" || len(typed) < minMistyped || slices.Contains(flags, typed) ||
			slices.Contains(noFlags, name) {
			continue
		}
		for _, flag := range flags {
			longer := len(flag) >= minMistyped && strings.HasPrefix(typed, flag)
			if (longer || distance(typed, flag) == 1) && !slices.Contains(onlyArguments, flag) {
				fmt.Fprintf(p.stderr, "ingest: warning: %s sets no flag; %s does\n", ingest.Printable(name),
					variable(flag))
			}
		}
	}
}

// flagsOf returns the names of the flags of a command and its subcommands.
func flagsOf(c *cobra.Command) (names []string) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	for _, child := range c.Commands() {
		names = append(names, flagsOf(child)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// readConfig reads the configuration, if there is one: lines with the name of a flag and its value.
func readConfig(root *cobra.Command) (path string, config map[string]string, err error) {
	folder, err := os.UserConfigDir()
	if err != nil {
		return "", nil, nil // no home folder
	}
	path = filepath.Join(folder, "ingest", "config")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil, nil
	}
	if err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for a writer
		err = usage("%s is not a file", ingest.Printable(path))
	}
	if err != nil {
		return path, nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return path, nil, err
	}
	defer file.Close()
	config, flags := map[string]string{}, flagsOf(root)
	err = eachLine(file, func(number int, line string) error {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			return nil
		}
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if !ok || !slices.Contains(flags, name) || slices.Contains(onlyArguments, name) {
			return fmt.Errorf("line %d%s: want NAME = VALUE, where --NAME is a flag that may be set here: "+
				"`ingest help environment`", number, keyIn(name))
		}
		if _, again := config[name]; again {
			return fmt.Errorf("line %d: --%s is set a second time", number, name)
		}
		config[name] = strings.TrimSpace(value)
		return nil
	})
	if err != nil {
		return path, nil, usage("%s: %w", ingest.Printable(path), err)
	}
	return path, config, nil
}

// keyIn returns the first word of a line for an error, unless it may be a secret in the wrong place.
func keyIn(line string) string {
	word, _, _ := strings.Cut(line, " ")
	if !flagName.MatchString(word) {
		return ""
	}
	return ", " + word
}

var flagName = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]{0,29}$`)

// nameSources lets each usage error of a command and its subcommands tell where the flags in it were
// set, if not by arguments.
func (p *program) nameSources(c *cobra.Command) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error { return p.withSources(run(c, args)) }
	}
	for _, child := range c.Commands() {
		p.nameSources(child)
	}
}

func (p *program) withSources(err error) error {
	var coded *codeError
	if !errors.As(err, &coded) || coded.code != exitUsage {
		return err
	}
	text := coded.Error()
	for _, name := range slices.Sorted(maps.Keys(p.sources)) {
		if regexp.MustCompile(`--` + name + `([^a-z-]|$)`).MatchString(text) {
			err = usage("%w\n%s sets --%s", err, ingest.Printable(p.sources[name]), name)
		}
	}
	return err
}
