package ingest

import (
	"errors"
	"io/fs"
	"testing"
)

// TestNoteProblem: the reason of a problem does not repeat its path.
func TestNoteProblem(t *testing.T) {
	short := errors.New("too short")
	open := func(path string) error { return &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission} }
	for reason, err := range map[string]error{
		"too short":                          short,
		"at byte 7: too short":               &SourceError{Path: "/m", Offset: 7, Err: short},
		"open: permission denied":            &SourceError{Path: "/m", Offset: -1, Err: open("/m")},
		"at byte 7: open: permission denied": &SourceError{Path: "/m", Offset: 7, Err: open("/m")},
		"open /n: permission denied":         &SourceError{Path: "/m", Offset: -1, Err: open("/n")},
		"/n: too short":                      &SourceError{Path: "/n", Offset: -1, Err: short},
	} {
		if got := (Note{Path: "/m", Reason: err}).Problem(); got != (Problem{Path: "/m", Reason: reason}) {
			t.Errorf("%q: problem %+v", err, got)
		}
	}
}
