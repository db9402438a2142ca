// Package catalogtest is the contract of ingest.Catalog as a suite that each
// catalogue runs, a wrapper that makes a catalogue fail on purpose, and a check
// of what must hold of a catalogue at any moment.
//
// A driver's test is a few lines:
//
//	catalogtest.Run(t, func(t *testing.T) catalogtest.Database {
//		path := filepath.Join(t.TempDir(), "catalogue.db")
//		return func(t *testing.T) ingest.Catalog { ... }
//	})
package catalogtest

import (
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// Database opens one more handle on one database, as another process would, and
// closes it at the test's end.
type Database func(t *testing.T) ingest.Catalog

// test is a test of the suite. It has a new database, or makes many.
type test struct {
	name string
	run  func(t *testing.T, db Database)
	many func(t *testing.T, fresh func(t *testing.T) Database)
}

// Run runs the contract of ingest.Catalog. fresh makes a new, empty database.
func Run(t *testing.T, fresh func(t *testing.T) Database) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Jobs", jobTests}, {"Alone", aloneTests}, {"Begin", beginTests}, {"Record", recordTests},
		{"Complete", completeTests},
		{"Merge", mergeTests}, {"Abandon", abandonTests}, {"Attach", attachTests}, {"Library", libraryTests},
		{"Keeper", keeperTests},
		{"Clock", clockTests}, {"Removal", removalTests}, {"Names", nameTests}, {"Places", placeTests},
		{"Fencing", fencingTests}, {"Concurrent", concurrentTests}, {"LostAnswers", lostTests},
		{"Property", propertyTests}, {"Atoms", atomTests},
	} {
		t.Run(group.name, func(t *testing.T) { runAll(t, group.tests, fresh) })
	}
}

// Rows runs the contracts of ingest.RowPayloads and ingest.Migration, and those of Record and ingest.Atoms for payloads
// in rows. The table Atoms must have the column Payload.
func Rows(t *testing.T, fresh func(t *testing.T) Database) {
	runAll(t, rowTests, fresh)
	runAll(t, migrationTests, fresh)
	runAll(t, atomRowTests, fresh)
}

// AtomRows runs the contract of ingest.Atoms for payloads in rows alone.
func AtomRows(t *testing.T, fresh func(t *testing.T) Database) { runAll(t, atomRowTests, fresh) }

func runAll(t *testing.T, tests []test, fresh func(t *testing.T) Database) {
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.many != nil {
				test.many(t, fresh)
				return
			}
			test.run(t, fresh(t))
		})
	}
}
