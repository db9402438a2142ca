//go:build race

package migrate_test

// underRace reports whether the race detector is on. It makes the SQLite catalogue ten times
// slower.
const underRace = true
