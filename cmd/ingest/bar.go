package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/rivo/uniseg"

	"github.com/hartonomous/ingest/ingest"
)

// snapshot is what a bar or a line of progress shows.
type snapshot struct {
	done, total     int64 // bytes
	files, allFiles int64 // files done, and all
	rate            int64 // bytes per second; 0 if unknown
	left            time.Duration
	name            string // of the model; may be empty
	notice          string // in place of rate and time left: a retry, or a wait
}

// Widths of the parts of a bar that are not fixed.
const (
	minName = 8
	maxName = 40
	minBar  = 8
	maxBar  = 24
)

// bar returns a line of fewer columns than the terminal, because some start a new line after the last
// column. What does not fit is left out: first the drawing, then the bytes, the number of
// files, and the rate.
func (s snapshot) bar(columns int) string {
	room := columns - 1
	parts := []string{"", s.percent(), "", "", "", "", ""} // the order on the line
	used := len(s.percent())
	add := func(at int, text string, beside int) {
		if width := uniseg.StringWidth(text) + 1; text != "" && used+width+beside <= room {
			parts[at] = text
			used += width
		}
	}
	name := ingest.Printable(s.name)
	reserved := 0 // for the name
	if name != "" {
		reserved = min(uniseg.StringWidth(name), minName) + 1
	}
	if s.notice != "" {
		add(4, cutEnd(s.notice, room-used-1), 0)
	} else {
		add(5, s.timeLeft(), reserved)
		add(4, s.speed(), reserved)
	}
	add(6, s.count(), reserved)
	add(3, human(s.done)+"/"+human(s.total), reserved)
	if space := room - used - 1; name != "" && space > 1 {
		name = cutEnd(name, min(space, maxName))
		used += uniseg.StringWidth(name) + 1
	} else {
		name = ""
	}
	if width := min(room-used-3, maxBar); width >= minBar {
		parts[2] = s.drawing(width)
	}
	line := strings.Join(parts[1:], "\x00") + "\x00" + name
	return strings.Join(strings.FieldsFunc(line, func(r rune) bool { return r == 0 }), " ")
}

// percent never shows 100% before the end.
func (s snapshot) percent() string {
	switch {
	case s.total <= 0:
		return "  0%"
	case s.done >= s.total:
		return "100%"
	}
	return fmt.Sprintf("%3d%%", min(99, int(float64(s.done)/float64(s.total)*100)))
}

func (s snapshot) drawing(width int) string {
	filled := 0
	if s.total > 0 {
		filled = int(min(1, float64(s.done)/float64(s.total)) * float64(width))
	}
	return "[" + strings.Repeat("=", filled) + strings.Repeat(" ", width-filled) + "]"
}

func (s snapshot) speed() string {
	if s.rate <= 0 || s.done >= s.total {
		return ""
	}
	return human(s.rate) + "/s"
}

func (s snapshot) timeLeft() string {
	if s.left <= 0 {
		return ""
	}
	return s.left.String() + " left"
}

func (s snapshot) count() string { return fmt.Sprintf("%d/%d files", s.files, s.allFiles) }

// line returns the snapshot for a log.
func (s snapshot) line() string {
	parts := []string{human(s.done) + " of " + human(s.total)}
	pace := []string{s.speed(), s.timeLeft()}
	if s.notice != "" {
		pace = []string{s.notice}
	}
	for _, part := range append(pace, s.count(), ingest.Printable(s.name)) {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}
