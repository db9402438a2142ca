//go:build race

package codec_test

// raceEnabled: the race detector makes pools forget their content.
const raceEnabled = true
