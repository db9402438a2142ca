//go:build race

package sqlserver

// underRace is set with the race detector, which makes the embedded database in the test double ten
// times slower.
const underRace = true
