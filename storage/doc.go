// Package storage holds what the stores and the catalogues have in common; each of them
// is a package below it.
//
// For stores: Retry and Cap, which wrap any of them. For catalogues: what the rows say
// (layers, atoms, the metadata of jobs), and the rules that hold whatever the SQL is:
// which batch is recorded, whose job it is, when a file is whole, in which order its
// pieces are read. There is no SQL here, and no driver.
package storage
