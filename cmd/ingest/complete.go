package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/schema"
)

// The limits of a completion that reads the catalogue: a shell waits for it.
const (
	completionTime = 2 * time.Second
	completionMost = 1000
)

// completer returns what may follow on a command line.
type completer = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// addCompletions adds completions of models, jobs, addresses and settings.
func (p *program) addCompletions(root *cobra.Command) {
	models, jobs := p.found(modelNames), p.found(interruptedJobs)
	flags := map[string]completer{"catalog": addresses("sqlite:", "sqlserver://"),
		"store": addresses("dir:", "azblob://", inRows), "to": addresses("dir:", "azblob://", inRows),
		"model": models, "log-level": words("debug", "info", "warn", "error"),
		"filestream": words("auto", "win32", "tsql"), "blob-layout": words("content", "position"),
		"sort": words("id", "name", "size", "params", "date"),
		"tier": words("hot", "cool", "cold", "archive"), "compress": words("auto", "max", "off"),
		"with": words(schema.PartNames()...)}
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		switch c.Name() {
		case "show", "export", "cat", "verify", "rename":
			c.ValidArgsFunction = first(models)
		case "rm", "recompress":
			c.ValidArgsFunction = models
		case "resume":
			c.ValidArgsFunction = first(jobs)
		case "help":
			c.ValidArgsFunction = withTopics(c.ValidArgsFunction)
		}
		for name, complete := range flags {
			if c.LocalFlags().Lookup(name) != nil {
				_ = c.RegisterFlagCompletionFunc(name, complete) // the flag exists
			}
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(root)
}

// words completes a word of a list.
func words(all ...string) completer {
	return cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp)
}

// first completes the first argument only.
func first(complete completer) completer {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(c, args, typed)
	}
}

// withTopics completes the help topics, too: cobra completes only commands.
func withTopics(commands completer) completer {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		words, directive := commands(c, args, typed)
		for _, topic := range c.Root().Commands() {
			if len(args) == 0 && topic.IsAdditionalHelpTopicCommand() && strings.HasPrefix(topic.Name(), typed) {
				words = append(words, cobra.CompletionWithDesc(topic.Name(), topic.Short))
			}
		}
		return words, directive
	}
}

// addresses completes the start of an address, and the path in one of a folder or a file.
func addresses(starts ...string) completer {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
		scheme, path, ok := strings.Cut(typed, ":")
		if !ok || scheme != "dir" && scheme != "sqlite" {
			return starts, directive
		}
		folder, name := filepath.Split(path)
		entries, _ := os.ReadDir(cmp.Or(folder, "."))
		var found []string
		for _, entry := range entries {
			switch {
			case !strings.HasPrefix(entry.Name(), name):
			case entry.IsDir():
				found = append(found, scheme+":"+folder+entry.Name()+string(filepath.Separator))
			case scheme == "sqlite":
				found = append(found, scheme+":"+folder+entry.Name())
			}
		}
		return found, directive
	}
}

// search returns what a catalogue has for a word that is being typed, with descriptions, until an error
// ends it. fits reports whether a word begins as typed, and can be typed.
type search func(ctx context.Context, catalog ingest.Catalog, fits func(word string) bool) []string

// modelNames finds the names of models. In the place of a name that several models have are their ids.
// A shell drops them where the start of the name is typed, but prints a line that has them.
func modelNames(ctx context.Context, catalog ingest.Catalog, fits func(word string) bool) (words []string) {
	names, ids := namedModels(ctx, catalog)
	added := map[string]bool{}
	for _, name := range names {
		if len(words) >= completionMost {
			break
		}
		if len(ids[name]) == 1 {
			if fits(name) {
				words = append(words, cobra.CompletionWithDesc(name, "model "+ids[name][0]))
			}
			continue
		}
		offered := false
		for _, id := range ids[name] {
			if fits(id) && !added[id] {
				words, added[id] = append(words, cobra.CompletionWithDesc(id, ingest.Printable(name))), true
			}
			offered = offered || added[id]
		}
		if fits(name) && !offered {
			words = cobra.AppendActiveHelp(words, fmt.Sprintf("%d models are named %s: give an id: %s",
				len(ids[name]), name, joinPaths(ids[name])))
		}
	}
	return words
}

// namedModels returns the names of models, each once, and the ids of the models that have them.
func namedModels(ctx context.Context, catalog ingest.Catalog) (names []string, ids map[string][]string) {
	ids = map[string][]string{}
	for m, err := range catalog.Models(ctx) {
		if err != nil {
			break
		}
		for _, name := range m.AllNames() {
			if ids[name] == nil {
				names = append(names, name)
			}
			ids[name] = append(ids[name], fmt.Sprint(m.ID))
		}
	}
	return names, ids
}

// interruptedJobs finds the numbers of the jobs that resume continues.
func interruptedJobs(ctx context.Context, catalog ingest.Catalog, fits func(word string) bool) (words []string) {
	for job, err := range catalog.AllJobs(ctx) {
		if err != nil || len(words) >= completionMost {
			break
		}
		if id := fmt.Sprint(job.ID); job.State == ingest.JobOpen && !isLive(job) && resumes(job) && fits(id) {
			about := ingest.Printable(job.Pipeline + " " + joinPaths(job.Paths))
			words = append(words, cobra.CompletionWithDesc(id, about))
		}
	}
	return words
}

// found completes what a search of an existing catalogue finds. It completes nothing without a
// catalogue, and what it has found until an error or the time limit.
func (p *program) found(find search) completer {
	return func(c *cobra.Command, args []string, typed string) (words []string, _ cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp
		ctx, cancel := context.WithTimeout(c.Context(), completionTime)
		defer cancel()
		if p.setUp(c) != nil {
			return nil, directive
		}
		catalog, err := p.openCurrent(ctx)
		if err != nil {
			return nil, directive
		}
		defer catalog.Close()
		return find(ctx, catalog, func(word string) bool {
			// A shell could not type what is not printable.
			return strings.HasPrefix(word, typed) && word == ingest.Printable(word) && !slices.Contains(args, word)
		}), directive
	}
}
