//go:build race

package sqlserver

// underRace is set with the race detector, which slows the embedded database that the double of the server
// keeps its tables in ten times down.
const underRace = true
