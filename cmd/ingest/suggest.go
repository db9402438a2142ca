package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commandsElsewhere are what other programs call our commands.
var commandsElsewhere = []struct{ ours, others string }{
	{"list", "ls dir"}, {"status", "ps jobs"}, {"show", "info describe"}, {"models", "add import ingest put"},
	{"export", "get extract restore"}, {"verify", "check scrub fsck"}, {"rm", "remove delete del forget"},
	{"rename", "mv"}, {"gc", "prune"}, {"resume", "continue"}, {"migrate", "move"},
}

// suggestCommand returns the commands that a mistyped name may mean, the most similar first.
func suggestCommand(c *cobra.Command, typed string) []string {
	var names []string
	for _, child := range c.Commands() {
		if child.IsAvailableCommand() {
			names = append(names, child.Name())
		}
	}
	for _, command := range commandsElsewhere {
		others := strings.Fields(command.others)
		if slices.Contains(others, strings.ToLower(typed)) && slices.Contains(names, command.ours) {
			return []string{command.ours}
		}
	}
	return similar(typed, names)
}

// similar returns the names that differ from what was typed in few letters, or start with it; only the
// most similar ones.
func similar(typed string, names []string) (near []string) {
	typed = strings.ToLower(typed)
	least := 2
	if len(typed) <= 3 {
		least = 1
	}
	for _, name := range names {
		d := distance(typed, strings.ToLower(name))
		if len(typed) > 1 && strings.HasPrefix(name, typed) {
			d = min(d, 1)
		}
		if d < least {
			least, near = d, nil
		}
		if d == least {
			near = append(near, name)
		}
	}
	slices.Sort(near)
	return near
}

// distance counts the letters to insert, delete, replace, or swap with the next one, to turn a into b.
func distance(a, b string) int {
	var before, row []int
	next := make([]int, len(b)+1)
	for j := range next {
		next[j] = j
	}
	for i := range len(a) {
		before, row, next = row, next, make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			replace := row[j]
			if a[i] != b[j] {
				replace++
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, replace)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
	}
	return next[len(b)]
}

func didYouMean(near []string) string {
	if len(near) == 0 {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", strings.Join(near, " or "))
}

// unknownFlag adds suggestions to an error about a flag that does not exist.
func unknownFlag(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedName() == "" {
		return err
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	near := similar(unknown.GetSpecifiedName(), names)
	for i := range near {
		near[i] = "--" + near[i]
	}
	return fmt.Errorf("%w%s", err, didYouMean(near))
}
