// Package sqlcatalog implements every verb of [ingest.Catalog], once, for all SQL engines.
//
// A verb is a few statements in one transaction. This package defines the statements and their
// order. A [Dialect] implements one engine: it connects, begins and commits, loads many rows at
// once, moves payloads into and out of rows, classifies errors, and encodes times, JSON and texts.
//
// Statements have names. Most are written here, next to the verb that needs them, in the SQL that
// all engines share; words in braces stand for what an engine says in its own way (see [Render]).
// If the engines need different statements, each dialect has one under the same name.
package sqlcatalog
