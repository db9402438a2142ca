package main

import (
	"strings"

	"github.com/rivo/uniseg"

	"github.com/hartonomous/ingest/ingest"
)

// cutMiddle shortens printable text to a number of columns of a terminal. It leaves out the middle, because
// names often differ in their ends.
func cutMiddle(text string, columns int) string {
	if len(text) <= columns { // a byte takes at most one column
		return text
	}
	total := uniseg.StringWidth(text)
	if total <= columns {
		return text
	}
	most := columns / 2 // of the start; the rest is for the end
	start, end, width, state := 0, len(text), 0, -1
	for at := 0; at < len(text); {
		cluster, _, w, next := uniseg.FirstGraphemeClusterInString(text[at:], state)
		if total-width < columns-most && end == len(text) {
			end = at
		}
		at, width, state = at+len(cluster), width+w, next
		if width <= most {
			start = at
		}
	}
	return text[:start] + "…" + text[end:]
}

// cutEnd shortens printable text to a number of columns. It leaves out the end.
func cutEnd(text string, columns int) string {
	if uniseg.StringWidth(text) <= columns {
		return text
	}
	var b strings.Builder
	used := 1 // the ellipsis
	for clusters := uniseg.NewGraphemes(text); clusters.Next(); {
		if used += clusters.Width(); used > columns {
			break
		}
		b.WriteString(clusters.Str())
	}
	if columns < 1 {
		return ""
	}
	return b.String() + "…"
}

// longName is the number of columns of a name above which it is cut, on a terminal or not. JSON has it whole.
const longName = 200

// shortName returns the name of a model for a table or a message.
func shortName(name string) string { return cutMiddle(ingest.Printable(name), longName) }
