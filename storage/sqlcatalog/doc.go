// Package sqlcatalog is the catalogue over a SQL database: every verb of [ingest.Catalog], once, for all engines.
//
// A verb is a few statements within one transaction. What the statements must say, and in which order they
// come, is in this package. A [Dialect] says how one engine does it: how it connects, begins and commits, how
// it loads many rows at once, how payloads get into a row and out of it, which errors pass, and how columns
// hold times, JSON and texts.
//
// Statements have names. The text of most is written here, next to the verb that needs it, in the SQL that all
// engines share; words in braces stand for what an engine says in its own way (see [Render]). Where the
// engines need different statements, each dialect has one under the same name.
//
//	go doc sqlcatalog.Dialect
package sqlcatalog
