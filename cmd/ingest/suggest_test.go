package main

import (
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"list", "list", 0}, {"lst", "list", 1}, {"lsit", "list", 1}, {"ls", "gc", 2},
		{"catlog", "catalog", 1}, {"abc", "cab", 2}} {
		if got, back := distance(c.a, c.b), distance(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("%q, %q: %d and %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}

// TestCommandsElsewhere: what other programs call a command is the name of no command, and stands for one.
func TestCommandsElsewhere(t *testing.T) {
	_, root := newProgram(t.Output(), t.Output())
	for _, command := range commandsElsewhere {
		if c, _, err := root.Find([]string{command.ours}); err != nil || c.Name() != command.ours {
			t.Errorf("%s is no command", command.ours)
		}
		for _, other := range strings.Fields(command.others) {
			if c, _, err := root.Find([]string{other}); err == nil && c != root {
				t.Errorf("%s is a command", other)
			}
		}
	}
}
