package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

// program holds what all commands share: the common flags, and where to print.
type program struct {
	stdout, stderr io.Writer
	catalog, store string
	json, quiet    bool
	logging        logFlags
	filestream     string
	connections    int // to a server; 0 for the default, which is enough for reading
	memory         byteSize
	blobs          storeFlags
	log            *slog.Logger
	screen         *screen
	watch          watch
	given          given
	told           atomic.Int64      // when a line last told of a retry, in nanoseconds
	sources        map[string]string // of flags that arguments do not set: a variable or a file
}

const exitCodes = "`ingest help exit-codes` lists the exit codes."

func newProgram(stdout, stderr io.Writer) (*program, *cobra.Command) {
	p := &program{memory: buffer.DefaultMemory, sources: map[string]string{}}
	p.stdout, p.stderr, p.screen = onScreen(stdout, stderr)
	showVersion := false
	root := &cobra.Command{
		Use:   "ingest",
		Short: "Move model files of many gigabytes into a database, and back out",
		Long: `Move model files of many gigabytes into a database, and back out bit for bit.

Interrupted runs resume when you run the same command again.

` + exitCodes,
		SilenceErrors: true, SilenceUsage: true,
		Args: knownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			if showVersion {
				return p.version(c)
			}
			return c.Help()
		},
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if showVersion || strings.HasPrefix(c.Name(), cobra.ShellCompRequestCmd) {
				return nil // a completion is silent; what needs settings reads them
			}
			p.given = givenOn(c)
			c.SetContext(storage.WithObserver(c.Context(), p.retrying))
			err := p.setUp(c)
			if err == nil {
				p.log, err = p.logging.open(p.stderr)
			}
			return p.withSources(err)
		},
	}
	root.Flags().BoolVar(&showVersion, "version", false, "print the version")
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		var invalid *pflag.InvalidValueError
		if errors.As(err, &invalid) {
			if want := wantedValue(invalid.GetFlag()); want != "" {
				err = fmt.Errorf("--%s %s: want %s", invalid.GetFlag().Name, ingest.Printable(invalid.GetValue()), want)
			}
		}
		return usage("%w\n`%s --help` lists the flags", unknownFlag(c, err), c.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVar(&p.catalog, "catalog", "", "where rows go: sqlite:PATH, or sqlserver://HOST?database=NAME "+
		"(default a file in your data folder; env INGEST_CATALOG)")
	flags.StringVar(&p.store, "store", "", "where payloads go: dir:PATH, azblob://ACCOUNT/CONTAINER, or row for the "+
		"catalogue's own rows (default a folder beside the catalogue; env INGEST_STORE)")
	flags.BoolVar(&p.json, "json", false, "print one JSON object per line")
	flags.BoolVarP(&p.quiet, "quiet", "q", false, "print only lists, damage and errors: no progress and no summary")
	p.logging.register(flags)
	flags.Var(&p.memory, "memory", "memory limit")
	flags.StringVar(&p.filestream, "filestream", string(sqlserver.Auto), "how payloads are written to rows of SQL "+
		"Server: win32 (as files, with OpenSqlFilestream), tsql or auto")
	p.blobs.register(flags)
	root.AddCommand(newModels(p), newRegister(p), newResume(p), newStatus(p), newList(p), newShow(p), newInspect(p),
		newExport(p), newCat(p), newVerify(p), newMigrate(p), newRecompress(p), newRename(p), newRm(p), newGC(p),
		newBackup(p), newRebuild(p), newSchema(p), newVersion(p), newMan(p))
	root.AddCommand(newTopics()...)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = knownTopic
		// For an unknown shell, cobra prints the help and exits with 0.
		case "completion":
			c.Args = requireArg("SHELL", knownCommand)
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
	asUsage(root)
	p.nameSources(root)
	arrangeHelp(root)
	p.addCompletions(root)
	return p, root
}

// wantedValue says what values a flag takes; empty if the flag's own error says it.
func wantedValue(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "bool":
		return "true or false"
	case "int", "int64", "float64":
		return "a number"
	case "duration":
		return "a duration such as 30m or 24h"
	}
	return ""
}

