package main

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
)

// given are the catalogue and the store on the command line; empty if they are not there.
type given struct{ catalog, store string }

func givenOn(c *cobra.Command) (g given) {
	for name, value := range map[string]*string{"catalog": &g.catalog, "store": &g.store} {
		if f := c.Flags().Lookup(name); f != nil && f.Changed {
			*value = f.Value.String()
		}
	}
	return g
}

// again returns a command that works when it is pasted into the same shell: with the catalogue and the
// store that were given. An address with a secret is not repeated.
func (g given) again(command string, job int64) string {
	line := fmt.Sprintf("ingest %s %d", command, job)
	for _, f := range []struct{ name, address string }{{"--catalog", g.catalog}, {"--store", g.store}} {
		switch {
		case f.address == "":
		case redact(f.address) != ingest.Printable(f.address):
			line += " " + f.name + " ..."
		default:
			line += " " + f.name + " " + shellWord(f.address)
		}
	}
	return line
}

// ofMigration returns what a command for a job of migrate or recompress needs: the job names its stores.
func (g given) ofMigration() given { return given{catalog: g.catalog} }

// plainWord matches what no shell changes.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord quotes a word for a shell: that of POSIX, or PowerShell and cmd.
func shellWord(word string) string {
	word = ingest.Printable(word)
	switch {
	case plainWord.MatchString(word):
		return word
	case runtime.GOOS == "windows":
		return `"` + word + `"`
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
