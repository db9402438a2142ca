//go:build !race

package sqlserver

const underRace = false
