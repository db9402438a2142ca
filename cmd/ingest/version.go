package main

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// scripts/release sets these. Otherwise the Go tool records a version and a commit, if it can.
var releaseVersion, releaseCommit string

func newVersion(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print version, commit, Go version and platform",
		Example: "  ingest version --json",
		Args:    cobra.NoArgs,
		// version ignores all settings except --json.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE:              func(c *cobra.Command, _ []string) error { return p.version(c) },
	}
}

func (p *program) version(c *cobra.Command) error {
	if err := p.readSettings(c, "json"); err != nil {
		return err
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	b := buildOf(info)
	b.Version, b.Commit = cmp.Or(releaseVersion, b.Version), cmp.Or(releaseCommit, b.Commit)
	state := ""
	if b.Modified {
		state = " (modified)"
	}
	p.emit(buildObject{"build", b}, "ingest %s\ncommit %s%s\n%s %s\n", b.Version,
		cmp.Or(b.Commit, "unknown"), state, b.Go, b.Platform)
	p.printSummary(newSummary())
	return nil
}

// buildObject is how the program was built.
type buildObject struct {
	Object string `json:"object"` // `build`
	build
}

// build is how the program was built.
type build struct {
	Version  string `json:"version"`  // of the program: a tag, or `(devel)`
	Commit   string `json:"commit"`   // empty if it is not known
	Modified bool   `json:"modified"` // true if the sources differ from the commit
	Go       string `json:"go"`       // version of Go
	Platform string `json:"platform"` // system and architecture, such as `linux/amd64`
}

// buildOf reads what the Go tool recorded in the program.
func buildOf(info *debug.BuildInfo) build {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	return build{cmp.Or(info.Main.Version, "(devel)"), settings["vcs.revision"], settings["vcs.modified"] == "true",
		cmp.Or(info.GoVersion, runtime.Version()), runtime.GOOS + "/" + runtime.GOARCH}
}
