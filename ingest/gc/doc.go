// Package gc deletes payloads that no row needs.
package gc
