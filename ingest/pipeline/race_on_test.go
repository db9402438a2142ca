//go:build race

package pipeline_test

// underRace is set with the race detector, under which the embedded catalogue is ten times slower.
const underRace = true
