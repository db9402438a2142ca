//go:build !unix

package source

// These systems have no pipes among files, and no flag against following links.
const noWait, noFollow = 0, 0
