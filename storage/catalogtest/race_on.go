//go:build race

package catalogtest

// UnderRace is set with the race detector, which makes SQLite ten times slower.
const UnderRace = true
