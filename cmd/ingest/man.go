package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "man FOLDER",
		Short: "Write man pages into a folder",
		Long: `Write a man page for each command into a folder, which is created if it does not exist.
SOURCE_DATE_EPOCH sets their date.`,
		Example: "  ingest man ~/.local/share/man/man1",
		Args:    requireArg("FOLDER", cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o777); err != nil {
				return err
			}
			return writeMan(c.Root(), args[0])
		},
	}
}

// writeMan writes the pages of a command and of its subcommands.
func writeMan(c *cobra.Command, folder string) error {
	for _, child := range c.Commands() {
		if child.Name() == "help" {
			continue
		}
		if err := writeMan(child, folder); err != nil {
			return err
		}
	}
	c.DisableAutoGenTag = true
	header := &doc.GenManHeader{Source: "ingest", Manual: "ingest"}
	topic := c.IsAdditionalHelpTopicCommand()
	if topic {
		c.InitDefaultHelpFlag()
		c.Flags().Lookup("help").Hidden = true // a topic has no flags
	}
	var page strings.Builder
	if err := doc.GenMan(c, header, &page); err != nil {
		return fmt.Errorf("man page of %s: %w", c.CommandPath(), err)
	}
	text := page.String()
	if topic {
		text = strings.Replace(text, `\fB`+c.CommandPath()+`\fP`, `\fBingest help `+c.Name()+`\fP`, 1)
	}
	name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
	return os.WriteFile(filepath.Join(folder, name), []byte(text), 0o666)
}
