//go:build !unix

package source

// These systems have no named pipes among files, and no flag that prevents following links.
const noWait, noFollow = 0, 0
