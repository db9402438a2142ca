package main

import (
	"encoding/json"
	"fmt"
)

// The objects that --json prints are structs in the files json_*.go. TestPages writes their fields, with the
// comments of these, into README.md.

// jsonVersion is the version of the objects. It grows when a field is removed or changes its meaning, but not
// when one is added.
const jsonVersion = 1

// summaryHead begins a summary, the last object of a command.
type summaryHead struct {
	Event   string `json:"event"`   // `summary`
	Version int    `json:"version"` // version of all objects that the command printed
}

func newSummary() summaryHead { return summaryHead{"summary", jsonVersion} }

// printSummary ends the output of a command that has only lists or results to print for a person.
func (p *program) printSummary(summary any) {
	if p.json {
		p.printJSON(summary)
	}
}

// printJSON prints a line of JSON.
func (p *program) printJSON(object any) { fmt.Fprintln(p.stdout, jsonText(object)) }

// jsonText returns an object as a line of JSON.
func jsonText(object any) string {
	text, err := json.Marshal(object)
	if err != nil {
		panic(err) // cannot happen: objects have plain values only
	}
	return string(text)
}

// list makes a nil slice an empty list in JSON rather than null.
func list[T any](items []T) []T { return append([]T{}, items...) }

// metadataObject makes missing metadata an empty object in JSON, and text that is not JSON a string.
func metadataObject(metadata json.RawMessage) json.RawMessage {
	switch {
	case len(metadata) == 0:
		return json.RawMessage("{}")
	case !json.Valid(metadata): // of another program
		return json.RawMessage(jsonText(string(metadata)))
	}
	return metadata
}
