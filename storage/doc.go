// Package storage holds what stores and catalogues share: Do, which retries, and CheckPart. Each
// store and catalogue is a package below it.
package storage
