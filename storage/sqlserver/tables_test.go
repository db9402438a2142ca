package sqlserver

import (
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest/tables"
)

// freshDouble makes a new, empty catalogue on the double.
func freshDouble(t *testing.T) catalogtest.Database {
	srv := tdstest.Start(t)
	tables.New(t, srv, "")
	return func(t *testing.T) ingest.Catalog { return open(t, srv.DSN()) }
}

// TestContractDouble runs the contract against the double with the catalogue's tables. It keeps the double honest: what
// other tests have the program do there is what a catalogue does.
//
// Under the race detector it is the part about payloads in rows only; scripts/test runs it once more without.
func TestContractDouble(t *testing.T) {
	catalogtest.Rows(t, freshDouble)
	if !underRace {
		catalogtest.Run(t, freshDouble)
	}
}
