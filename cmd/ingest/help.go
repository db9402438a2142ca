package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commandGroups are the groups of commands in the help.
var commandGroups = []struct{ title, commands string }{
	{"Store", "models register resume"},
	{"Look", "status list show inspect"},
	{"Read", "export cat verify"},
	{"Move", "migrate"},
	{"Change", "recompress rename rm gc"},
	{"Back up", "backup rebuild"},
	{"Set up", "schema version completion man help"},
}

// flagGroups are the groups of the global flags in the help.
var flagGroups = []struct{ title, flags string }{
	{"Catalogue and store", "catalog store filestream blob-layout tier"},
	{"Limits", "memory cap-mbps"},
	{"Output", "json quiet verbose log-level log-file"},
}

// unusedFlags are the global flags that have no effect on a command and its subcommands. The help
// does not show them there. They are accepted, so that one set of flags suits all commands.
var unusedFlags = []struct{ command, flags string }{
	{"register", "filestream blob-layout tier cap-mbps"},
	{"status", "store quiet memory filestream blob-layout tier cap-mbps"},
	{"list", "store quiet memory filestream blob-layout tier cap-mbps"},
	{"show", "store quiet memory filestream blob-layout tier cap-mbps"},
	{"inspect", "catalog store quiet filestream blob-layout tier cap-mbps"},
	{"export", "filestream blob-layout tier"},
	{"cat", "json quiet filestream blob-layout tier"},
	{"verify", "blob-layout"},
	{"recompress", "filestream"},
	{"rename", "store memory filestream blob-layout tier cap-mbps"},
	{"rm", "store memory filestream blob-layout tier cap-mbps"},
	{"gc", "memory filestream blob-layout tier cap-mbps"},
	{"schema", "store quiet memory filestream blob-layout tier cap-mbps"},
	{"version", "catalog store quiet verbose log-level log-file memory filestream blob-layout tier cap-mbps"},
	{"completion", "catalog store json quiet verbose log-level log-file memory filestream blob-layout tier cap-mbps"},
	{"man", "catalog store json quiet verbose log-level log-file memory filestream blob-layout tier cap-mbps"},
	{"help", "catalog store json quiet verbose log-level log-file memory filestream blob-layout tier cap-mbps"},
}

// usageTemplate is the help below the description. Each group of flags has a title.
const usageTemplate = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{$commands := .Commands}}{{range $group := .Groups}}

{{.Title}}{{range $commands}}{{if eq .GroupID $group.ID}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if and .HasAvailableSubCommands (not .Groups)}}

Commands:{{range $commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{groupedFlags .}}{{if .HasHelpSubCommands}}

Topics, for "{{.CommandPath}} help TOPIC":{{range $commands}}{{if .IsAdditionalHelpTopicCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableSubCommands}}

"{{.CommandPath}} COMMAND --help" describes a command.{{end}}
`

// arrangeHelp groups the commands and the flags of a help, and hides flags where they have no effect.
func arrangeHelp(root *cobra.Command) {
	cobra.AddTemplateFunc("groupedFlags", groupedFlags)
	root.SetUsageTemplate(usageTemplate)
	for _, group := range commandGroups {
		root.AddGroup(&cobra.Group{ID: group.title, Title: group.title + ":"})
		for _, c := range root.Commands() {
			if slices.Contains(strings.Fields(group.commands), c.Name()) {
				c.GroupID = group.title
			}
		}
	}
	for _, topic := range root.Commands() {
		if topic.IsAdditionalHelpTopicCommand() {
			root.PersistentFlags().VisitAll(func(f *pflag.Flag) { hideFlag(topic, f) })
		}
	}
	for _, unused := range unusedFlags {
		if c, _, err := root.Find([]string{unused.command}); err == nil {
			for _, name := range strings.Fields(unused.flags) {
				hideFlag(c, root.PersistentFlags().Lookup(name))
			}
		}
	}
}

// hideFlag gives a command and its subcommands a hidden copy of a global flag, with the same value.
func hideFlag(c *cobra.Command, flag *pflag.Flag) {
	hidden := *flag
	hidden.Hidden = true
	c.PersistentFlags().AddFlag(&hidden)
}

// helpColumns is the width of the help.
const helpColumns = 100

// groupedFlags returns the flags of a command with titles: its own, and the global ones by group.
func groupedFlags(c *cobra.Command) string {
	var all strings.Builder
	add := func(title string, set *pflag.FlagSet) {
		if set.HasAvailableFlags() {
			all.WriteString("\n\n" + title + ":\n" + strings.TrimRight(set.FlagUsagesWrapped(helpColumns), "\n"))
		}
	}
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if c.Root().PersistentFlags().Lookup(f.Name) == nil {
			own.AddFlag(f)
		}
	})
	add("Flags", own)
	for _, group := range flagGroups {
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		set.SortFlags = false
		for _, name := range strings.Fields(group.flags) {
			set.AddFlag(c.Flag(name))
		}
		add(group.title, set)
	}
	return all.String()
}