// knownCommand refuses a command that does not exist, and suggests one.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unknown command %q%s", args[0], didYouMean(suggestCommand(c, args[0])))
}

// knownTopic refuses help on a command that does not exist.
func knownTopic(c *cobra.Command, args []string) error {
	found, rest, err := c.Root().Find(args)
	if err != nil || !found.HasSubCommands() {
		return err
	}
	return knownCommand(found, rest)
}

// requireArg is check, with a message that names the argument if it is missing.
func requireArg(what string, check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s is missing", what)
		}
		return check(c, args)
	}
}

// helpOf returns the command that lists the commands of c, or all commands and topics for help itself.
func helpOf(c *cobra.Command) string {
	if c.Name() == "help" {
		return c.CommandPath()
	}
	return c.CommandPath() + " --help"
}

// asUsage makes a wrong number of arguments a usage error, with its exit code.
func asUsage(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := checkNames(c, args)
			if err == nil {
				err = check(c, args)
			}
			if err != nil {
				if c.Name() == "help" || c.HasSubCommands() {
					return usage("%w\n`%s` lists the commands", err, helpOf(c))
				}
				return usage("%w\n`%s --help` shows the arguments", err, c.CommandPath())
			}
			return nil
		}
	}
	for _, child := range c.Commands() {
		asUsage(child)
	}
}

// checkNames compares the arguments with the names in c.Use, and names the first that is wrong.
func checkNames(c *cobra.Command, args []string) error {
	if c.HasSubCommands() || c.Name() == "help" {
		return nil
	}
	if f := c.Flags().Lookup(filesFrom); f != nil && f.Changed && len(args) == 0 {
		return nil // it has the paths
	}
	names := strings.Fields(c.Use)[1:]
	if i := slices.IndexFunc(names, func(name string) bool { return strings.HasPrefix(name, "-") }); i >= 0 {
		names = names[:i] // the rest are flags
	}
	repeated := len(names) > 0 && strings.HasSuffix(strings.Trim(names[len(names)-1], "[]"), "...")
	for i, arg := range args {
		switch {
		case len(names) == 0:
			return fmt.Errorf("%s takes no arguments", c.Name())
		case i >= len(names) && !repeated:
			return fmt.Errorf("unexpected argument %q", arg)
		case arg == "":
			return fmt.Errorf("%s is empty: is a variable unset?", strings.Trim(names[min(i, len(names)-1)], "[]."))
		}
	}
	if len(args) < len(names) && !strings.HasPrefix(names[len(args)], "[") {
		return fmt.Errorf("%s is missing", strings.TrimSuffix(names[len(args)], "..."))
	}
	return nil
}

// setUp reads the settings of a command, and checks the global ones.
func (p *program) setUp(c *cobra.Command) error {
	if err := p.readSettings(c); err != nil {
		return err
	}
	p.warnMistyped(c.Root())
	if p.memory <= 0 {
		return usage("--memory %s: must be positive", p.memory.String())
	}
	if !slices.Contains(sqlserver.PayloadModes(), sqlserver.PayloadMode(p.filestream)) {
		return usage("--filestream %q: want win32, tsql or auto", p.filestream)
	}
	if err := p.blobs.check(); err != nil {
		return err
	}
	for flag, address := range map[string]*string{"--catalog": &p.catalog, "--store": &p.store} {
		if err := expandAddress(flag, address); err != nil {
			return err
		}
	}
	if err := expandPaths(c); err != nil {
		return err
	}
	if err := checkStore("--store", p.store); err != nil {
		return err
	}
	if sqlserver.IsAddress(p.catalog) {
		if err := sqlserver.CheckAddress(p.catalog); err != nil {
			return usage("--catalog: %w", err)
		}
	}
	// --memory limits what the system counts. The garbage collector does not count the program's
	// code and what SQLite allocates: about 24 MiB.
	debug.SetMemoryLimit(max(int64(p.memory)-24<<20, int64(p.memory)/2))
	return nil
}

// printf writes a line for a person to stdout, unless --quiet or --json is set.
func (p *program) printf(format string, args ...any) {
	if !p.quiet && !p.json {
		fmt.Fprintf(p.stdout, format, args...)
	}
}
