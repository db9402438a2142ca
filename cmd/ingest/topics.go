package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// newTopics returns the help topics: `ingest help TOPIC` prints them.
func newTopics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-codes", Short: "What the exit codes mean", Long: `    0    success
    1    the command failed
    2    usage: wrong flags, arguments or addresses; no models under the paths
    3    some files or objects were refused or failed, and each is named; status shows a job that finished the
         others as partial
    4    verify found damage
    130  interrupted: models, register, migrate, recompress and resume continue where they stopped`},
		{Use: "addresses", Short: "How to name a catalogue, a store and a model",
			Long: `The catalogue has the rows: --catalog, or the variable INGEST_CATALOG.

    sqlite:PATH                     a file, which is created if it does not exist
    sqlserver://HOST?database=NAME  a database on SQL Server; "ingest schema apply" creates its tables

The store has the payloads: --store, or the variable INGEST_STORE.

    dir:PATH                                           a folder
    azblob://ACCOUNT/CONTAINER                         blobs of Azure
    https://ACCOUNT.blob.core.windows.net/CONTAINER    the same
    row                                                the rows of the catalogue

By default the catalogue is the file catalog.db in your data folder, and the store the folder "store"
beside it. The data folder is $XDG_DATA_HOME/ingest or ~/.local/share/ingest, on Windows
%LOCALAPPDATA%\ingest, on macOS ~/Library/Application Support/ingest. A store belongs to one catalogue.

` + modelArgument},
		{Use: "environment", Short: "How to set flags with variables or in a file",
			Long: `Each flag can be set with a variable, whose name is that of the flag: INGEST_MEMORY=1GiB is
--memory 1GiB, and INGEST_SEGMENT_SIZE=16MiB is --segment-size 16MiB. A variable that is empty is not set.
If the name is almost that of a flag, such as INGEST_STROE, a warning says so.

The file ingest/config in $XDG_CONFIG_HOME or ~/.config, on Windows in %AppData%, on macOS in
~/Library/Application Support, has one flag per line, and comments that start with #:

    store = dir:/mnt/payloads
    memory = 1GiB

Flags win over variables, and variables over the file. What deletes, clears, overwrites or takes over can
only be set by flags: ` + "--" + strings.Join(onlyArguments[2:], ", --") + `.`},
	}
}
