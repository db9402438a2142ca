// Package storage holds what stores and catalogues share: Do, which retries, CheckPart, and
// Payload, which names payloads by content. Each store and catalogue is a package below it.
package storage
