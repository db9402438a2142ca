package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	_, root := newProgram(stdout, stderr)
	return root
}

// TestHelpGroups: each command and each global flag is in one group of the help, and the tables name
// nothing else.
func TestHelpGroups(t *testing.T) {
	root := newRoot(io.Discard, io.Discard)
	var commands, flags []string
	for _, c := range root.Commands() {
		if !c.IsAdditionalHelpTopicCommand() {
			commands = append(commands, c.Name())
		}
	}
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
	var groupedCommands, grouped []string
	for _, group := range commandGroups {
		groupedCommands = append(groupedCommands, strings.Fields(group.commands)...)
	}
	for _, group := range flagGroups {
		grouped = append(grouped, strings.Fields(group.flags)...)
	}
	for _, unused := range unusedFlags {
		if !slices.Contains(commands, unused.command) {
			t.Errorf("unusedFlags has the command %s", unused.command)
		}
		for _, flag := range strings.Fields(unused.flags) {
			if !slices.Contains(flags, flag) {
				t.Errorf("unusedFlags has --%s for %s", flag, unused.command)
			}
		}
	}
	for _, list := range [][]string{commands, groupedCommands, flags, grouped} {
		slices.Sort(list)
	}
	if !slices.Equal(commands, groupedCommands) || !slices.Equal(flags, grouped) {
		t.Errorf("the groups have %v and %v, want %v and %v", groupedCommands, grouped, commands, flags)
	}
}

// TestHelpWidth: no flag of a help has a line longer than helpColumns.
func TestHelpWidth(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		for line := range strings.Lines(groupedFlags(c)) {
			if n := len([]rune(line)); n > helpColumns+1 {
				t.Errorf("%s --help has a line of %d columns:\n%s", c.CommandPath(), n-1, line)
			}
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(newRoot(io.Discard, io.Discard))
}
