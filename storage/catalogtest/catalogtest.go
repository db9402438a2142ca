// Package catalogtest tests implementations of ingest.Catalog. Run is the suite of the contract,
// Faulty is a wrapper that makes a catalogue fail on purpose, and Check tests the invariants of a
// catalogue.
//
// A driver's test is a few lines:
//
//	catalogtest.Run(t, func(t *testing.T) catalogtest.Database {
//		path := filepath.Join(t.TempDir(), "catalogue.db")
//		return func(t *testing.T) ingest.Catalog { ... }
//	})
package catalogtest

import (
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// Database opens another handle on the same database, as another process would, and closes it at the
// end of the test.
type Database func(t *testing.T) ingest.Catalog

// test is a test of the suite: run gets a new database, many creates its own.
type test struct {
	name string
	run  func(t *testing.T, db Database)
	many func(t *testing.T, fresh func(t *testing.T) Database)
}

// Run tests the contract of ingest.Catalog. fresh creates an empty database.
func Run(t *testing.T, fresh func(t *testing.T) Database) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Jobs", jobTests}, {"Exclusive", exclusiveTests}, {"Begin", beginTests}, {"Record", recordTests},
		{"Complete", completeTests}, {"Merge", mergeTests}, {"Abandon", abandonTests}, {"Attach", attachTests},
		{"Reader", readerTests}, {"Maintenance", maintenanceTests}, {"Clock", clockTests},
		{"Register", registerTests}, {"Removal", slices.Concat(removalTests, foreignTests)},
		{"Names", nameTests}, {"Paths", pathTests}, {"Places", placeTests}, {"Encoded", encodedTests},
		{"Fencing", fencingTests}, {"Concurrent", concurrentTests}, {"LostAnswers", lostTests},
		{"Property", propertyTests}, {"Atoms", slices.Concat(atomTests, atomBackTests, atomMergeTests)},
	} {
		t.Run(group.name, func(t *testing.T) { runAll(t, group.tests, fresh) })
	}
}

// Sample returns the step with which a test goes through its cases: 1, or the given one if the race
// detector or -short leaves no time for all. scripts/test runs these tests once more without the detector.
func Sample(t testing.TB, step int) int {
	if !UnderRace && !testing.Short() {
		return 1
	}
	t.Logf("one case of %d is tested: without the race detector and -short, all are", step)
	return step
}

// Rows tests the methods for payloads in rows, Record with payloads, migrations, and the payloads
// of atoms. The table Atoms must have the column Payload.
func Rows(t *testing.T, fresh func(t *testing.T) Database) {
	ReadRows(t, fresh)
	runAll(t, slices.Concat(migrationTests, oldRowTests), fresh)
	AtomRows(t, fresh)
}

// ReadRows tests only the methods for payloads in rows.
func ReadRows(t *testing.T, fresh func(t *testing.T) Database) { runAll(t, rowTests, fresh) }

// AtomRows runs the contract of ingest.Atoms for payloads in rows alone.
func AtomRows(t *testing.T, fresh func(t *testing.T) Database) {
	runAll(t, slices.Concat(atomRowTests, atomRowBackTests, atomRowMergeTests), fresh)
}

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
